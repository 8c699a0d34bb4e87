"""The layout ``wide``: the scalars of a run side by side, in one table with a row for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.errors import OptionError
from tb2csv.layouts.clocks import notes_on_clocks
from tb2csv.layouts.layout import JoinedTables
from tb2csv.layouts.table_paths import SCALARS
from tb2csv.layouts.tree_layout import TreeLayout
from tb2csv.messages import Option, advice
from tb2csv.notes import Note

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

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
        """Write the scalars of the run, unless those of all runs share a table."""
        if not held or output.options.is_one_table:
            return JoinedTables()
        from tb2csv.layouts.wide_rows import write_wide_table

        entry, duplicates = write_wide_table(output, run, held)
        left_out = {run: duplicates}
        return JoinedTables([entry], left_out=left_out, notes=_notes(output, held, left_out))

    def write_log(self, output: Output, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the scalars of all runs below each other, if they share a table."""
        if not held or not output.options.is_one_table:
            return JoinedTables()
        from tb2csv.layouts.wide_rows import write_wide_runs

        entry, duplicates = write_wide_runs(output, held)
        return JoinedTables([entry], left_out=duplicates, notes=_notes(output, held, duplicates))


def _notes(output: Output, held: Sequence[HeldTable], duplicates: Mapping[str, int]) -> list[Note]:
    """Return notes on runs with values that another one of the same tag and step replaces, and on their clocks."""
    details = {"kept": output.options.on_duplicate}
    notes = [
        Note("duplicates_left_out", run, count=count, details=details) for run, count in duplicates.items() if count
    ]
    return [*notes, *notes_on_clocks(held)]
