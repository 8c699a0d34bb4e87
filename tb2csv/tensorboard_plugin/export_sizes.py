"""Estimates of the size of an export from its layout, tensor style, time columns and format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.layouts.layouts import LAYOUTS
from tb2csv.tensorboard_plugin.table_sizes import NUMBER_BYTES, bytes_of_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tb2csv.tensorboard_plugin.export_request import ExportRequest
    from tb2csv.tensorboard_plugin.run_counts import CountedSeries

    _Chosen = Iterable[tuple[str, CountedSeries]]

#: The size of a table in a format relative to CSV, measured on float32 scalars of one run.
_SIZE_OF_FORMAT: Final = {
    "csv": 1.0,
    "csv.gz": 0.42,
    "csv.zst": 0.42,
    "parquet": 0.45,
    "arrow": 0.6,
    "jsonl": 2.2,
    "jsonl-null": 2.2,
    "xlsx": 0.6,
}
#: Bytes of a cell in a time column, with its comma.
_TIME_CELLS: Final = {"epoch": 18, "iso": 28, "relative": 19}
#: Kinds whose bytes are in files next to their tables, whose size does not depend on the format.
_OF_FILES: Final = frozenset({"images", "audio"})
#: Bytes of the cells for dtype, shape and path, and bytes of the header of a .npy file.
_DESCRIPTION: Final = 22
_NPY_HEADER: Final = 128


class ExportSize(NamedTuple):
    """The rows and bytes of all tables."""

    rows: int
    bytes: int


class _Rows(NamedTuple):
    """The rows and bytes of one series, with its times and steps."""

    rows: float
    bytes: float


def size_of_export(request: ExportRequest, chosen: _Chosen) -> ExportSize:
    """Return the estimated size of an export of these series, each with its run."""
    rows = text = stored = 0.0
    widths: dict[str, tuple[float, int]] = {}
    added = sum(_TIME_CELLS[style] for style in request.time) - _TIME_CELLS["epoch"]
    layout = LAYOUTS[request.chosen_layout]
    for run, series in chosen:
        names = {"run": run, "tag": series.tag}
        size = _TENSORS[request.tensors](series) if series.kind == "tensors" else _elements(series)
        if series.kind in _OF_FILES:
            stored += size.bytes
            rows += size.rows
        elif layout.joins_by_step(series.kind):
            longest, last_step = widths.get(run, (0.0, 0))
            widths[run] = max(longest, size.rows), max(last_step, series.last_step)
            text += size.rows * NUMBER_BYTES
        else:
            rows += size.rows
            text += size.bytes + size.rows * (added + sum(len(names[column]) + 1 for column in layout.leading))
    for longest, last_step in widths.values():
        rows += longest
        text += bytes_of_table(longest, added, last_step)
    name = "xlsx" if request.file == "xlsx" else request.format
    return ExportSize(round(rows), round(text * _SIZE_OF_FORMAT.get(name, 1.0) + stored))


def _elements(series: CountedSeries) -> _Rows:
    return _Rows(series.rows, series.text_bytes)


def _wide(series: CountedSeries) -> _Rows:
    return _Rows(series.points, _times(series) + series.rows * NUMBER_BYTES)


def _base64(series: CountedSeries) -> _Rows:
    return _Rows(series.points, _times(series) + series.points * _DESCRIPTION + series.payload_bytes * 4 / 3)


def _npy(series: CountedSeries) -> _Rows:
    path = len(series.tag) + _DESCRIPTION
    return _Rows(series.points, _times(series) + series.points * (path + _NPY_HEADER) + series.payload_bytes)


def _times(series: CountedSeries) -> int:
    return bytes_of_table(series.points, 0, series.last_step)


#: By tensor style.
_TENSORS: Final[dict[str, Callable[[CountedSeries], _Rows]]] = {
    "elements": _elements,
    "wide": _wide,
    "base64": _base64,
    "npy": _npy,
}
