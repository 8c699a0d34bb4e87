"""Tables in one format, as rows come or whole, whichever the format takes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tb2csv.errors import OutputError
from tb2csv.sinks.append_writer import AppendWriter, TableRows
from tb2csv.sinks.format_protocols import LossyFormat, TextFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt
    import polars as pl

    from tb2csv.messages import Note
    from tb2csv.sinks.format_protocols import WholeFormat
    from tb2csv.sinks.output_folder import OutputFolder
    from tb2csv.sinks.row_buffer import RowBuffer


def lost_cells(writers: Iterable[TableWriter]) -> tuple[Mapping[str, int], list[Note]]:
    """Return how many cells a lossy format wrote as missing ones, by the paths of their tables, and the notes on it."""
    by_format: dict[LossyFormat, Counter[str]] = {}
    for writer in writers:
        if writer.lossy:
            by_format.setdefault(writer.lossy, Counter()).update(writer.lost_cells)
    # In the order of the index: that of counting depends on the threads.
    ordered = {
        lossy: dict(sorted(lost.items(), key=lambda item: item[0].split("/"))) for lossy, lost in by_format.items()
    }
    notes = [lossy.note(lost) for lossy, lost in ordered.items() if lost]
    return {path: count for lost in ordered.values() for path, count in lost.items()}, notes


class TableWriter:
    """Writes tables into a folder. For one thread at a time, but for as many runs as there are."""

    def __init__(self, folder: OutputFolder, table_format: TextFormat | WholeFormat, held: RowBuffer) -> None:
        """Write below ``folder``; ``held`` takes the rows of tables that can only be written whole."""
        self.format = table_format
        #: How many cells the format wrote as missing ones although they are not, by the path of the table.
        self.lost_cells: Counter[str] = Counter()
        self.lossy = table_format if isinstance(table_format, LossyFormat) else None
        self._folder = folder
        self._held = held
        self._appending = AppendWriter(folder, table_format) if isinstance(table_format, TextFormat) else None

    def append(self, frame: pl.DataFrame, tables: list[TableRows]) -> None:
        """Append rows of a frame to the tables that they belong to: now, before ``flush``, or before ``finish``."""
        if self._appending:
            if self.lossy:
                self._count_lost(self.lossy.lost_cells(frame), tables)
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

    def _count_lost(self, lost: npt.NDArray[np.int64], tables: list[TableRows]) -> None:
        """Add what is lost of each row to the counts of the tables that the rows belong to."""
        if not lost.any():
            return
        before = np.concatenate(([0], np.cumsum(lost)))
        for path, start, stop in tables:
            if before[stop] > before[start]:
                self.lost_cells[path] += int(before[stop] - before[start])

    def flush(self) -> None:
        """Write what waits for other tables."""
        if self._appending:
            self._appending.flush()
