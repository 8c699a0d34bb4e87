"""Tables in one format, as rows come or whole, whichever the format takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.errors import OutputError
from tb2csv.sinks.append_writer import AppendWriter, TableRows
from tb2csv.sinks.format_protocols import TextFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from tb2csv.sinks.format_protocols import WholeFormat
    from tb2csv.sinks.output_folder import OutputFolder
    from tb2csv.sinks.row_buffer import RowBuffer


class TableWriter:
    """Writes tables into a folder. For one thread at a time, but for as many runs as there are."""

    def __init__(self, folder: OutputFolder, table_format: TextFormat | WholeFormat, held: RowBuffer) -> None:
        """Write below ``folder``; ``held`` takes the rows of tables that can only be written whole."""
        self.format = table_format
        self._folder = folder
        self._held = held
        self._appending = AppendWriter(folder, table_format) if isinstance(table_format, TextFormat) else None

    def append(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        """Append rows of a frame to the tables that they belong to: now, before ``flush``, or before ``finish``."""
        if self._appending:
            self._appending.append(frame, tables)
        else:
            self._held.append(frame, tables)

    def finish(self, path: str) -> None:
        """Write a table for which all rows have been appended, where the format asked to wait for them."""
        if not self._appending:
            self.write(path, (batch.frame for batch in self._held.batches([path])))
            self._held.release(path)

    def write(self, path: str, pieces: Iterable[pl.DataFrame]) -> None:
        """Write a whole table, which comes in one piece or more; raises OutputError where it cannot be written."""
        if isinstance(self.format, TextFormat):
            for piece in pieces:
                self.append(piece, [TableRows(path, 0, len(piece))])
            return
        import polars as pl

        try:
            with self._held.staged(pieces) as table:
                self.format.write(table, self._folder.location(path))
        except pl.exceptions.ComputeError as error:  # what polars makes of some of the errors of a disk
            message = f"The table {path} could not be written ({error}); nothing was changed."
            raise OutputError(message) from error

    def flush(self) -> None:
        """Write what waits for other tables."""
        if self._appending:
            self._appending.flush()
