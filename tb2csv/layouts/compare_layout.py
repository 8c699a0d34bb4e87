"""The layout ``compare``: the scalars of a tag in all runs side by side, with a column for each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.errors import OptionError
from tb2csv.layouts.layout import JoinedTables
from tb2csv.layouts.table_paths import SCALARS
from tb2csv.layouts.tree_layout import TreeLayout
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreeTable


class CompareLayout(TreeLayout):
    """The layout that joins the scalars of a tag as ``scalars/<tag>``, by step or by time.

    In a file for one table, all tags are in it.
    """

    def check(self, options: OutputOptions) -> None:
        """Raise OptionError for columns that differ between the values of a row."""
        if options.sessions:
            raise OptionError(
                "A row of the layout compare has values of several runs",
                advice("leave out {}", "sessions"),
                advice("choose another layout"),
            )
        fitting: dict[str, set[tuple[str, ...]]] = {
            "step": {("epoch",)},
            "relative": {("relative",)},
            "wall": {("epoch",), ("iso",), ("epoch", "iso")},
        }
        if options.times.styles not in fitting[options.axis]:
            raise OptionError(
                f"Rows by {options.axis} have no other column of time",
                advice("leave out {}", "time"),
                advice("choose rows by time with {}", Option("x", "relative")),
            )

    def joins(self, kind: str) -> bool:
        """Join scalars."""
        return kind == SCALARS

    def joins_by_step(self, kind: str) -> bool:
        """Join scalars."""
        return kind == SCALARS

    def identity(self, table: TreeTable, columns: Hashable) -> Hashable:
        """Return the tag for a table of scalars, and the table itself for others."""
        return (table.tag_bytes, SCALARS) if table.kind == SCALARS else table

    def write_log(self, output: Output, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the scalars of all runs."""
        if not held:
            return JoinedTables()
        from tb2csv.layouts.compared_runs import write_compared_runs

        return write_compared_runs(output, held)
