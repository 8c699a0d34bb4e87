"""Tables as CSV files: UTF-8, comma, line feed, quotes only where needed, numbers as the shortest text that reads back.

polars writes the text. One call for each table would cost more than the text itself where tables are small, so small
tables of the same columns are written in one call, and the text is cut at the line feeds.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    import polars as pl

    from tb2csv.sinks.folder import TableFolder

#: From so many rows on a table is written by a call of its own.
_LARGE: Final = 4096


class TableRows(NamedTuple):
    """The rows ``start`` to ``stop`` of a frame, which belong to the table at ``path``."""

    path: PurePosixPath
    start: int
    stop: int


class CsvSink:
    """Writes tables into a folder; rows that come later for the same path are appended."""

    suffix = ".csv"
    media_type = "text/csv"

    def __init__(self, folder: TableFolder) -> None:
        """Write below ``folder``."""
        self._folder = folder
        self._begun: set[PurePosixPath] = set()

    def append(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        """Append rows of a frame to the tables that they belong to; a new table gets its header."""
        small = [table for table in tables if table.stop - table.start < _LARGE]
        if len(small) < 2 or not _has_one_line_per_row(frame):  # noqa: PLR2004 - nothing to be saved
            small = []
        for table in tables if not small else [table for table in tables if table.stop - table.start >= _LARGE]:
            with self._folder.open(table.path, append=True) as file:
                rows = frame.slice(table.start, table.stop - table.start)
                rows.write_csv(file, include_header=table.path not in self._begun)
        if small:
            self._append_small(frame, small)
        self._begun.update(table.path for table in tables)

    def _append_small(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        first, last = min(table.start for table in tables), max(table.stop for table in tables)
        header = _header(tuple(frame.columns))
        text = _csv_lines(frame.slice(first, last - first))
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
        starts = np.concatenate(([0], ends))
        for table in tables:
            begin, end = int(starts[table.start - first]), int(starts[table.stop - first])
            lines = text[begin:end]
            self._folder.append(table.path, lines if table.path in self._begun else header + lines)


@functools.lru_cache(maxsize=256)
def _header(names: tuple[str, ...]) -> bytes:
    import polars as pl

    return pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_csv().encode()


def _csv_lines(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_csv(file, include_header=False)
    return file.getvalue()


def _has_one_line_per_row(frame: pl.DataFrame) -> bool:
    """Say whether no cell can hold a line feed."""
    return all(dtype.is_numeric() for dtype in frame.dtypes)
