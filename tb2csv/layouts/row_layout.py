"""Layouts that put tables of the tree one below the other."""

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
    """Joins tables of one key, one part and the same columns, in the order of the runs."""

    #: The columns that are written, by their new names; all, under their own names, if there are none.
    renamed: Mapping[str, str] = {}

    @abstractmethod
    def key(self, table: TreeTable) -> str:
        """Return what tables that are joined have in common, besides their part and their columns."""

    @abstractmethod
    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the path of the joined table, without its part and its ending, and its part."""

    def files(self, place: TreePlace) -> str:
        """Return the folder of one table's files, relative to that of the joined table; no two tables share one."""
        return place.stem + FILES_ENDING

    def name_source(self, place: TreePlace) -> str:
        """Return what the path is made of, which distinguishes it from an equal path of another table."""
        return self.key(place.table)

    def joins(self, kind: str) -> bool:
        """Join all."""
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
