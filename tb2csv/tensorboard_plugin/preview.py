"""The preview of one table before its export: its first and last rows, and some points for a chart.

The run is scanned again from its first byte to its last, because its values are not kept in memory; only the values in
the preview are decoded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tb2csv.event_files.values import COLUMN_NAMES, ValueBlock, ValueColumns
from tb2csv.late_modules import np, pl
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.run_reader import RunReader
from tb2csv.selection import Selection, literal_pattern
from tb2csv.tensorboard_plugin.index_snapshot import exact_step

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.logdir import Run
    from tb2csv.tensorboard_plugin.run_counts import CountedSeries

#: The number of rows at either end, and so the maximum number of values, because each gives at least one row.
_ROWS: Final = 5
_CHART_POINTS: Final = 300
#: The maximum number of characters in a cell.
_CELL: Final = 500
#: The maximum size in bytes of a value in a preview; its rows take a multiple of that.
_LARGE: Final = 16 << 20
_CHUNK_SIZE: Final = 8 << 20


def preview_series(run: Run, series: CountedSeries) -> dict[str, Any]:
    """Return the first and last rows of a table, its columns, and for scalars a chart's points.

    A row is either among the first or among the last. If the type of a tag changes, the preview is of the table with
    its first values. Hyperparameters do not have a table of their own and so no rows; values that are too large are
    left out.

    Raises:
        OSError: a file can no longer be read.
    """
    selection = Selection(tags=(literal_pattern(series.tag),), kinds=(series.kind,))
    reader = RunReader(run, selection=selection, chunk_size=_CHUNK_SIZE)
    picked = _Picked(max(1, math.ceil(series.points / _CHART_POINTS)), has_chart=series.kind == "scalars")
    number = -1
    for block in reader.scan():
        grouping = reader.group(block)
        if number < 0:
            number = next((each for each in grouping.present if reader.stats.series[each].is_selected), -1)
        if number in grouping.present:
            picked.add(block, grouping.order[grouping.bounds[number] : grouping.bounds[number + 1]])
    first, last = (_decoded(reader, number, values) for values in picked.ends)
    if picked.has_all:  # the last rows may come from the first values
        whole = first if last is None else last if first is None else first.vstack(last)
        first, last = whole, None if whole is None else whole.slice(_ROWS)
    chart = _decoded(reader, number, picked.chart)
    return {
        "columns": next((frame.columns for frame in (first, last) if frame is not None), []),
        "first": [] if first is None else _cells(first.head(_ROWS)),
        "last": [] if last is None else _cells(last.tail(_ROWS)),
        "chart": None
        if chart is None
        else {"step": [exact_step(step) for step in chart["step"]], "value": _column(chart["value"])},
    }


class _Picked:
    """The values in a preview, copied from their blocks."""

    def __init__(self, stride: int, *, has_chart: bool) -> None:
        self._first: list[tuple[ValueBlock, int]] = []
        self._last: list[tuple[ValueBlock, int]] = []
        self.chart: list[tuple[ValueBlock, int]] = []
        self._seen = 0
        self._stride = stride
        self._has_chart = has_chart

    def add(self, block: ValueBlock, rows: npt.NDArray[np.int64]) -> None:
        """Pick from the series' rows in a block."""
        rest = max(0, _ROWS - self._seen)
        if rest:
            self._first.append((_copied(block, rows[:rest]), self._seen))
        start = max(rest, len(rows) - _ROWS)
        self._last.append((_copied(block, rows[start:]), self._seen + start))
        while sum(len(each) for each, _ in self._last[1:]) >= _ROWS:
            del self._last[0]
        if self._has_chart:
            self.chart.append((_copied(block, rows[-self._seen % self._stride :: self._stride]), self._seen))
        self._seen += len(rows)

    @property
    def ends(self) -> tuple[list[tuple[ValueBlock, int]], list[tuple[ValueBlock, int]]]:
        """The first values and the last values; no value is in both."""
        return self._first, self._last

    @property
    def has_all(self) -> bool:
        """Whether every value of the series is among the first and the last."""
        return self._seen <= 2 * _ROWS


def _copied(block: ValueBlock, rows: npt.NDArray[np.int64]) -> ValueBlock:
    """Return a copy of some values, without those that are too large; the memory of a block is reused."""
    rows = rows[block.columns.payload_length[rows] <= _LARGE]
    columns = ValueColumns()
    for name in COLUMN_NAMES:
        setattr(columns, name, getattr(block.columns, name)[rows].copy())
    columns.size = len(rows)
    payload = b"".join(bytes(block.payload(row)) for row in rows.tolist())
    ends = np.cumsum(columns.payload_length, dtype=np.int64)
    columns.payload_offset[:] = ends - columns.payload_length
    return ValueBlock(columns, memoryview(payload), 0, block.is_unpacked)


def _decoded(reader: RunReader, number: int, picked: list[tuple[ValueBlock, int]]) -> pl.DataFrame | None:
    """Return the rows of picked values, or None if there are none."""
    groupings = (reader.regroup(block, {number: before}) for block, before in picked)
    items = (item for each in groupings for item in reader.decode_grouping(each, lambda other: other == number))
    pieces = (item.part for item in items if not isinstance(item, UndecodableValue))
    frames = [piece.frame for piece in pieces if not piece.is_log_wide and not piece.kind]
    return pl.concat(frames) if frames else None


def _cells(frame: pl.DataFrame) -> list[list[Any]]:
    return [list(row) for row in zip(*(_column(frame[name]) for name in frame.columns), strict=True)]


def _column(column: pl.Series) -> list[Any]:
    """Return the cells of a column for JSON; a float32 has the same digits as in the table."""
    if column.dtype == pl.Float32:
        column = column.cast(pl.String).cast(pl.Float64)
    return [_cell(cell) for cell in column]


def _cell(cell: Any) -> Any:
    if isinstance(cell, float) and not math.isfinite(cell):
        return "NaN" if math.isnan(cell) else "Infinity" if cell > 0 else "-Infinity"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return exact_step(cell)
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "backslashreplace")
    return f"{cell[:_CELL]}…" if isinstance(cell, str) and len(cell) > _CELL else cell
