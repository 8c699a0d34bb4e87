"""The layout ``tree``: one table per run and tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.layouts.layout import JoinedTables, Layout

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreeTable
    from tb2csv.sinks.format_protocols import TextFormat, WholeFormat


class TreeLayout(Layout):
    """The layout that leaves the tables of the tree unchanged."""

    leading: tuple[str, ...] = ()

    def check(self, options: OutputOptions) -> None:
        """Accept all options."""

    def joins(self, kind: str) -> bool:
        """Join nothing."""
        return False

    def joins_by_step(self, kind: str) -> bool:
        """Join nothing."""
        return False

    def identity(self, table: TreeTable, columns: Hashable) -> Hashable:
        """Return the table itself, because no tables are joined."""
        return table

    def table_format(self, options: OutputOptions) -> TextFormat | WholeFormat:
        """Return the format of all tables."""
        return options.table_format

    def write_run(self, output: Output, run: str, held: Sequence[HeldTable]) -> JoinedTables:
        """Write nothing."""
        return JoinedTables()

    def write_log(self, output: Output, held: Sequence[HeldTable]) -> JoinedTables:
        """Write nothing."""
        return JoinedTables()
