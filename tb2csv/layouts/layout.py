"""The protocol of layouts, which decide which rows share a table, and write these tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.manifest import TableEntry
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreeTable
    from tb2csv.notes import Note
    from tb2csv.sinks.format_protocols import TextFormat, WholeFormat


@dataclass(slots=True)
class JoinedTables:
    """Tables that a layout made of tables of the tree, and the tables that are still held."""

    #: Their entries in the index.
    entries: list[TableEntry] = field(default_factory=list)
    #: Their folders of files.
    stored: list[str] = field(default_factory=list)
    #: The tables whose rows are still held.
    held: list[HeldTable] = field(default_factory=list)
    #: The number of decoded values that are in no table.
    left_out: int = 0
    notes: list[Note] = field(default_factory=list)


class Layout(Protocol):
    """A layout, which joins tables of the tree, or leaves them as they are.

    The rows of tables that it joins are held until the run, or all runs, have been read.
    """

    @property
    def leading(self) -> tuple[str, ...]:
        """The columns of joined tables before those of the tree: some of ``run`` and ``tag``."""

    def check(self, options: OutputOptions) -> None:
        """Raise OptionError if the layout does not support other options."""

    def joins(self, kind: str) -> bool:
        """Return whether tables of a kind are joined."""

    def joins_by_step(self, kind: str) -> bool:
        """Return whether values of several tags share a row, one row for each step."""

    def identity(self, table: TreeTable, columns: Hashable) -> Hashable:
        """Return a key that is the same for all tables of the tree that are joined; ``columns`` are the table's."""

    def table_format(self, options: OutputOptions) -> TextFormat | WholeFormat:
        """Return the format of joined tables."""

    def write_run(self, output: Output, run: str, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the joined tables of one run, after it has been read."""

    def write_log(self, output: Output, held: Sequence[HeldTable]) -> JoinedTables:
        """Write the joined tables of several runs, after all have been read; no rows are held afterwards."""
