"""A run that has been converted: its report, its tables, and what an update must know of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tb2csv.layouts.held_tables import HeldTable
from tb2csv.layouts.manifest import TableEntry
from tb2csv.notes import Note
from tb2csv.report import RunReport, UndecodableEntry
from tb2csv.runs.hparams_table import HparamsValue
from tb2csv.runs.saved_run import SavedFile, bytes_of, text_of
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

    def to_data(self, lengths: dict[str, int]) -> dict[str, Any]:
        """Return the result as data for JSON, without the state; ``lengths`` has the length of each table in bytes."""
        report = self.report
        return {
            "report": {
                "counts": [getattr(report, name) for name in _COUNTS],
                "undecodable": [[each.tag, each.step, each.detail] for each in report.undecodable],
                "notes": [note.to_data() for note in report.notes],
                "empty": report.empty,
            },
            "files": [SavedFile(stats).to_data() for stats in report.sources],
            "entries": [entry.to_data() for entry in self.entries],
            "stored": self.stored,
            "hparams": [[value.run, value.wall_time, text_of(value.content)] for value in self.hparams],
            "series": [[each.tag, each.kind] for each in self.series],
            "is_selected": self.is_selected,
            "folder": self.folder,
            "tables": self.tables,
            "held": [table.to_data() for table in self.held],
            "lengths": lengths,
        }

    @classmethod
    def from_data(cls, name: str, data: dict[str, Any]) -> ConvertedRun:
        """Return the result that ``to_data`` described; its series have only what notes on the whole log need."""
        saved = data["report"]
        report = RunReport(
            name,
            **dict(zip(_COUNTS, saved["counts"], strict=True)),
            sources=[SavedFile.from_data(file).stats for file in data["files"]],
            undecodable=[UndecodableEntry(name, *each) for each in saved["undecodable"]],
            notes=[Note.from_data(note) for note in saved["notes"]],
            empty=saved["empty"],
        )
        return cls(
            report,
            [TableEntry.from_data(name, entry) for entry in data["entries"]],
            data["stored"],
            [HeldTable.from_data(name, table) for table in data["held"]],
            [HparamsValue(run, wall_time, bytes_of(content)) for run, wall_time, content in data["hparams"]],
            [Series(-1, name, tag, kind, "", SeriesMetadata(), b"", "") for tag, kind in data["series"]],
            data["is_selected"],
            data["folder"],
            data["tables"],
            lengths=data["lengths"],
        )


#: The counts of a RunReport.
_COUNTS = ("values_read", "values_written", "values_filtered", "values_undecodable", "tables")
