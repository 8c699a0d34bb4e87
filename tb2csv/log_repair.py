"""Repair of a log directory: clean event files with every sound record, in the folders of their runs."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tb2csv.conversion import check_apart
from tb2csv.display import count
from tb2csv.errors import UNREADABLE, LogdirError, OutputError, check_whole_number
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE, EventFileReader, FileStats
from tb2csv.event_files.scanners import default_scanner
from tb2csv.event_files.sound_records import sound_bytes
from tb2csv.logdir import logdir_of
from tb2csv.messages import command_line_spelling
from tb2csv.report import Report, RunReport
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.selected_runs import read_runs
from tb2csv.selection import select
from tb2csv.sinks.file_names import encode_segment
from tb2csv.sinks.new_folder import SCRATCH
from tb2csv.sinks.output_folder import DATA_PACKAGE, OutputFolder
from tb2csv.sinks.private_folder import PRIVATE
from tb2csv.sources.compression import PACKED_ENDINGS
from tb2csv.sources.local_files import LOCAL
from tb2csv.sources.unpacked_file import UnpackedFile
from tb2csv.sources.urls import is_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.logdir import EventFile, LogdirSource, Run
    from tb2csv.messages import Spelling
    from tb2csv.selection import Patterns, Selection

#: Names in the output folder that no event file and no run can have there.
_TAKEN: Final = frozenset({DATA_PACKAGE, PRIVATE, SCRATCH})

#: The maximum length of a name in bytes on common file systems; keys of stores may be longer.
_MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class RepairedFile:
    """An event file that was written: the path of its source, and its own path below the output folder."""

    path: str
    written: str
    run: str
    records: int
    bytes: int


@dataclass(slots=True, repr=False)
class RepairReport(Report):
    """The report of a repair: the damage of the sources, and the files that were written."""

    files: list[RepairedFile] = field(default_factory=list)

    def _display(self) -> Iterator[object]:
        yield from super(RepairReport, self)._display()
        yield [f"{each.written}: {count(each.records, 'record')}" for each in self.files]

    def members(self, spelling: Spelling = command_line_spelling) -> Iterator[tuple[str, Any]]:
        """Yield the members of ``to_dict``; see ``Report.members``."""
        yield from super(RepairReport, self).members(spelling)
        yield "files", [asdict(each) for each in self.files]


def repair(
    logdir: LogdirSource,
    out: str | os.PathLike[str],
    *,
    run: Patterns = None,
    exclude_run: Patterns = None,
    selection: Selection | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    progress: Callable[[int], None] = lambda _: None,
) -> RepairReport:
    """Write clean event files with every sound record below ``logdir`` to the folder ``out``, and return a report.

    The records are exactly those whose values ``convert`` gives, in the same order, and the events between them that
    have no values. Their payloads are copied byte for byte, and all checksums are right. Files keep their names, except
    for the ending of a compressed one, and are in the folders of their runs. Damaged bytes and an unfinished last
    record are left out. What ``convert`` leaves out, such as copies of event files, is left out as well. Each written
    file is read again before it is published.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        out: the output folder, or the URL of one in S3; written atomically.
        run: one or more shell patterns for run names; None selects all runs.
        exclude_run: shell patterns for runs to leave out.
        selection: a Selection to use for the filters that are not passed individually. Only its patterns for runs
            are used, because files are repaired as a whole.
        overwrite: replace ``out`` if it contains only earlier output of tb2csv.
        workers: the number of runs to repair at once; by default one per processor.
        chunk_size: the maximum number of bytes of an event file in memory, except for larger records.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to repair, or a file was replaced while it was read.
        OutputError: ``out`` cannot be used or written.
    """
    check_whole_number("chunk_size", chunk_size, 1)
    selected = select(selection, run=run, exclude_run=exclude_run)
    found = logdir_of(logdir)
    folder = _output_folder(out, overwrite=overwrite)
    check_apart(found, out)
    with folder:
        copies = _Copies(folder, chunk_size)
        try:
            repaired = read_runs(
                found, copies.write_run, selection=selected, workers=workers, report_bytes=progress, decodes=False
            )
            reports, files = zip(*repaired.results, strict=True)
            report = RepairReport(
                list(reports), found.damage, logdirs=found.parts, files=list(itertools.chain.from_iterable(files))
            )
            report.check_event_files()
            folder.append(DATA_PACKAGE, _data_package(report))
        except OSError as error:
            if isinstance(error, (OutputError, LogdirError)):
                raise
            message = f"The event files could not be written to {folder.out} ({error.strerror or error}); try again."
            raise OutputError(message) from error
    return report


def _output_folder(out: str | os.PathLike[str], *, overwrite: bool) -> OutputFolder:
    if isinstance(out, str) and is_writable(out):
        from tb2csv.sinks.store_folder import StoreFolder

        return StoreFolder(out, overwrite=overwrite)
    return OutputFolder(out, overwrite=overwrite)


class _Copies:
    """The clean copies of event files in an output folder; several threads may write runs."""

    def __init__(self, folder: OutputFolder, chunk_size: int) -> None:
        self._folder = folder
        self._chunk_size = chunk_size

    def write_run(self, run: Run, report_bytes: Callable[[int], None]) -> tuple[RunReport, list[RepairedFile]]:
        """Write the clean files of a run, and return its report and the files."""
        reader = RunReader(run, chunk_size=self._chunk_size, report_bytes=report_bytes)
        values = sum(block.value_count for block in reader.scan())
        sources = {file.path: file for file in run.files}
        taken = {_place(file) for file in run.files}
        written = [
            self._write(sources[stats.path], stats, run.name, taken, report_bytes)
            for stats in reader.stats.files
            if not stats.left_out and not _is_unread(stats)
        ]
        return RunReport(run.name, values, values, sources=reader.stats.files), written

    def _write(
        self, file: EventFile, stats: FileStats, run: str, taken: set[str], report_bytes: Callable[[int], None]
    ) -> RepairedFile:
        """Write the clean file of an event file; ``taken`` are the paths that other files of the run may have."""
        with file.open(0) as source:
            path = _place(file)
            if isinstance(source, UnpackedFile) and path.endswith(PACKED_ENDINGS):
                bare = path.rpartition(".")[0]
                path = path if bare in taken else bare
                taken.add(path)
            location = self._folder.location(path)
            try:
                with open(location, "xb") as clean:
                    for part in sound_bytes(source, stats):
                        clean.write(part)
                        report_bytes(0)  # the callback may raise to cancel
            except FileExistsError as error:
                message = f"Two event files would be written to {path}; repair one of their runs at a time."
                raise OutputError(message) from error
        size = self._checked_size(location, stats)
        return RepairedFile(file.path, path, run, stats.records, size)

    def _checked_size(self, location: str, stats: FileStats) -> int:
        """Read a clean file and return its size.

        Raises:
            LogdirError: it does not have the records of its source.
        """
        scanner = default_scanner()
        with LOCAL.open(location, location, 0) as source:
            reader = EventFileReader(source, scanner, scanner.schema_table(), chunk_size=self._chunk_size)
            for _ in reader.blocks():
                pass
            account = reader.account
            is_clean = not account.damage and not account.incomplete_tail_bytes
            if not is_clean or (account.records, account.values) != (stats.records, stats.values):
                message = f"{stats.path} was replaced while it was read, so nothing was written; run the command again."
                raise LogdirError(message)
            return source.size


def _is_unread(stats: FileStats) -> bool:
    """Return whether nothing of a file could be read."""
    return not stats.bytes and any(damage.kind == UNREADABLE for damage in stats.damage)


def _place(file: EventFile) -> str:
    """Return the path of a clean file below the output folder, with slashes.

    A local file keeps its path below the log directory. The parts of a key of a store that cannot be names of files are
    encoded as in the paths of tables.
    """
    if file.source.is_remote:
        parts = [_name(part) for part in file.path.split("/")]
    else:  # the location has the bytes of names that are not UTF-8
        parts = file.location.replace(os.sep, "/").split("/")[-file.path.count("/") - 1 :]
    if parts[0] in _TAKEN:
        parts[0] = f"%{ord(parts[0][0]):02X}{parts[0][1:]}"
    if "tfevents" not in parts[-1]:  # a file that was given itself; readers go by this name
        parts[-1] += ".tfevents"
    return "/".join(parts)


def _name(part: str) -> str:
    is_usable = part not in {"", ".", ".."} and "\0" not in part and len(os.fsencode(part)) <= _MAX_NAME
    return part if is_usable else encode_segment(part)


def _data_package(report: RepairReport) -> bytes:
    """Return the data package that lists the files and has the report on the sources."""
    resources = [
        {
            "name": f"event-file-{number}",
            "path": file.written,
            "format": "tfevents",
            "mediatype": "application/octet-stream",
            "bytes": file.bytes,
            "tb2csv:run": file.run,
            "tb2csv:records": file.records,
        }
        for number, file in enumerate(report.files, 1)
    ]
    account = {**report.to_dict(), "folders": []}
    package = {
        "profile": "data-package",
        "name": "tensorboard-event-files",
        "resources": resources,
        "tb2csv": account,
    }
    return f"{json.dumps(package, indent=1)}\n".encode()
