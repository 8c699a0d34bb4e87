"""``hparams``: the trials of a log directory with their hyperparameters and metrics, one row per trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.dataframes import scan
from tb2csv.selection import select

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.logdir import LogdirSource
    from tb2csv.scanned_logdir import HparamsTable
    from tb2csv.selection import Patterns, Selection


def hparams(
    logdir: LogdirSource,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> HparamsTable:
    """Return the trials of a log directory, with no rows if there are none.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        run: one or more shell patterns for the runs that get rows; None selects all runs.
        tag: one or more shell patterns for the scalars that get columns as metrics, whether or not an experiment
            names them.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for scalars to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read, or no run matches.
        Tb2csvError: no metric matches.
    """
    selected = select(selection, run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)
    scanned = scan(logdir, workers=workers, progress=progress)
    return scanned.trials(selected)
