"""Tables of the tree while a run is read, and those that are held until their layout joins them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tb2csv.layouts.manifest import ENTRY_SHAPE, TableEntry, columns_from_data
from tb2csv.layouts.table_paths import FILES_ENDING, TreePlace
from tb2csv.plain_data import ListOf, Maybe
from tb2csv.runs.saved_run import bytes_of, metadata_from_data, metadata_to_data, text_of
from tb2csv.sinks.new_folder import SCRATCH
from tb2csv.time_series import Series

if TYPE_CHECKING:
    from collections.abc import Sequence


_Cell = TypeVar("_Cell")


@dataclass(slots=True, eq=False, repr=False)
class RunTable:
    """A table of one run and tag, while the run is read."""

    entry: TableEntry
    #: The series of the table; the first, if several series have undecodable payloads.
    series: Series
    #: See TreePlace; the stem is the beginning of the path.
    run_folder: str
    stem_length: int
    folder: str
    part: str
    #: Whether its rows are held until the layout joins them with others.
    is_joined: bool
    #: Whether files belong to the table.
    has_files: bool = False
    #: Whether some of these files are new.
    has_new_files: bool = False
    #: Whether rows were appended to it.
    is_begun: bool = False
    #: Its number in ``RunTables``.
    number: int = 0

    @classmethod
    def at(cls, place: TreePlace, entry: TableEntry, *, is_joined: bool, has_files: bool = False) -> RunTable:
        """Return the table at a place."""
        stem_length = len(place.stem)
        return cls(entry, place.series, place.run_folder, stem_length, place.folder, place.part, is_joined, has_files)

    @property
    def place(self) -> TreePlace:
        """The place of the table in the tree."""
        stem = self.entry.path[: self.stem_length]
        return TreePlace(self.series, self.run_folder, stem, self.folder, self.entry.kind, self.part)

    @property
    def files(self) -> str:
        """The folder of its files: next to the table, or in the scratch folder until its rows are joined."""
        files = self.entry.path[: self.stem_length] + FILES_ENDING
        return f"{SCRATCH}/{files}" if self.is_joined else files


class SavedTable(NamedTuple):
    """What an update must know of a table whose rows are not held, in addition to its entry in the index."""

    #: The number of its entry among those of the run.
    entry: int
    #: The id of its series.
    series: int
    #: See TreePlace; None for undecodable payloads.
    part: str | None
    has_files: bool


class HeldTable(NamedTuple):
    """A table whose rows are held until they become part of a joined table."""

    table: RunTable
    #: The origin of its relative times, in seconds since 1970.
    origin: float

    @property
    def series(self) -> Series:
        """The series of the table."""
        return self.table.series

    @property
    def path(self) -> str:
        """The path under which its rows are held."""
        return self.table.entry.path

    def to_data(self) -> list[Any]:
        """Return the table as data for JSON, without its rows and its run."""
        table, place, series = self.table, self.table.place, self.series
        return [
            [place.run_folder, place.stem, place.folder, place.kind, place.part],
            [text_of(series.tag_bytes), series.tag, series.kind, series.plugin_name, series.signature, series.variant],
            [series.id, *metadata_to_data(series.metadata)],
            [table.entry.path, table.entry.columns, *table.entry.to_data()],
            table.has_files,
            self.origin if math.isfinite(self.origin) else None,
        ]

    @classmethod
    def from_data(cls, run: str, data: Sequence[Any]) -> HeldTable:
        """Return the table that ``to_data`` described; ``HELD_SHAPE`` is the shape of the data.

        Raises:
            ValueError: the metadata are not those of a series.
            KeyError: a column has an unknown type.
        """
        place, (tag_bytes, *texts, signature, variant), (series_id, *metadata), saved, has_files, origin = data
        path, columns, *cells = saved
        entry = TableEntry.from_data(run, path, columns_from_data(tuple(map(tuple, columns))), cells)
        tag, kind, plugin_name = texts
        known = metadata_from_data(metadata)
        series = Series(series_id, run, tag, kind, plugin_name, known, bytes_of(tag_bytes), signature, variant)
        table = RunTable.at(TreePlace(series, *place), entry, is_joined=True, has_files=has_files)
        return cls(table, math.nan if origin is None else origin)


#: The shape of ``HeldTable.to_data``.
HELD_SHAPE: Final = (
    (str,) * 5,
    (str,) * 6,
    (int, *(str,) * 4),
    (str, ListOf((str, str)), *ENTRY_SHAPE),
    bool,
    Maybe(float),
)


def shared_cell(cells: Sequence[_Cell]) -> _Cell | None:
    """Return the value that all cells have; None if they differ."""
    return cells[0] if all(cell == cells[0] for cell in cells) else None
