"""Append rows to the text files of tables as they come.

For small tables, a call of polars costs more than the text. So small tables with the same columns are collected and
written in one call, and the text is split at line feeds.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final, NamedTuple

from tb2csv.daemon_executor import at_once
from tb2csv.file_batches import file_batches
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tb2csv.sinks.format_protocols import TextFormat
    from tb2csv.sinks.table_folder import TableFolder

#: The minimum number of rows for a table to be written on its own, and on average for several to be written at once.
_LARGE: Final = 4096

#: The maximum number of collected rows of small tables.
_WAITING: Final = 1 << 16

#: The maximum number of small tables with collected rows.
_WAITING_TABLES: Final = 1 << 13


class TableRows(NamedTuple):
    """The rows ``start`` to ``stop`` of a frame, which belong to the table at ``path`` below the folder."""

    path: str
    start: int
    stop: int
    #: Whether no rows of the table were appended before.
    is_first: bool


class _OpenedTable(NamedTuple):
    """Rows to append to a file."""

    file: IO[bytes]
    rows: pl.DataFrame
    is_first: bool


class AppendWriter:
    """Writes tables into a folder; later rows for the same path are appended.

    Rows may be kept until ``flush``. One thread at a time may use it, for any number of runs.
    """

    def __init__(self, folder: TableFolder, text: TextFormat) -> None:
        """Write below ``folder``."""
        self._folder = folder
        self._format = text
        #: The tables that have rows of an earlier conversion.
        self._resumed: set[str] = set()
        #: Collected rows, all with the same columns.
        self._waiting: list[tuple[pl.DataFrame, list[TableRows]]] = []
        self._waiting_rows = self._waiting_tables = 0
        self._waiting_schema: pl.Schema | None = None

    def resume(self, paths: Iterable[str]) -> None:
        """Append to tables that have rows already."""
        self._resumed.update(paths)

    def append(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        """Append rows of a frame to their tables; a new table gets its header."""
        schema = frame.schema
        is_alike = bool(self._waiting) and self._waiting_schema == schema
        if not is_alike:
            self.flush()
        large = tables
        if is_alike or self._format.has_one_line_per_row(schema):
            large = [table for table in tables if table.stop - table.start >= _LARGE]
            small = [table for table in tables if table.stop - table.start < _LARGE]
            if small:
                self._waiting.append((frame, small))
                self._waiting_rows += len(frame)
                self._waiting_tables += len(small)
                self._waiting_schema = schema
        if large:
            self.flush()  # it may have rows of the same tables
        opened = self._opened(frame, large)
        if len(large) > 1 and len(frame) >= _LARGE * len(large):
            at_once(self._write, opened)  # polars writes the text of one frame with one thread
        else:
            for table in opened:
                self._write(table)
        if self._waiting_rows >= _WAITING or self._waiting_tables >= _WAITING_TABLES:
            self.flush()

    def _opened(self, frame: pl.DataFrame, tables: Iterable[TableRows]) -> Iterator[_OpenedTable]:
        """Yield the rows of each table with its file, which the caller closes."""
        for table in tables:
            rows = frame.slice(table.start, table.stop - table.start)
            yield _OpenedTable(self._folder.open(table.path, append=True), rows, self._is_first(table))

    def _is_first(self, table: TableRows) -> bool:
        return table.is_first and table.path not in self._resumed

    def _write(self, table: _OpenedTable) -> None:
        with table.file as file:
            self._format.append(table.rows, file, is_first=table.is_first)

    def flush(self) -> None:
        """Write the collected rows."""
        if not self._waiting:
            return
        frames = [frame for frame, _ in self._waiting]
        waiting, self._waiting, self._waiting_rows, self._waiting_tables = self._waiting, [], 0, 0
        header = self._format.header(tuple(frames[0].columns))
        text = self._format.lines(pl.concat(frames, rechunk=False))
        pieces: list[tuple[str, bool]] = []
        rows: list[int] = []
        before = 0
        for frame, tables in waiting:
            for table in tables:
                rows += before + table.start, before + table.stop
                pieces.append((table.path, self._is_first(table)))
            before += len(frame)
        places = file_batches().row_starts(text, rows)
        self._folder.append_pieces(
            [
                (path, start, stop, is_first)
                for (path, is_first), start, stop in zip(pieces, places[::2], places[1::2], strict=True)
            ],
            text,
            header,
        )
