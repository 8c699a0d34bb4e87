"""``sql``: a query over the tables of a log directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.dataframes import LogdirFrames, open_logdir
from tb2csv.logdir import logdir_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tb2csv.logdir import LogdirSource


def sql(
    logdir: LogdirSource,
    query: str,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> pl.DataFrame:
    """Return the rows that a SELECT statement over the tables of a log directory gives; see ``LogdirFrames.sql``.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        query: one SELECT statement, which may begin with WITH.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read.
        OptionError: the query is not a SELECT statement, names what is not a table, or cannot be run.
        Tb2csvError: the log does not have values of a kind, or no type holds all of them exactly.
    """
    if not isinstance(logdir, LogdirFrames):
        logdir = open_logdir(logdir_of(logdir), workers=workers, progress=progress)
    return logdir.sql(query)
