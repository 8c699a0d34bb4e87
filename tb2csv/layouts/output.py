"""The output of a conversion: its folder, the paths in it, and the writers of its tables."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tb2csv.daemon_executor import at_once
from tb2csv.errors import OutputError
from tb2csv.sinks.row_buffer import RowBuffer
from tb2csv.sinks.table_writer import TableWriter, lost_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.layouts.joined_parts import EarlierWide, JoinedParts
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreePaths
    from tb2csv.notes import Note
    from tb2csv.sinks.format_protocols import TextFormat, WholeFormat
    from tb2csv.sinks.table_folder import TableFolder


class SeveralKindsError(OutputError):
    """A table that is to have all values got values of a second kind."""


class Output:
    """The folder, layout and formats of a conversion's tables, shared by all threads."""

    def __init__(self, folder: TableFolder, paths: TreePaths, options: OutputOptions) -> None:
        """Prepare to write tables to ``folder``."""
        self.folder = folder
        self.options = options
        self.layout = options.chosen_layout
        self.paths = paths
        self.held = RowBuffer(folder)
        #: The parts of the tables of several runs that an earlier conversion wrote, by the path of the table.
        self.earlier: dict[str, JoinedParts] = {}
        #: The table of scalars side by side that an earlier conversion wrote, by the run, if the run grows.
        self.earlier_wide: dict[str, EarlierWide] = {}
        self._kinds: set[str] = set()
        # One writer for each format and thread, so that small tables of many runs are written together.
        self._writers: dict[tuple[type, int], TableWriter] = {}

    def check_kind(self, kind: str) -> None:
        """Raise SeveralKindsError for the first rows of a second kind, if all rows are for one table."""
        if self.options.is_one_table and self.options.layout == "long":
            self._kinds.add(kind)
            if len(self._kinds) > 1:
                message = f"Values of the kinds {' and '.join(sorted(self._kinds))} do not fit into one table."
                raise SeveralKindsError(message)

    def tree_writer(self) -> TableWriter:
        """Return this thread's writer of tables that are not joined."""
        return self._writer(self.options.table_format)

    def joined_writer(self) -> TableWriter:
        """Return this thread's writer of tables that the layout joins."""
        return self._writer(self.layout.table_format(self.options))

    def flush(self) -> tuple[Mapping[str, int], list[Note]]:
        """Write the rows that are still buffered, after all threads are done.

        Returns:
            The number of cells that a format wrote as missing although they have a value, by the path of the table, and
            the notes on them.
        """
        at_once(TableWriter.flush, iter(self._writers.values()))
        return lost_cells(self._writers.values())

    def _writer(self, table_format: TextFormat | WholeFormat) -> TableWriter:
        key = (type(table_format), threading.get_ident())
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = TableWriter(self.folder, table_format, self.held)
        return writer
