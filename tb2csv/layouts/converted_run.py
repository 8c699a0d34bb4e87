"""A run that has been converted: its report, its tables, and what an update must know of it."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any, Final

from tb2csv.decoders.hparams import parse
from tb2csv.layouts.held_tables import HELD_SHAPE, HeldTable
from tb2csv.layouts.manifest import ENTRY_SHAPE, TableEntry, columns_from_data
from tb2csv.notes import NOTE_SHAPE, Note
from tb2csv.plain_data import COUNT, DictOf, ListOf, Maybe, check
from tb2csv.report import RunReport, UndecodableEntry
from tb2csv.runs.hparams_table import HparamsValue
from tb2csv.runs.saved_run import FILE_SHAPE, SavedFile, bytes_of, text_of
from tb2csv.sinks.private_folder import is_published_path
from tb2csv.time_series import Series, SeriesMetadata


@dataclass(slots=True)
class ConvertedRun:
    """The result of the conversion of one run.

    Attributes:
        report: the counts and notes of the run.
        entries: the index entries of its tables, in the order of their paths.
        stored: the folders of files next to these tables.
        held: the tables that are joined, whose rows are held.
        hparams: the values of the hparams plugin, each with the run that it was written to.
        series: the series of the run.
        is_selected: whether any of the series is selected.
        folder: the folder of the run in the output.
        tables: what ``RunWriter`` continues with.
        state: what the reader continues with; None if the run must be read from its start.
        lengths: the length of each table in bytes, by its path, when it was committed.
        files: the files and the positions up to which they were read; empty if all were read to their end.
    """

    report: RunReport
    entries: list[TableEntry]
    stored: list[str]
    held: list[HeldTable]
    hparams: list[HparamsValue]
    series: list[Series]
    is_selected: bool
    folder: str
    tables: list[Any] = field(default_factory=list)
    state: Any = None
    lengths: dict[str, int] = field(default_factory=dict)
    files: list[SavedFile] = field(default_factory=list)

    def to_data(self, lengths: dict[str, int]) -> dict[str, Any]:
        """Return the result as data for JSON, without the state; ``lengths`` has the length of each table in bytes.

        Members that are empty, as for most runs, are left out.
        """
        report = self.report
        schemas: dict[tuple[tuple[str, str], ...], int] = {}
        numbers = {entry.path: number for number, entry in enumerate(self.entries)}
        data = {
            "folder": self.folder,
            "counts": _counts(report),
            "files": [file.to_data() for file in self.files or map(SavedFile, report.sources)],
            "lengths": {path: lengths[path] for path in numbers},
            "entries": [[schemas.setdefault(entry.columns, len(schemas)), *entry.to_data()] for entry in self.entries],
            "schemas": list(schemas),
            "series": [[each.tag, each.kind] for each in self.series],
            "tables": [[numbers[path], *rest] for path, *rest in self.tables if path in numbers],
            "undecodable": [[each.tag, each.step, each.detail] for each in report.undecodable],
            "notes": [note.to_data() for note in report.notes],
            "empty": dict(report.empty),
            "stored": self.stored,
            "hparams": [[value.run, value.wall_time, text_of(value.content)] for value in self.hparams],
            "is_selected": self.is_selected,
            "held": [table.to_data() for table in self.held],
        }
        return {name: value for name, value in data.items() if value or name == "lengths"}

    @classmethod
    def from_data(cls, name: str, data: dict[str, Any]) -> ConvertedRun:
        """Return the result that ``to_data`` described; its series have only what notes on the whole log need.

        Raises:
            ValueError: the data are not those of a result.
            KeyError: a column has an unknown type.
        """
        data = _EMPTY | data
        check(data, _SHAPE)
        if not all(map(is_published_path, (*data["lengths"], *data["stored"]))):
            message = f"the run {name!r} has a table outside of the folder"
            raise ValueError(message)
        files = [SavedFile.from_data(file) for file in data["files"]]
        read, written, filtered, undecodable, table_count = data["counts"]
        report = RunReport(
            name,
            read,
            written,
            filtered,
            undecodable,
            table_count,
            sources=[file.stats for file in files],
            undecodable=[UndecodableEntry(name, *each) for each in data["undecodable"]],
            notes=[Note.from_data(note) for note in data["notes"]],
            empty=data["empty"],
        )
        schemas = [columns_from_data(tuple(map(tuple, schema))) for schema in data["schemas"]]
        paths = list(data["lengths"])
        try:
            entries = [
                TableEntry.from_data(name, path, schemas[schema], entry)
                for path, (schema, *entry) in zip(paths, data["entries"], strict=True)
            ]
            tables = [[paths[number], *rest] for number, *rest in data["tables"]]
        except IndexError as error:
            message = f"the run {name!r} lacks a table or a schema"
            raise ValueError(message) from error
        return cls(
            report,
            entries,
            data["stored"],
            [HeldTable.from_data(name, table) for table in data["held"]],
            [_hparams_value(*value) for value in data["hparams"]],
            [Series(-1, name, tag, kind, "", SeriesMetadata(), b"", "") for tag, kind in data["series"]],
            data["is_selected"],
            data["folder"],
            tables,
            lengths=data["lengths"],
            files=files,
        )


def _hparams_value(run: str, wall_time: float, content: str) -> HparamsValue:
    value = HparamsValue(run, wall_time, bytes_of(content))
    if parse(value.content) is None:
        message = f"the hyperparameters of {run!r} are not an HParamsPluginData"
        raise ValueError(message)
    return value


#: The counts of a RunReport, which are its first fields after the run.
_counts: Final = operator.attrgetter(
    *("values_read", "values_written", "values_filtered", "values_undecodable", "tables")
)

_SHAPE: Final = {
    "folder": str,
    "counts": (COUNT,) * 5,
    "files": ListOf(FILE_SHAPE),
    "lengths": DictOf(COUNT),
    "entries": ListOf((COUNT, *ENTRY_SHAPE)),
    "schemas": ListOf(ListOf((str, str))),
    "series": ListOf((str, str)),
    "tables": ListOf((COUNT, COUNT, Maybe(str), bool)),
    "held": ListOf(HELD_SHAPE),
    "undecodable": ListOf((str, int, str)),
    "notes": ListOf(NOTE_SHAPE),
    "empty": DictOf(COUNT),
    "stored": ListOf(str),
    "hparams": ListOf((str, float, str)),
    "is_selected": bool,
}

#: What is left out of the data, by the name of the member.
_EMPTY: Final[dict[str, Any]] = {
    **{name: [] for name, shape in _SHAPE.items() if isinstance(shape, ListOf)},
    "empty": {},
    "folder": "",
    "is_selected": False,
}
