"""The base of layouts that join tables of the tree one below the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tb2csv.layouts.layout import JoinedTables
from tb2csv.layouts.table_paths import FILES_ENDING
from tb2csv.layouts.tree_layout import TreeLayout

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.table_paths import TreePlace, TreeTable


class RowLayout(TreeLayout, ABC):
    """A layout that joins tables with the same key, part and columns, in the order of the runs."""

    #: The columns that are written, by their new names; if empty, all columns keep their names.
    renamed: Mapping[str, str] = {}

    @abstractmethod
    def key(self, table: TreeTable) -> str:
        """Return the key, which is the same for all tables that are joined."""

    @abstractmethod
    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the path of the joined table, without part and extension, and the part."""

    def files(self, place: TreePlace) -> str:
        """Return the folder of a table's files, relative to that of the joined table; it is unique to the table."""
        return place.stem + FILES_ENDING

    def name_source(self, place: TreePlace) -> str:
        """Return a text that identifies the joined table, in case two tables have the same path."""
        return self.key(place.table)

    def joins(self, kind: str) -> bool:
        """Join all kinds."""
        return True

    def identity(self, table: TreeTable, columns: Hashable) -> Hashable:
        """Return the key, the part and the columns."""
        return self.key(table), table.part, columns

    def write_run(self, output: Output, run: str, held: Sequence[HeldTable]) -> JoinedTables:
        """Hold the rows until all runs have been read."""
        return JoinedTables(held=list(held))

    def write_log(self, output: Output, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the tables of all runs."""
        if not held:
            return JoinedTables()
        from tb2csv.layouts.joined_rows import write_joined_rows

        return write_joined_rows(output, self, held)
