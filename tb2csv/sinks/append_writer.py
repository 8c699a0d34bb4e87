"""Tables that grow at their end: rows are written to text files as they come.

One call of polars for each table would cost more than the text itself where tables are small, so small tables of the
same columns wait for one another, are written in one call, and the text is cut at the line feeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from tb2csv.sinks.format_protocols import TextFormat
    from tb2csv.sinks.output_folder import OutputFolder

#: From so many rows on a table is written by a call of its own.
_LARGE: Final = 4096

#: So many rows of small tables are written at the latest.
_WAITING: Final = 1 << 16


class TableRows(NamedTuple):
    """The rows ``start`` to ``stop`` of a frame, which belong to the table at ``path``, relative to the folder."""

    path: str
    start: int
    stop: int


class AppendWriter:
    """Writes tables into a folder; rows that come later for the same path are appended.

    Not all is written before ``flush``. For one thread at a time, but for as many runs as there are.
    """

    def __init__(self, folder: OutputFolder, text: TextFormat) -> None:
        """Write below ``folder``."""
        self._folder = folder
        self._format = text
        self._begun: set[str] = set()
        #: What waits to be written, all of the same columns.
        self._waiting: list[tuple[pl.DataFrame, list[TableRows]]] = []
        self._waiting_rows = 0
        self._waiting_schema: pl.Schema | None = None

    def append(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        """Append rows of a frame to the tables that they belong to; a new table gets its header."""
        schema = frame.schema
        is_alike = bool(self._waiting) and self._waiting_schema == schema
        if not is_alike:
            self.flush()
        large = tables
        if is_alike or self._format.is_cut(schema):
            large = [table for table in tables if table.stop - table.start >= _LARGE]
            small = [table for table in tables if table.stop - table.start < _LARGE]
            if small:
                self._waiting.append((frame, small))
                self._waiting_rows += len(frame)
                self._waiting_schema = schema
        if large:
            self.flush()  # some of it may be of the same tables
        for table in large:
            with self._folder.open(table.path, append=True) as file:
                rows = frame.slice(table.start, table.stop - table.start)
                self._format.append(rows, file, is_first=table.path not in self._begun)
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
        header = self._format.header(tuple(frames[0].columns))
        text = self._format.lines(pl.concat(frames, rechunk=False))
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
        starts = np.concatenate(([0], ends))
        before = 0
        for frame, tables in waiting:
            for path, start, stop in tables:
                lines = text[int(starts[before + start]) : int(starts[before + stop])]
                self._folder.append(path, lines if path in self._begun else header + lines)
                self._begun.add(path)
            before += len(frame)
