"""The tables of one run while it is read: objects if they are few, columns if they are many."""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

from tb2csv.event_files.scanners import NameTable
from tb2csv.layouts.held_tables import RunTable, SavedTable
from tb2csv.layouts.manifest import TableEntry, in_index_order
from tb2csv.layouts.table_paths import UNDECODABLE_PART
from tb2csv.runs.series_registry import without_statistics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from tb2csv.time_series import SeriesMetadata, SeriesStats

#: The maximum number of tables that are kept as objects. Columns take a third of their memory, and twice their time.
_FEW: Final = 1024

#: The number of tables whose paths are sorted at once.
_SORTED_AT_ONCE: Final = 1 << 16

#: Whether files belong to a table, and some of them are new, whether rows were appended, and whether it has steps.
_HAS_FILES, _HAS_NEW_FILES, _IS_BEGUN, _HAS_BOUNDS = 1, 2, 4, 8


class RunTables:
    """The tables of one run by number, in the order in which they were added.

    A table that was changed must be kept again, because those of many are made anew each time.
    """

    def __init__(self, every: Sequence[SeriesStats]) -> None:
        """Start without tables; ``every`` has the series of the run by id."""
        self._every = every
        self._few: list[RunTable] = []
        self._numbers: dict[str, int] = {}
        self._many: _TableColumns | None = None

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(self._few) if self._many is None else len(self._many)

    def __getitem__(self, number: int) -> RunTable:
        """Return a table."""
        return self._few[number] if self._many is None else self._many[number]

    def __iter__(self) -> Iterator[RunTable]:
        """Yield each table."""
        return iter(self._few) if self._many is None else map(self._many.__getitem__, range(len(self._many)))

    def add(self, table: RunTable) -> RunTable:
        """Return the table at the path of ``table``, which is ``table`` itself if there was none."""
        path, few, many = table.entry.path, self._few, self._many
        if many is not None:
            table.number = len(many)
            number = many.paths.intern(path.encode())
            if number == table.number:
                many.append(table)
                return table
            return many[number]
        table.number = len(few)
        number = self._numbers.setdefault(path, table.number)
        if number < table.number:
            return few[number]
        few.append(table)
        if len(few) > _FEW:
            self._many = _TableColumns(self._every, few)
            self._few, self._numbers = [], {}
        return table

    def keep(self, table: RunTable) -> None:
        """Keep what was changed in a table."""
        if self._many is not None:
            self._many.set(table)

    def without_rows(self) -> list[RunTable]:
        """Return the tables without rows."""
        if self._many is None:
            return [table for table in self._few if not table.entry.rows]
        return [self._many[number] for number, rows in enumerate(self._many.rows) if not rows]

    def with_files(self) -> list[RunTable]:
        """Return the tables that files belong to."""
        if self._many is None:
            return [table for table in self._few if table.has_files]
        return [self._many[number] for number, flags in enumerate(self._many.flags) if flags & _HAS_FILES]

    def joined(self) -> list[RunTable]:
        """Return the tables whose rows are held."""
        if self._many is None:
            return [table for table in self._few if table.is_joined]
        return [self._many[number] for number, form in enumerate(self._many.forms) if form.is_joined]

    def entries(self) -> Sequence[TableEntry]:
        """Return the index entries of the tables that are not joined, in the order of their paths."""
        if self._many is None:
            return tuple(in_index_order(table.entry for table in self._few if not table.is_joined))
        return _ManyEntries(self._many)

    def save(self, entries: Sequence[TableEntry]) -> Iterator[SavedTable]:
        """Yield the tables that are not joined as an update must know them; ``entries`` has theirs."""
        if self._many is None or not isinstance(entries, _ManyEntries):
            places = {entry.path: place for place, entry in enumerate(entries)}
            for table in self:
                if not table.is_joined:
                    part = None if table.part == UNDECODABLE_PART else table.part
                    yield SavedTable(places[table.entry.path], table.series.id, part, table.has_files)
            return
        # Here none is joined, because otherwise there are entries of joined tables as well.
        many, order = self._many, array("i", bytes(entries.numbers.itemsize * len(self)))
        for place, number in enumerate(entries.numbers):
            order[number] = place
        for place, series, form, flags in zip(order, many.series_ids, many.forms, many.flags, strict=True):
            part = None if form.part == UNDECODABLE_PART else form.part
            yield SavedTable(place, series, part, bool(flags & _HAS_FILES))


class _Form(NamedTuple):
    """What many tables have in common; see ``RunTable`` and ``TableEntry``."""

    run: str | None
    kind: str
    plugin_name: str | None
    run_folder: str
    folder: str
    part: str
    is_joined: bool


class _TableColumns:
    """The tables of a run in columns."""

    def __init__(self, every: Sequence[SeriesStats], tables: Sequence[RunTable]) -> None:
        self._series = without_statistics(every)
        self.paths = NameTable()
        self.forms: list[_Form] = []
        self._known_forms: dict[_Form, _Form] = {}
        self._schemas: list[Mapping[str, pl.DataType]] = []
        self._metadata: list[SeriesMetadata | None] = []
        self.series_ids, self._stem_length, self.flags = array("i"), array("i"), bytearray()
        self.rows, self._first_step, self._last_step = array("q"), array("q"), array("q")
        self._first_wall_time, self._last_wall_time = array("d"), array("d")
        for table in tables:
            self.paths.intern(table.entry.path.encode())
            self.append(table)

    def __len__(self) -> int:
        return len(self.forms)

    def append(self, table: RunTable) -> None:
        """Append a table, whose path is in ``paths`` already."""
        entry = table.entry
        form = _Form(
            *(entry.run, entry.kind, entry.plugin_name, table.run_folder, table.folder, table.part, table.is_joined)
        )
        self.forms.append(self._known_forms.setdefault(form, form))
        self._schemas.append(entry.schema)
        self._metadata.append(None)
        self.series_ids.append(table.series.id)
        self._stem_length.append(table.stem_length)
        self.flags.append(0)
        numbers: tuple[array[Any], ...] = (
            *(self.rows, self._first_step, self._last_step),
            *(self._first_wall_time, self._last_wall_time),
        )
        for column in numbers:
            column.append(0)
        self.set(table)

    def set(self, table: RunTable) -> None:
        """Replace what may change in a table."""
        number, entry = table.number, table.entry
        self._metadata[number] = entry.metadata
        self.rows[number] = entry.rows
        flags = _HAS_FILES * table.has_files | _HAS_NEW_FILES * table.has_new_files | _IS_BEGUN * table.is_begun
        if entry.first_step is not None:
            assert entry.last_step is not None
            assert entry.first_wall_time is not None
            assert entry.last_wall_time is not None
            flags |= _HAS_BOUNDS
            self._first_step[number], self._last_step[number] = entry.first_step, entry.last_step
            self._first_wall_time[number], self._last_wall_time[number] = entry.first_wall_time, entry.last_wall_time
        self.flags[number] = flags

    def path(self, number: int) -> str:
        """Return the path of a table."""
        return self.paths.key(number).decode()

    def entry(self, number: int) -> TableEntry:
        """Return the index entry of a table."""
        return self._entry(number, self._series[self.series_ids[number]].tag)

    def _entry(self, number: int, tag: str) -> TableEntry:
        form = self.forms[number]
        entry = TableEntry(
            *(self.path(number), form.run, tag, form.kind, form.plugin_name),
            *(self._schemas[number], self._metadata[number], None, self.rows[number]),
        )
        if self.flags[number] & _HAS_BOUNDS:
            entry.first_step, entry.last_step = self._first_step[number], self._last_step[number]
            entry.first_wall_time, entry.last_wall_time = self._first_wall_time[number], self._last_wall_time[number]
        return entry

    def __getitem__(self, number: int) -> RunTable:
        form, flags = self.forms[number], self.flags[number]
        series, stem_length = self._series[self.series_ids[number]], self._stem_length[number]
        return RunTable(
            *(self._entry(number, series.tag), series, form.run_folder, stem_length, form.folder, form.part),
            *(form.is_joined, bool(flags & _HAS_FILES), bool(flags & _HAS_NEW_FILES), bool(flags & _IS_BEGUN), number),
        )


class _ManyEntries(Sequence[TableEntry]):
    """The index entries of the tables that are not joined, in the order of their paths, made when they are needed."""

    def __init__(self, tables: _TableColumns) -> None:
        self._tables = tables
        numbers = (number for number, form in enumerate(tables.forms) if not form.is_joined)
        # Stretches are merged, so that the paths of all tables are never in memory.
        stretches = []
        while some := sorted(itertools.islice(numbers, _SORTED_AT_ONCE), key=self._key):
            stretches.append(array("i", some))
        self.numbers = array("i", heapq.merge(*stretches, key=self._key))

    def _key(self, number: int) -> str:
        """Return the path of a table as ``in_index_order`` compares it."""
        return self._tables.path(number).replace("/", "\0")

    @overload
    def __getitem__(self, place: int) -> TableEntry: ...

    @overload
    def __getitem__(self, place: slice) -> list[TableEntry]: ...

    def __getitem__(self, place: int | slice) -> TableEntry | list[TableEntry]:
        if isinstance(place, slice):
            return list(map(self._tables.entry, self.numbers[place]))
        return self._tables.entry(self.numbers[place])

    def __iter__(self) -> Iterator[TableEntry]:
        return map(self._tables.entry, self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __reduce__(self) -> tuple[type[list[TableEntry]], tuple[list[TableEntry]]]:
        """Become a list in another process."""
        return list, (list(self),)
