"""The rows of series as frames: those of the main table of each, or of a table next to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import Tb2csvError
from tb2csv.late_modules import np, pl
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.scanned_run import ScannedRun

if TYPE_CHECKING:
    from tb2csv.decoders import TablePart
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.time_series import Series, SeriesStats

#: Yields the rows of some series of a run, or samples that show their columns.
Read = Callable[[ScannedRun, Callable[[Any], bool], "RowSelection | None"], Iterator["Rows | UndecodableValue"]]

#: Yields the rows of all tables of some series, including those of plugin content.
decode_all: Final[Read] = functools.partial(ScannedRun.decode, with_contents=True)

CHANGED: Final = "The log has changed since these values were requested; request them again."


def series_frames(
    run: ScannedRun,
    chosen: list[SeriesStats],
    rows: RowSelection | None,
    read: Read = ScannedRun.decode,
    kind: str = "",
) -> list[tuple[SeriesStats, pl.DataFrame]]:
    """Return the rows of each series, one series after the other, each in one part or in several.

    These are the rows of the main table, or with ``kind`` those of a table next to it.

    Raises:
        Tb2csvError: the run was read again since the series were chosen.
    """
    parts: dict[Series, list[pl.DataFrame]] = {stats.series: [] for stats in chosen}
    if not all(map(run.is_current, chosen)):
        raise Tb2csvError(CHANGED)
    for item in read(run, parts.__contains__, rows):
        if isinstance(item, UndecodableValue) or item.part.kind != kind:
            continue
        frame = _with_data(item.part)
        bounds = item.bounds.tolist()
        for series, start, stop in zip(item.series, bounds[:-1], bounds[1:], strict=True):
            parts[series].append(frame.slice(start, stop - start))
    return [(stats, frame) for stats in chosen for frame in parts[stats.series]]


def _with_data(part: TablePart) -> pl.DataFrame:
    """Return the frame of a part, with the bytes of stored files instead of their paths.

    A path is unique only within its series, and a part may have several series, so the value is part of the key.
    """
    if not part.files or "path" not in part.frame.columns:
        return part.frame
    stored = {(file.row, file.name): file.data for file in part.files}
    values = np.repeat(np.arange(part.start, part.stop), part.counts).tolist()
    data = pl.Series("data", [stored[key] for key in zip(values, part.frame["path"], strict=True)], pl.Binary)
    return part.frame.with_columns(data.alias("path")).rename({"path": "data"})
