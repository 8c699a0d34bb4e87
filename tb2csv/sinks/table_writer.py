"""Write tables in one format: row by row or as a whole, depending on the format."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OutputError
from tb2csv.late_modules import np, pl
from tb2csv.messages import Option, advice
from tb2csv.notes import Note
from tb2csv.sinks.append_writer import AppendWriter, TableRows
from tb2csv.sinks.format_protocols import CompressedFormat, LossyFormat, ReadableFormat, TextFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from tb2csv.sinks.format_protocols import WholeFormat
    from tb2csv.sinks.row_buffer import RowBuffer
    from tb2csv.sinks.table_folder import TableFolder


#: The advice if a table does not have the rows that were written to it.
_REPLACE: Final = advice("{} to convert everything anew", Option("overwrite", value=True))


def lost_cells(writers: Iterable[TableWriter]) -> tuple[Mapping[str, int], list[Note]]:
    """Return the number of cells that lossy formats wrote as missing, by the paths of tables, and the notes on them."""
    by_format: dict[LossyFormat, Counter[str]] = {}
    for writer in writers:
        if writer.lossy:
            by_format.setdefault(writer.lossy, Counter()).update(+writer.lost_cells)  # without those that lost none
    # In the order of the index; the order of counting depends on the threads.
    ordered = {
        lossy: dict(sorted(lost.items(), key=lambda item: item[0].split("/"))) for lossy, lost in by_format.items()
    }
    notes = [
        Note(
            "made_null",
            count=sum(lost.values()),
            counts=tuple(lost.items()),
            details={"cells": lossy.lost, "kept_by": lossy.lossless},
        )
        for lossy, lost in ordered.items()
        if lost
    ]
    return {path: count for lost in ordered.values() for path, count in lost.items()}, notes


class TableWriter:
    """Writes tables into a folder. One thread at a time may use it, for any number of runs."""

    def __init__(self, folder: TableFolder, table_format: TextFormat | WholeFormat, held: RowBuffer) -> None:
        """Write below ``folder``; ``held`` keeps the rows of tables that are written as a whole."""
        self.format = table_format
        #: The number of cells that the format wrote as missing although they have a value, by path of the table.
        self.lost_cells: Counter[str] = Counter()
        self.lossy = table_format if isinstance(table_format, LossyFormat) else None
        self._folder = folder
        self._held = held
        #: The columns and the number of rows of tables that were written earlier, if all rows are needed.
        self._earlier: dict[str, tuple[Mapping[str, pl.DataType], int]] = {}
        self._appending: AppendWriter | None = None
        if isinstance(table_format, TextFormat) and not isinstance(table_format, CompressedFormat):
            self._appending = AppendWriter(folder, table_format)

    @property
    def is_appended(self) -> bool:
        """Whether rows are appended to the tables that have rows already."""
        return self._appending is not None

    def resume(self, path: str, schema: Mapping[str, pl.DataType], rows: int, lost_cells: int, length: int) -> None:
        """Continue a table of ``length`` bytes that has rows already, ``lost_cells`` of whose cells were lost."""
        if self._appending:
            earlier = self._folder.earlier
            assert earlier
            earlier.expect(path, length)
            self._appending.resume([path])
        else:
            self._earlier[path] = schema, rows
        if lost_cells:
            self.lost_cells[path] = lost_cells

    def append(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        """Append rows of a frame to their tables: at once, at ``flush``, or at ``finish``."""
        if self._appending:
            if self.lossy:
                self._count_lost(self.lossy.lost_cells(frame), tables)
            self._appending.append(frame, tables)
        else:
            self._held.append(frame, tables)

    def finish(self, path: str) -> None:
        """Write a table whose rows have all been appended, if the format needs all rows."""
        if self._appending:
            return
        if path in self._earlier:
            if not self._held.has(path):
                return  # it has no new rows
            self._read_back(path, *self._earlier[path])
        self.write(path, (batch.frame for batch in self._held.batches([path])))
        self._held.release(path)

    def _read_back(self, path: str, schema: Mapping[str, pl.DataType], count: int) -> None:
        """Hold the rows of a table that was written earlier before its new rows."""
        earlier = self._folder.earlier
        assert isinstance(self.format, ReadableFormat)
        assert earlier
        try:
            rows = self.format.read(earlier.published(path), schema)
            found = rows.lazy().select(pl.len()).collect().item()
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = str(error).partition("\n")[0]
            raise OutputError(f"{path} was changed since the last update: {reason}", _REPLACE) from error
        if found != count:
            fact = f"{path} was changed since the last update: it has {found:,} rows instead of {count:,}"
            raise OutputError(fact, _REPLACE)
        self._held.put_first(path, rows, count)

    def write(self, path: str, pieces: Iterable[pl.DataFrame]) -> None:
        """Write a whole table from its pieces.

        Raises:
            OutputError: the table cannot be written.
        """
        if isinstance(self.format, CompressedFormat):
            with self._folder.open(path) as file:
                self.format.write_pieces(pieces, file)
            return
        if isinstance(self.format, TextFormat):
            for number, piece in enumerate(pieces):
                self.append(piece, [TableRows(path, 0, len(piece), is_first=not number)])
            return
        try:
            with self._held.staged(pieces) as table:
                self.format.write(table, self._folder.location(path))
        # polars raises the first for some errors of a disk, and the second if earlier rows of the table are damaged.
        except (pl.exceptions.ComputeError, pl.exceptions.PanicException) as error:
            reason = str(error).partition("\n")[0]
            message = f"The table {path} could not be written ({reason}); nothing was changed."
            raise OutputError(message) from error

    def _count_lost(self, lost: npt.NDArray[np.int64], tables: list[TableRows]) -> None:
        """Add the lost cells of each row to the count of its table."""
        if not lost.any():
            return
        before = np.concatenate(([0], np.cumsum(lost)))
        for table in tables:
            if before[table.stop] > before[table.start]:
                self.lost_cells[table.path] += int(before[table.stop] - before[table.start])

    def flush(self) -> None:
        """Write all collected rows."""
        if self._appending:
            self._appending.flush()
