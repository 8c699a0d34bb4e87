"""The base class of layouts whose joined tables have the rows of the tables of the tree, one after another."""

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
    """A layout that concatenates tables with the same key, part and columns, in the order of the runs."""

    #: The columns to write, by their new names; if empty, all columns are written under their own names.
    renamed: Mapping[str, str] = {}

    @abstractmethod
    def key(self, table: TreeTable) -> str:
        """Return the key, which is equal for all tables that are joined."""

    @abstractmethod
    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the path stem of the joined table and the name of its part."""

    def files(self, place: TreePlace) -> str:
        """Return the folder for a table's files, which no other table has, relative to the joined table's folder."""
        return place.stem + FILES_ENDING

    def name_source(self, place: TreePlace) -> str:
        """Return a text that identifies the joined table, from which distinct names are made if two paths collide."""
        return self.key(place.table)

    def joins(self, kind: str) -> bool:
        """Join all kinds."""
        return True

    def identity(self, table: TreeTable, columns: Hashable) -> Hashable:
        """Return the key, the part and the columns."""
        return self.key(table), table.part, columns

    def write_run(self, output: Output, run: str, held: Sequence[HeldTable]) -> JoinedTables:
        """Hold the rows until all runs have been read."""
        return JoinedTables()

    def write_log(self, output: Output, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the tables of all runs."""
        if not held:
            return JoinedTables()
        from tb2csv.layouts.joined_rows import write_joined_rows

        return write_joined_rows(output, self, held)
