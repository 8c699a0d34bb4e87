"""The protocol of layouts, which decide which rows share a table.

Rows are decoded per run and tag, as for the layout ``tree``. Other layouts merge these tables: a joined table is made
of several tables of the tree, whose rows are held until it can be written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.joined_parts import JoinedParts
    from tb2csv.layouts.manifest import TableEntry
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreeTable
    from tb2csv.notes import Note
    from tb2csv.report import RunReport
    from tb2csv.sinks.format_protocols import TextFormat, WholeFormat


@dataclass(slots=True, eq=False, repr=False)
class JoinedTables:
    """The joined tables that a layout wrote."""

    #: The entries of the joined tables in the index.
    entries: list[TableEntry] = field(default_factory=list)
    #: The folders of their files, such as images.
    stored: list[str] = field(default_factory=list)
    #: By run, the number of decoded values that are in no table.
    left_out: Mapping[str, int] = field(default_factory=dict)
    #: Notes on a run, and on tables of several runs.
    notes: list[Note] = field(default_factory=list)
    #: The parts of each table of several runs, by its path.
    parts: dict[str, JoinedParts] = field(default_factory=dict)

    def account(self, report: RunReport) -> None:
        """Add what was left out of a run, and the notes on it, to its report."""
        count = self.left_out.get(report.run, 0)
        report.values_written -= count
        report.values_filtered += count
        report.notes += [note for note in self.notes if note.run == report.run]


class Layout(Protocol):
    """A layout, which joins tables of the tree or leaves them unchanged.

    ``layouts.LAYOUTS`` lists the implementations; TreeLayout is the base of all of them.
    """

    @property
    def leading(self) -> tuple[str, ...]:
        """The columns that joined tables have before those of the tree: ``run``, ``tag``, both or none."""

    def check(self, options: OutputOptions) -> None:
        """Raise OptionError if the layout does not support one of the other options."""

    def joins(self, kind: str) -> bool:
        """Return whether tables of a kind are joined."""

    def joins_by_step(self, kind: str) -> bool:
        """Return whether joined tables of a kind have one row per step, with the values of several tags."""

    def identity(self, table: TreeTable, columns: Hashable) -> Hashable:
        """Return a key that is equal for tables of the tree that are joined; ``columns`` are those of ``table``."""

    def table_format(self, options: OutputOptions) -> TextFormat | WholeFormat:
        """Return the format of joined tables."""

    def write_run(self, output: Output, run: str, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the joined tables of one run, after it has been read."""

    def write_log(self, output: Output, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the joined tables of several runs, after all have been read."""
