"""The report of a conversion or a check: the values that were read and written, and every byte that was not read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tb2csv.display import count, displayed
from tb2csv.errors import LogdirError, limit_message
from tb2csv.messages import command_line_spelling
from tb2csv.notes import Note
from tb2csv.sources.local_files import readable
from tb2csv.sources.urls import shown
from tb2csv.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.errors import Damage
    from tb2csv.event_files.event_file import FileStats
    from tb2csv.messages import Message, Spelling


@dataclass(slots=True)
class UndecodableEntry:
    """A value whose payload does not match its metadata; its bytes are kept in a table of their own."""

    run: str
    tag: str
    step: int
    detail: str
    #: Whether it expands to more than ``max_expansion`` allows.
    exceeds_limit: bool = False

    @property
    def message(self) -> Message:
        """The reason, and what to do."""
        return limit_message(self.detail, exceeds_limit=self.exceeds_limit)

    def to_data(self) -> list[int | str | bool]:
        """Return the entry without its run, as data for JSON."""
        limited = [True] if self.exceeds_limit else []
        return [self.tag, self.step, self.detail, *limited]


@displayed()
@dataclass(slots=True, repr=False)
class RunReport:
    """The values of one run: read = written + filtered + undecodable + empty."""

    run: str
    values_read: int = 0
    values_written: int = 0
    values_filtered: int = 0
    values_undecodable: int = 0
    tables: int = 0
    sources: list[FileStats] = field(default_factory=list)
    undecodable: list[UndecodableEntry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    #: The number of empty values of each selected tag, with neither a payload nor plugin content.
    empty: Mapping[str, int] = field(default_factory=dict)

    @property
    def values_empty(self) -> int:
        """The number of empty values, which are not in a table."""
        return sum(self.empty.values()) if self.empty else 0

    def all_notes(self) -> list[Note]:
        """Return the notes, including one on empty values."""
        if not self.empty:
            return self.notes
        return [*self.notes, Note("empty_values", self.run, count=self.values_empty, counts=tuple(self.empty.items()))]

    def _display(self) -> Iterator[object]:
        written = f", {self.values_written:,} written to {count(self.tables, 'table')}" if self.tables else ""
        yield f"<{type(self).__name__} of {self.run!r}: {count(self.values_read, 'value')} read{written}>"
        yield [*(f"{each.path}, byte {each.offset:,}: {each.message}" for file in self.sources for each in file.damage)]
        yield self.all_notes()


@dataclass(slots=True)
class UpdateSummary:
    """What an update did to an earlier conversion.

    Attributes:
        values: the number of values that were read now.
        grown: the runs with new values.
        added: the runs that were not in the earlier conversion.
        renewed: the runs that were converted from their start again, each with the reason, as the end of a sentence.
        removed: the runs that are gone from the log directory; their tables were removed.
        kept: the runs that cannot be read now, or not as a whole; their tables stay as they were.
    """

    values: int
    grown: list[str]
    added: list[str]
    renewed: dict[str, str]
    removed: list[str]
    kept: list[str] = field(default_factory=list)

    @property
    def is_something(self) -> bool:
        """Whether there are new values, or other runs than before."""
        return bool(self.values or self.added or self.renewed or self.removed)

    def notes(self) -> list[str]:
        """Return a sentence without a full stop for each run that was renewed, removed or kept as it was."""
        renewed = [f"run {run!r} was converted anew: {reason}" for run, reason in self.renewed.items()]
        removed = [f"run {run!r} is gone, and its tables were removed" for run in self.removed]
        return (
            renewed
            + removed
            + [f"run {run!r} cannot be read now, so its tables stay as they were" for run in self.kept]
        )


@displayed()
@dataclass(slots=True, repr=False)
class Report:
    """The values of all runs, and the bytes of all event files."""

    runs: list[RunReport] = field(default_factory=list)
    #: Folders that could not be read.
    folder_damage: list[Damage] = field(default_factory=list)
    #: The number of tables of several runs or of the whole log directory.
    shared_tables: int = 0
    #: Notes on several runs or on the whole log directory.
    shared_notes: list[Note] = field(default_factory=list)
    #: What changed, if an earlier conversion was brought up to date.
    update: UpdateSummary | None = None
    #: The places of several log directories, each with the prefix of its runs; empty for one.
    logdirs: tuple[tuple[str, str], ...] = ()

    @property
    def values_read(self) -> int:
        """The number of summary values in the event files."""
        return sum(run.values_read for run in self.runs)

    @property
    def values_written(self) -> int:
        """The number of values in tables."""
        return sum(run.values_written for run in self.runs)

    @property
    def values_filtered(self) -> int:
        """The number of values that were not selected."""
        return sum(run.values_filtered for run in self.runs)

    @property
    def values_undecodable(self) -> int:
        """The number of values whose payload was kept undecoded."""
        return sum(run.values_undecodable for run in self.runs)

    @property
    def values_empty(self) -> int:
        """The number of empty values, which are not in a table."""
        return sum(run.values_empty for run in self.runs)

    @property
    def tables(self) -> int:
        """The number of tables that were written, without the index."""
        return sum(run.tables for run in self.runs) + self.shared_tables

    @property
    def sources(self) -> list[tuple[str, FileStats]]:
        """The statistics of each event file, with its run."""
        return [(run.run, file) for run in self.runs for file in run.sources if not file.left_out]

    @property
    def damage(self) -> list[Damage]:
        """The damage in the order of the files; of each file, the first thousand stretches."""
        return self.folder_damage + [damage for _, file in self.sources for damage in file.damage]

    @property
    def damage_count(self) -> int:
        """The number of all damaged stretches, and of files and folders that cannot be read."""
        return len(self.folder_damage) + sum(file.damaged_records for _, file in self.sources)

    @property
    def notes(self) -> list[Note]:
        """All notes: on files that are left out, on runs, and on several runs."""
        left_out = [_note_on_file(run.run, file) for run in self.runs for file in run.sources if file.left_out]
        return [*left_out, *(note for run in self.runs for note in run.all_notes()), *self.shared_notes]

    def notes_in(self, spelling: Spelling) -> list[str]:
        """Return the notes as sentences without full stops, with options named by ``spelling``."""
        return [note.spelled(spelling) for note in self.notes]

    def check_event_files(self) -> None:
        """Raise LogdirError if files were found, but none of them is an event file."""
        others = [file for run in self.runs for file in run.sources if file.left_out]
        if others and not self.sources:
            first = next(file for file in others if file.not_events)  # the original of a copy is left out as well
            more = f", and {len(others) - 1:,} more are not event files either" if len(others) > 1 else ""
            message = f"There are no event files: {first.path} is not an event file: {first.not_events}{more}."
            raise LogdirError(message)

    def to_dict(self, spelling: Spelling = command_line_spelling) -> dict[str, Any]:
        """Return the report as a dict that can be written as JSON, with options named by ``spelling``."""
        return {name: list(value) if isinstance(value, Iterator) else value for name, value in self.members(spelling)}

    def members(self, spelling: Spelling = command_line_spelling) -> Iterator[tuple[str, Any]]:
        """Yield the members of ``to_dict`` one by one; its long lists, of runs and sources, are iterators."""
        yield from (
            ("tool", "tb2csv"),
            ("version", __version__),
            ("values_read", self.values_read),
            ("values_written", self.values_written),
            ("values_filtered", self.values_filtered),
            ("values_undecodable", self.values_undecodable),
            ("values_empty", self.values_empty),
            ("tables", self.tables),
            ("runs", map(_run_data, self.runs)),
            ("sources", (_file_data(run.run, file) for run in self.runs for file in run.sources if not file.left_out)),
            ("damage_count", self.damage_count),
            ("damage", [_spelled(damage, spelling) for damage in self.damage]),
            ("undecodable", [_spelled(entry, spelling) for run in self.runs for entry in run.undecodable]),
            ("notes", self.notes_in(spelling)),
        )
        if self.update:
            yield "update", asdict(self.update)
        if self.logdirs:
            yield "logdirs", self._logdirs()

    def _logdirs(self) -> list[dict[str, str]]:
        return [{"prefix": prefix, "path": readable(shown(path))} for prefix, path in self.logdirs]

    def to_json(self) -> dict[str, Any]:
        """Return ``to_dict()``: the former name of that method."""
        return self.to_dict()

    def _display(self) -> Iterator[object]:
        counts = f"{count(self.values_read, 'value')} of {count(len(self.runs), 'run')} read"
        written = f", {self.values_written:,} written to {count(self.tables, 'table')}" if self.tables else ""
        damage = self.damage
        yield f"<{type(self).__name__}: {counts}{written}, {count(self.damage_count, 'damaged place')}>"
        yield [f"{each.path}, byte {each.offset:,}: {each.message}" for each in damage]
        yield self.notes


def _spelled(found: Damage | UndecodableEntry, spelling: Spelling) -> dict[str, Any]:
    return {**asdict(found), "detail": found.message.spelled(spelling)}


def _run_data(run: RunReport) -> dict[str, Any]:
    return {
        "run": run.run,
        "values_read": run.values_read,
        "values_written": run.values_written,
        "values_filtered": run.values_filtered,
        "values_undecodable": run.values_undecodable,
        "values_empty": run.values_empty,
        "tables": run.tables,
    }


def _file_data(run: str, file: FileStats) -> dict[str, Any]:
    return {
        "path": file.path,
        "run": run,
        "bytes": file.bytes,
        "records": file.records,
        "record_bytes": file.record_bytes,
        "damaged_records": file.damaged_records,
        "lost_bytes": file.lost_bytes,
        "incomplete_tail_bytes": file.incomplete_tail_bytes,
    }


def _note_on_file(run: str, file: FileStats) -> Note:
    if file.copy_of:
        return Note("file_copy", run, details={"path": file.path, "original": file.copy_of})
    return Note("not_event_file", run, details={"path": file.path, "reason": file.not_events})
