"""Tables as CSV files: UTF-8, comma, line feed, quotes only where needed, numbers as the shortest text that reads back.

polars writes the text. One call for each table would cost more than the text itself where tables are small, so small
tables of the same columns wait for one another, are written in one call, and the text is cut at the line feeds.
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

#: So many rows of small tables are written at the latest.
_WAITING: Final = 1 << 16


class TableRows(NamedTuple):
    """The rows ``start`` to ``stop`` of a frame, which belong to the table at ``path``."""

    path: PurePosixPath
    start: int
    stop: int


class CsvSink:
    """Writes tables into a folder; rows that come later for the same path are appended.

    Not all is written before ``flush``. For one thread at a time, but for as many runs as there are.
    """

    suffix = ".csv"

    def __init__(self, folder: TableFolder) -> None:
        """Write below ``folder``."""
        self._folder = folder
        self._begun: set[PurePosixPath] = set()
        #: What waits to be written, all of the same columns.
        self._waiting: list[tuple[pl.DataFrame, list[TableRows]]] = []
        self._waiting_rows = 0

    def append(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        """Append rows of a frame to the tables that they belong to; a new table gets its header."""
        if self._waiting and self._waiting[0][0].schema != frame.schema:
            self.flush()
        large = tables
        if _has_one_line_per_row(frame):
            large = [table for table in tables if table.stop - table.start >= _LARGE]
            small = [table for table in tables if table.stop - table.start < _LARGE]
            if small:
                self._waiting.append((frame, small))
                self._waiting_rows += len(frame)
        if large:
            self.flush()  # some of it may be of the same tables
        for table in large:
            with self._folder.open(table.path, append=True) as file:
                rows = frame.slice(table.start, table.stop - table.start)
                rows.write_csv(file, include_header=table.path not in self._begun)
            self._begun.add(table.path)
        if self._waiting_rows >= _WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        import polars as pl

        frames = [frame for frame, _ in self._waiting]
        waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
        header = _header(tuple(frames[0].columns))
        text = _csv_lines(pl.concat(frames, rechunk=False))
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
        starts = np.concatenate(([0], ends))
        before = 0
        for frame, tables in waiting:
            for path, start, stop in tables:
                lines = text[int(starts[before + start]) : int(starts[before + stop])]
                self._folder.append(path, lines if path in self._begun else header + lines)
                self._begun.add(path)
            before += len(frame)


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
