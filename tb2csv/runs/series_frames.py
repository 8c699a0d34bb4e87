"""The rows of series as frames: those of the main table of each, or of a table beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import Tb2csvError
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.scanned_run import ScannedRun

if TYPE_CHECKING:
    import polars as pl

    from tb2csv.decoders import TablePart
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.time_series import Series, SeriesStats

#: Gives the rows of some series of a run, or what shows their columns.
Read = Callable[[ScannedRun, Callable[[Any], bool], "RowSelection | None"], Iterator["Rows | UndecodableValue"]]

#: Gives the rows of all tables of some series, those of plugin content too.
decode_all: Final[Read] = functools.partial(ScannedRun.decode, with_contents=True)

CHANGED: Final = "The log is no longer what it was when these values were requested; request them again."


def series_frames(
    run: ScannedRun,
    chosen: list[SeriesStats],
    rows: RowSelection | None,
    read: Read = ScannedRun.decode,
    kind: str = "",
) -> list[tuple[SeriesStats, pl.DataFrame]]:
    """Return the rows of each series, one series after the other, each in one part or in several.

    They are those of the main table, or with ``kind`` those of a table beside it.
    """
    parts: dict[Series, list[pl.DataFrame]] = {stats.series: [] for stats in chosen}
    if not all(map(run.is_current, chosen)):  # all was read again, since these were chosen
        raise Tb2csvError(CHANGED)
    for item in read(run, parts.__contains__, rows):
        if isinstance(item, UndecodableValue) or item.piece.kind != kind:
            continue
        frame = _with_data(item.piece)
        bounds = item.bounds.tolist()
        for series, start, stop in zip(item.series, bounds[:-1], bounds[1:], strict=True):
            parts[series].append(frame.slice(start, stop - start))
    return [(stats, frame) for stats in chosen for frame in parts[stats.series]]


def _with_data(piece: TablePart) -> pl.DataFrame:
    """Return the frame of a piece, with the bytes of stored files in the place of their paths.

    A path is a file's only within its series, and a piece may be of several: so a file is told by its value as well.
    """
    import polars as pl

    if not piece.files or "path" not in piece.frame.columns:
        return piece.frame
    stored = {(file.row, file.name): file.data for file in piece.files}
    values = np.repeat(np.arange(piece.start, piece.stop), piece.counts).tolist()
    data = pl.Series("data", [stored[place] for place in zip(values, piece.frame["path"], strict=True)], pl.Binary)
    return piece.frame.with_columns(data.alias("path")).rename({"path": "data"})
