"""The layout ``wide``: the scalars of a run side by side, in one table with a row for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.errors import OptionError
from tb2csv.layouts.layout import JoinedTables
from tb2csv.layouts.table_paths import SCALARS
from tb2csv.layouts.tree_layout import TreeLayout
from tb2csv.messages import Option, advice
from tb2csv.notes import Note

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreeTable


class WideLayout(TreeLayout):
    """The layout that joins the scalars of a run as ``<run>/scalars``. Values of other kinds do not fit into a cell."""

    def check(self, options: OutputOptions) -> None:
        """Raise OptionError for columns that differ between the values of a row."""
        if options.times.is_since_tag:
            raise OptionError(
                "A row of the wide layout has values of many tags, so its time is relative to the run",
                advice("leave out {}", Option("relative_to", "first-step")),
                advice("choose another layout"),
            )
        if options.sessions:
            raise OptionError(
                "A row of the wide layout may have values of several sessions",
                advice("leave out {}", "sessions"),
                advice("choose another layout"),
            )

    def joins(self, kind: str) -> bool:
        """Join scalars."""
        return kind == SCALARS

    def joins_by_step(self, kind: str) -> bool:
        """Join scalars."""
        return kind == SCALARS

    def identity(self, table: TreeTable, columns: Hashable) -> Hashable:
        """Return the run for a table of scalars, and the table itself for others."""
        return (table.run, SCALARS) if table.kind == SCALARS else table

    def write_run(self, output: Output, run: str, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the scalars of the run."""
        if not held:
            return JoinedTables()
        from tb2csv.layouts.wide_rows import write_wide_table

        entry, duplicates = write_wide_table(output, run, held)
        joined = JoinedTables([entry], left_out=duplicates)
        if duplicates:
            details = {"kept": output.options.on_duplicate}
            joined.notes.append(Note("duplicates_left_out", run, count=duplicates, details=details))
        return joined
