"""Tables of the tree while a run is read, and those that are held until their layout joins them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tb2csv.layouts.table_paths import FILES_ENDING
from tb2csv.sinks.output_folder import SCRATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.layouts.manifest import TableEntry
    from tb2csv.layouts.table_paths import TreePlace
    from tb2csv.time_series import Series

_Cell = TypeVar("_Cell")


@dataclass(slots=True)
class RunTable:
    """A table of one run and tag, while the run is read."""

    place: TreePlace
    entry: TableEntry
    #: The series of the table; the first, if several series have undecodable payloads.
    series: Series
    #: Whether its rows are held until the layout joins them with others.
    is_joined: bool
    #: Whether files belong to the table.
    has_files: bool = False

    @property
    def files(self) -> str:
        """The folder of its files: next to the table, or in the scratch folder until its rows are joined."""
        return f"{SCRATCH}/{self.place.stem}{FILES_ENDING}" if self.is_joined else self.place.stem + FILES_ENDING


class HeldTable(NamedTuple):
    """A table whose rows are held until they become part of a joined table."""

    table: RunTable
    #: The origin of its relative times, in seconds since 1970.
    origin: float

    @property
    def series(self) -> Series:
        """The series of the table."""
        return self.table.series


def shared_cell(cells: Sequence[_Cell]) -> _Cell | None:
    """Return the value that all cells have; None if they differ."""
    return cells[0] if all(cell == cells[0] for cell in cells) else None
