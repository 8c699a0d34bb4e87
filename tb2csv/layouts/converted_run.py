"""A run that has been converted: its report, its tables, and what an update must know of it."""

from __future__ import annotations

import functools
import itertools
import json
import operator
from array import array
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tb2csv.decoders.hparams import parse
from tb2csv.layouts.held_tables import HELD_SHAPE, HeldTable, SavedTable
from tb2csv.layouts.manifest import ENTRY_SHAPE, TableEntry, columns_from_data
from tb2csv.notes import NOTE_SHAPE, Note
from tb2csv.plain_data import COUNT, DictOf, Either, ListOf, Maybe, check
from tb2csv.report import RunReport, UndecodableEntry
from tb2csv.runs.hparams_table import HparamsValue
from tb2csv.runs.saved_run import FILE_SHAPE, SavedFile, bytes_of, text_of
from tb2csv.runs.series_registry import without_statistics
from tb2csv.sinks.private_folder import is_published_path
from tb2csv.time_series import TagAndKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from tb2csv.time_series import SeriesByNumber, SeriesStats

_Item = TypeVar("_Item")
_Row = TypeVar("_Row", bound=tuple[Any, ...])

_NO_LENGTHS: Final[Mapping[str, int]] = {}


@dataclass(slots=True, eq=False, repr=False)
class ConvertedRun:
    """The result of the conversion of one run. A log may have 100,000, so empty members are objects that all share.

    Attributes:
        report: the counts and notes of the run.
        entries: the index entries of its tables, in the order of their paths.
        stored: the folders of files next to these tables.
        held: the tables that are joined, whose rows are held.
        hparams: the values of the hparams plugin, each with the run that it was written to.
        series: the tags and kinds of its series.
        is_selected: whether any of the series is selected.
        folder: the folder of the run in the output.
        tables: what ``RunWriter`` continues with.
        state: what the reader continues with; None if the run must be read from its start.
        lengths: the length of each table in bytes, by its path, when it was committed.
        files: the files and the positions up to which they were read; empty if all were read to their end.
    """

    report: RunReport
    entries: Sequence[TableEntry]
    stored: Sequence[str]
    held: Sequence[HeldTable]
    hparams: Sequence[HparamsValue]
    series: Collection[TagAndKind]
    is_selected: bool
    folder: str
    tables: Collection[SavedTable] = ()
    state: Any = None
    lengths: Mapping[str, int] = field(default_factory=lambda: _NO_LENGTHS)
    files: Sequence[SavedFile] = ()

    def set_lost_cells(self, lost_cells: Mapping[str, int]) -> None:
        """Set the numbers of cells that were written as missing; ``lost_cells`` has those of all tables, by path."""
        if lost_cells:
            self.entries = tuple(self.entries)
        for entry in self.entries if lost_cells else ():
            entry.lost_cells = lost_cells.get(entry.path, 0)

    def report_data(self) -> list[Any]:
        """Return the data for JSON of which ``EarlierReport`` is made."""
        report = self.report
        return [
            self.folder,
            _counts(report),
            [file.to_data() for file in self.files or map(SavedFile, report.sources)],
            [each.to_data() for each in report.undecodable],
            [note.to_data() for note in report.notes],
            dict(report.empty),
        ]

    def tables_texts(self, length: Callable[[str], int]) -> Iterator[str]:
        """Yield the rest of the result as JSON, without the state: an object, or several with parts of the members.

        ``length`` returns the length of a table in bytes. Members that are empty, as for most runs, are left out.
        """
        lengths = ((entry.path, length(entry.path)) for entry in self.entries)
        schemas: dict[tuple[tuple[str, str], ...], int] = {}
        lists: dict[str, Iterable[Any]] = {
            "entries": self._entries_data(schemas),
            "schemas": schemas,  # complete after the entries
            "series": self.series,
            "tables": self.tables,
            "stored": self.stored,
            "hparams": ([value.run, value.wall_time, text_of(value.content)] for value in self.hparams),
            "held": (table.to_data() for table in self.held),
        }
        is_selected = {"is_selected": True} if self.is_selected else {}
        if max(len(self.entries), len(self.series), len(self.held)) <= _AT_ONCE:  # a call of the encoder takes long
            known = {name: found for name, items in lists.items() if (found := list(items))}
            yield _encode({"lengths": dict(lengths), **known, **is_selected})
            return
        yield _encode({"lengths": {}, **is_selected})
        yield from (_encode({"lengths": dict(some)}) for some in _batches(lengths))
        yield from (_encode({name: some}) for name, items in lists.items() for some in _batches(items))

    def _entries_data(self, schemas: dict[tuple[tuple[str, str], ...], int]) -> Iterator[list[Any]]:
        """Yield the entries as data for JSON, each with the number of its schema, which is added to ``schemas``."""
        last: Mapping[str, pl.DataType] | None = None
        schema = 0
        for entry in self.entries:
            if entry.schema is not last:  # as for nearly all tables
                last, schema = entry.schema, schemas.setdefault(entry.columns, len(schemas))
            yield [schema, *entry.to_data()]

    @classmethod
    def from_data(cls, name: str, earlier: EarlierReport, parts: Iterable[dict[str, Any]]) -> ConvertedRun:
        """Return the result that ``tables_texts`` described; its series have only what notes on the whole log need.

        Raises:
            ValueError: the data are not those of a result.
            KeyError: a column has an unknown type.
        """
        data = _EMPTY | _joined(parts)
        if not all(map(is_published_path, (*data["lengths"], *data["stored"]))):
            message = f"the run {name!r} has a table outside of the folder"
            raise ValueError(message)
        schemas = [columns_from_data(tuple(map(tuple, schema))) for schema in data["schemas"]]
        paths = list(data["lengths"])
        try:
            entries = [
                TableEntry.from_data(name, path, schemas[schema], entry)
                for path, (schema, *entry) in zip(paths, data["entries"], strict=True)
            ]
        except IndexError as error:
            message = f"the run {name!r} lacks a schema"
            raise ValueError(message) from error
        if any(entry >= len(entries) or series >= len(data["series"]) for entry, series, *_ in data["tables"]):
            message = f"the run {name!r} lacks a table or its series"
            raise ValueError(message)
        return cls(
            earlier.report,
            entries,
            data["stored"],
            [HeldTable.from_data(name, table) for table in data["held"]],
            [_hparams_value(*value) for value in data["hparams"]],
            kept(TagAndKind, itertools.starmap(TagAndKind, data["series"])),
            data["is_selected"],
            earlier.folder,
            kept(SavedTable, itertools.starmap(SavedTable, data["tables"])),
            lengths=data["lengths"],
            files=earlier.files,
        )


def kept(kind: type[_Row], rows: Iterable[_Row]) -> Collection[_Row]:
    """Return rows of a kind in little memory: many runs that have equal ones share them, and many rows are columns."""
    rest = iter(rows)
    first = tuple(itertools.islice(rest, _MOST_SHARED + 1))
    return _known(first) if len(first) <= _MOST_SHARED else _RowsInColumns(kind, itertools.chain(first, rest))


@functools.lru_cache(maxsize=1024)
def _known(rows: tuple[_Row, ...]) -> tuple[_Row, ...]:
    return rows


_MOST_SHARED: Final = 1024


class _RowsInColumns(Collection[_Row]):
    """Named tuples of one kind, held as columns and made again when they are needed: a log may have a million tags."""

    def __init__(self, kind: type[_Row], rows: Iterable[_Row]) -> None:
        self._kind = kind
        self._columns: list[list[Any] | array[int]] = []
        for some in _batches(rows):
            columns = list(zip(*some, strict=True))
            self._columns = self._columns or [array("q") if type(cells[0]) is int else [] for cells in columns]
            for column, cells in zip(self._columns, columns, strict=True):
                column.extend(cells)

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[_Row]:
        return map(self._kind, *self._columns)

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)


def series_tags(every: Sequence[SeriesStats]) -> Collection[TagAndKind]:
    """Return the tags and kinds of series; those of many are made when they are needed."""
    if len(every) > _MOST_SHARED:
        return _SeriesTags(without_statistics(every), len(every))
    return _known(tuple(TagAndKind(stats.series.tag, stats.form.kind) for stats in every))


class _SeriesTags(Collection[TagAndKind]):
    def __init__(self, series: SeriesByNumber, count: int) -> None:
        self._series = series
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[TagAndKind]:
        return (TagAndKind(series.tag, series.kind) for series in map(self._series.__getitem__, range(self._count)))

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)

    def __reduce__(self) -> tuple[type[list[TagAndKind]], tuple[list[TagAndKind]]]:
        return list, (list(self),)


#: How many elements are encoded at once, because a log may have a million tables.
_AT_ONCE: Final = 4096

_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _joined(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the members of objects that have parts of them."""
    data: dict[str, Any] = {}
    for part in parts:
        check(part, {member: _SHAPE[member] for member in part})
        for member, value in part.items():
            known = data.setdefault(member, value)
            if known is not value and isinstance(known, dict):
                known.update(value)
            elif known is not value and isinstance(known, list):
                known.extend(value)
    return data


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        yield some


class EarlierReport(NamedTuple):
    """The part of the result of a run that the report on an unchanged log needs."""

    folder: str
    report: RunReport
    files: list[SavedFile]

    @classmethod
    def from_data(cls, name: str, data: Any) -> EarlierReport:
        """Return the part that ``ConvertedRun.report_data`` described.

        Raises:
            ValueError: the data are not those of a report.
        """
        check(data, _REPORT_SHAPE)
        folder, counts, files, undecodable, notes, empty = data
        saved = [SavedFile.from_data(file) for file in files]
        report = RunReport(
            name,
            **dict(zip(_COUNTS, counts, strict=True)),
            sources=[file.stats for file in saved],
            undecodable=[UndecodableEntry(name, *each) for each in undecodable],
            notes=[Note.from_data(note) for note in notes],
            empty=empty,
        )
        return cls(folder, report, saved)


def _hparams_value(run: str, wall_time: float, content: str) -> HparamsValue:
    value = HparamsValue(run, wall_time, bytes_of(content))
    if parse(value.content) is None:
        message = f"the hyperparameters of {run!r} are not an HParamsPluginData"
        raise ValueError(message)
    return value


#: The counts of a RunReport.
_COUNTS: Final = ("values_read", "values_written", "values_filtered", "values_undecodable", "tables")
_counts: Final = operator.attrgetter(*_COUNTS)

_REPORT_SHAPE: Final = (
    str,
    (COUNT,) * len(_COUNTS),
    ListOf(FILE_SHAPE),
    ListOf(Either((str, int, str), (str, int, str, bool))),
    ListOf(NOTE_SHAPE),
    DictOf(COUNT),
)

_SHAPE: Final = {
    "lengths": DictOf(COUNT),
    "entries": ListOf((COUNT, *ENTRY_SHAPE)),
    "schemas": ListOf(ListOf((str, str))),
    "series": ListOf((str, str)),
    "tables": ListOf((COUNT, COUNT, Maybe(str), bool)),
    "held": ListOf(HELD_SHAPE),
    "stored": ListOf(str),
    "hparams": ListOf((str, float, str)),
    "is_selected": bool,
}

#: What is left out of the data, by the name of the member.
_EMPTY: Final[dict[str, Any]] = {
    **{name: [] for name, shape in _SHAPE.items() if isinstance(shape, ListOf)},
    "is_selected": False,
}
