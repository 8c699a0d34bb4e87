"""Tables of one run while they are written, and those of them whose rows are held for a layout."""

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
    """A table of one run and tag."""

    place: TreePlace
    entry: TableEntry
    #: The series that it is of; the first, if several have undecodable payloads.
    series: Series
    #: Whether its rows are held, for a layout that joins them with others.
    is_joined: bool
    #: Whether files belong to it.
    has_files: bool = False

    @property
    def files(self) -> str:
        """The folder of its files: beside it, or where they wait until its rows are joined with others."""
        return f"{SCRATCH}/{self.place.stem}{FILES_ENDING}" if self.is_joined else self.place.stem + FILES_ENDING


class HeldTable(NamedTuple):
    """A table whose rows are held, to become a part of a joined one."""

    table: RunTable
    #: What its relative times count from, in seconds since 1970.
    origin: float

    @property
    def series(self) -> Series:
        """The series that it is of."""
        return self.table.series


def shared_cell(cells: Sequence[_Cell]) -> _Cell | None:
    """Return what all cells are; None if they differ."""
    return cells[0] if all(cell == cells[0] for cell in cells) else None
