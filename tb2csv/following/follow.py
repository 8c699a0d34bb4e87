"""``follow``: update the tables of a log while it is written, and yield what was added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.analysis.diagnosis.network import DEFAULT_STEPS
from tb2csv.folder_conversion import ConversionSettings
from tb2csv.following.durations import seconds
from tb2csv.following.follower import Follower
from tb2csv.following.live_findings import DiagnosisOptions
from tb2csv.layouts.output_options import OutputOptions
from tb2csv.runs.row_selection import RowSelection
from tb2csv.selection import select
from tb2csv.size_limits import DEFAULT_EVENT_EXPANSION
from tb2csv.watching.log_watch import LogWatch

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from tb2csv.following.follow_update import FollowUpdate
    from tb2csv.logdir import LogdirPath
    from tb2csv.selection import Patterns, Selection


def follow(
    logdir: LogdirPath,
    out: str | os.PathLike[str] | None = None,
    *,
    every: float | str = 0,
    until_idle: float | str | None = None,
    poll: bool = False,
    diagnose: bool = False,
    families: Iterable[str] = (),
    thresholds: Mapping[str, float] | None = None,
    steps: int = DEFAULT_STEPS,
    run: Patterns = None,
    tag: Patterns = None,
    kind: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    rows: RowSelection | None = None,
    layout: str = "tree",
    format: str = "csv",
    header: str = "plain",
    on_duplicate: str = "last",
    tensors: str = "elements",
    merge_subruns: bool = False,
    time: Sequence[str] = ("epoch",),
    relative_to: str = "run",
    x: str = "step",
    align: str | None = None,
    escape_formulas: bool = False,
    overwrite: bool = False,
    max_expansion: int = DEFAULT_EVENT_EXPANSION,
    workers: int | None = None,
) -> Generator[FollowUpdate, None, None]:
    """Yield what is added to a log while it is written, and keep the tables in ``out`` up to date.

    The first update has everything that the log has by then. It waits until ``logdir`` has event files and selected
    values. The loop ends when the generator is closed, or when ``until_idle`` is over; ``out`` is complete then.

    Args:
        logdir: a folder, an event file or an fsspec URL, which need not exist yet; or several of them.
        out: the output folder: a new one, or that of an earlier conversion with the same options; it stays
            locked until the end. None to write nothing.
        every: the minimum time between two updates, in seconds or as text such as ``5s`` or ``2m``. If files are
            polled, it is also the time between two polls; by default 0.75 seconds, and ten for a URL.
        until_idle: end when nothing was added for so long, such as ``10m``; never if None. Writers hold values back, so
            a short time takes a pause for the end.
        poll: look at the files at intervals instead of waiting for notifications, which network file systems lack. It
            is always so for a URL, or if watchfiles is not installed.
        diagnose: apply the rules of ``tb2csv.diagnose`` to the runs that have grown.
        families: as of ``tb2csv.diagnose``.
        thresholds: as of ``tb2csv.diagnose``.
        steps: as of ``tb2csv.diagnose``.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        kind: one or more names of kinds; None selects all kinds.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        rows: the rows of the tables, by step and restart; all rows if None. Frames have all rows. A run is then read
            from its start for each update.
        layout: as of ``convert``. Tables that a layout joins are written anew for each update.
        format: as of ``convert``. Rows are appended to CSV and JSON Lines; tables of other formats are written anew.
        header: as of ``convert``.
        on_duplicate: as of ``convert``.
        tensors: as of ``convert``.
        merge_subruns: as of ``convert``.
        time: as of ``convert``.
        relative_to: as of ``convert``.
        x: as of ``convert``.
        align: as of ``convert``.
        escape_formulas: as of ``convert``.
        overwrite: replace an ``out`` that contains an earlier conversion and nothing else, instead of continuing it.
        max_expansion: as of ``tb2csv.discover``.
        workers: the number of runs to read at once.

    Raises:
        OptionError: an option has an unknown value, or two options exclude each other.
        LogdirError: the URL has a cache in front, or ``logdir`` cannot be listed at the start.
        OutputError: ``out`` cannot be used or written, or another process updates it.
    """
    rows = RowSelection.of(rows)
    settings = ConversionSettings(
        select(selection, run=run, tag=tag, kind=kind, exclude_run=exclude_run, exclude_tag=exclude_tag),
        rows,
        OutputOptions.of(
            layout=layout,
            format=format,
            header=header,
            on_duplicate=on_duplicate,
            time=time,
            relative_to=relative_to,
            escape_formulas=escape_formulas,
            merge_subruns=merge_subruns,
            sessions=rows.sessions,
            x=x,
            align=align,
        ),
        tensors,
        workers=workers,
    )
    diagnosis = DiagnosisOptions.of(families, thresholds, steps, diagnose=diagnose)
    pause = seconds("every", every) if every else 0.0
    idle = None if until_idle is None else seconds("until_idle", until_idle)
    watch = LogWatch(logdir, polls=poll, interval=pause or None, max_expansion=max_expansion)
    return Follower(
        watch, settings, out, overwrite=overwrite, every=pause, until_idle=idle, diagnosis=diagnosis
    ).updates()
