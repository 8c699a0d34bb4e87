"""The parts of a joined table, which show whether an update can leave it, append to it, or must write it again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.manifest import TableEntry


class JoinedPart(NamedTuple):
    """The rows of one table of the tree, and all else that decides about their bytes in the joined table."""

    #: The path in the tree.
    path: str
    rows: int
    #: The origin of relative times; None if it is not known.
    origin: float | None
    #: The folder of its files; empty if it has none.
    folder: str

    @classmethod
    def of(cls, member: HeldTable, folder: str) -> JoinedPart:
        """Return the part that a table of the tree is; ``folder`` is that of its files, if it has any."""
        table = member.table
        origin = member.origin if math.isfinite(member.origin) else None
        return cls(member.path, table.entry.rows, origin, folder if table.has_files else "")


class EarlierWide(NamedTuple):
    """The table of a run's scalars, side by side, that an earlier conversion wrote."""

    entry: TableEntry
    #: The paths of its tables in the tree.
    paths: list[str]
    #: The origin of relative times, which may be NaN.
    origin: float
    #: The length in bytes.
    length: int
    #: The number of values that are not in it, because another value of the same tag and step is.
    left_out: int

    def has_all_columns(self, members: Sequence[HeldTable]) -> bool:
        """Return whether a table of these tables of the tree would have the same columns and origin."""
        origins = [self.origin, members[0].origin]
        is_alike = origins[0] == origins[1] or not any(map(math.isfinite, origins))
        return is_alike and [member.path for member in members] == self.paths


@dataclass(slots=True, eq=False, repr=False)
class JoinedParts:
    """The parts of a joined table, in their order, and the names and types of its columns."""

    parts: list[JoinedPart]
    columns: list[list[str]]
    #: The length of the table in bytes, and its lost cells.
    length: int = 0
    lost_cells: int = 0

    @classmethod
    def of(cls, parts: list[JoinedPart], schema: Mapping[str, pl.DataType]) -> JoinedParts:
        """Return the parts of a table with these columns."""
        return cls(parts, [[name, str(dtype)] for name, dtype in schema.items()])

    def to_data(self) -> list[Any]:
        """Return the parts as data for JSON."""
        return [self.parts, self.columns, self.length, self.lost_cells]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> JoinedParts:
        """Return the parts that ``to_data`` described."""
        parts, *rest = data
        return cls([JoinedPart(*part) for part in parts], *rest)

    def first_new(self, earlier: JoinedParts, kept_rows: Iterable[int]) -> int | None:
        """Return the number of the first part with rows that ``earlier`` does not have, if all others come before it.

        Args:
            earlier: the parts of the table as it was written.
            kept_rows: the number of rows of each part that are unchanged since then.

        Returns:
            The number of parts if nothing is new, and None if a row is not at the end, or is gone.
        """
        if self.columns != earlier.columns or len(self.parts) < len(earlier.parts):
            return None
        # Rows of a table of the tree are only added, unless all of them are replaced.
        alike = zip(earlier.parts, self.parts, kept_rows, strict=False)
        if not all(old[0] == new[0] and old[2:] == new[2:] and old.rows == kept for old, new, kept in alike):
            return None
        grown = [old.rows < new.rows for old, new in zip(earlier.parts, self.parts, strict=False)]
        if any(grown[:-1]):
            return None
        return len(grown) - any(grown)
