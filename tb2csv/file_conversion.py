"""The conversion of a log directory into one file: a table, or an archive of the folder with all tables."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol, TypeAlias

from tb2csv.atomic_files import check_place, private_folder, whole_file
from tb2csv.errors import OptionError, OutputError
from tb2csv.folder_conversion import FolderConversion
from tb2csv.layouts.table_paths import UNDECODABLE_PART
from tb2csv.messages import Option, advice
from tb2csv.notes import Note
from tb2csv.selection import KINDS, SECONDARY_KINDS
from tb2csv.sinks.file_folder import FileFolder
from tb2csv.sinks.formats import FORMATS, choose_format
from tb2csv.sinks.private_folder import PRIVATE
from tb2csv.sinks.zip_stream import stream_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tb2csv.folder_conversion import ConversionSettings
    from tb2csv.layouts.manifest import TableEntry
    from tb2csv.logdir import Logdir
    from tb2csv.report import Report
    from tb2csv.run_conversion import LogRuns

#: A path, or a binary file that is open for writing.
FileTarget: TypeAlias = "str | os.PathLike[str] | IO[bytes]"

#: Endings of files that are not written; a folder of such a name would be a surprise.
_OTHER_ENDINGS: Final = (
    *(".json", ".tsv", ".txt", ".ods", ".xls", ".feather", ".ndjson", ".sqlite", ".db", ".h5", ".pkl"),
    *(".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z"),
)


class FileContent(Protocol):
    """What a file has. Implementations are in ``CONTENTS`` by the ending of the file, or ``OneTable``."""

    #: The layout if none is chosen.
    layout: str
    #: Whether all tables of a kind become one.
    is_one_table: bool

    def write(self, folder: Path, tables: Sequence[TableEntry], file: Path, name: str) -> Sequence[TableEntry]:
        """Write the file from a folder of tables, and return the tables that are in it.

        Args:
            folder: the folder; its files may be moved.
            tables: its tables.
            file: the file to fill.
            name: the name of the file in messages.

        Raises:
            OutputError: the tables do not fit into the file.
        """


class OneTable(FileContent):
    """A file that is the only table of a conversion."""

    layout = "long"
    is_one_table = True

    def write(self, folder: Path, tables: Sequence[TableEntry], file: Path, name: str) -> Sequence[TableEntry]:
        """Move the table to its place; tables that accompany others are left out."""
        found = [table for table in tables if not _accompanies(table)]
        if not found:
            message = f"{name} would be empty: no value could be decoded; convert into a folder to get their bytes."
            raise OutputError(message)
        if len(found) > 1:
            raise _several_tables(found, name)
        (folder / found[0].path).replace(file)
        return found


class Archive(FileContent):
    """A ZIP archive of the folder that a conversion without an ending would write."""

    layout = "tree"
    is_one_table = False

    def write(self, folder: Path, tables: Sequence[TableEntry], file: Path, name: str) -> Sequence[TableEntry]:
        """Write all files, below a folder with the name of the archive."""
        shutil.rmtree(folder / PRIVATE, ignore_errors=True)  # an archive cannot be brought up to date
        root = Path(name).name[: -len(".zip")] or "tables"
        with file.open("wb") as archive:
            for piece in stream_zip(root, lambda: folder, is_compressed=True):
                archive.write(piece)
        return tables


#: What files have that are not tables, by their endings.
CONTENTS: Final[dict[str, FileContent]] = {".zip": Archive()}


@dataclass(frozen=True)
class OneFile:
    """A file to convert a log directory into."""

    out: FileTarget
    content: FileContent
    #: The format of the tables.
    format: str

    @classmethod
    def of(cls, out: FileTarget, format: str | None) -> OneFile | None:
        """Return the file that ``out`` names, or None if it is a folder.

        Args:
            out: a path or URL, or a file to write to.
            format: the name of the format of the tables; None chooses that of the ending, or CSV.

        Raises:
            OptionError: the ending is that of another format, or of a file that cannot be written.
        """
        if not isinstance(out, (str, os.PathLike)):
            return cls(out, OneTable(), format or "csv")
        name = os.fspath(out).lower()
        for ending, content in CONTENTS.items():
            if name.endswith(ending):
                return cls(out, content, format or "csv")
        if format is not None and name.endswith(choose_format(format).suffix):
            return cls(out, OneTable(), format)
        found = next((known for known, each in FORMATS.items() if name.endswith(each.suffix)), None)
        if found is None:
            _refuse_other_endings(out)
            return None
        if format is not None:
            raise OptionError(
                f"{out} has the ending of the format {found}", advice("leave out {}", Option("format", format))
            )
        return cls(out, OneTable(), found)

    @property
    def name(self) -> str:
        """The file in messages."""
        return os.fspath(self.out) if isinstance(self.out, (str, os.PathLike)) else "the output"

    def check(self, *, overwrite: bool) -> None:
        """Raise early what ``convert`` would raise for the place of the file.

        Raises:
            OutputError: the file exists and may not be replaced, cannot be written, or would be an event file.
        """
        if not isinstance(self.out, (str, os.PathLike)):
            return
        if "tfevents" in Path(self.out).name:
            message = f"{self.name} has the name of an event file, so it would be read as one; choose another name."
            raise OutputError(message)
        check_place(self.out, overwrite=overwrite)

    def convert(self, settings: ConversionSettings, found: Logdir, runs: LogRuns, *, overwrite: bool) -> Report:
        """Convert the runs, and write the file.

        Raises:
            OutputError: the tables do not fit into the file, or it cannot be written.
            Tb2csvError: as ``FolderConversion.update``.
        """
        with self._opened(overwrite=overwrite) as (private, file):
            with FileFolder(private, self.name) as folder:
                conversion = FolderConversion(settings, folder)
                report = conversion.update(found, runs)
                tables, stored = conversion.entries, conversion.stored
            place = private / "tables"
            files = sum(len(list((place / each).iterdir())) for each in stored)
            written = self.content.write(place, tables, file, self.name)
            if self.content.is_one_table:
                _account(report, [table for table in tables if table not in written], files)
        return report

    @contextlib.contextmanager
    def _opened(self, *, overwrite: bool) -> Iterator[tuple[Path, Path]]:
        """Yield a private folder, and a file in it to fill, which is the output unless the block raises."""
        if isinstance(self.out, (str, os.PathLike)):
            with whole_file(self.out, overwrite=overwrite) as file:
                yield file.parent, file
            return
        with private_folder(tempfile.gettempdir(), "tb2csv-output-") as private:
            yield private, private / "new"
            with (private / "new").open("rb") as file:
                shutil.copyfileobj(file, self.out)
            self.out.flush()


def _account(report: Report, left_out: Sequence[TableEntry], files: int) -> None:
    """Put into a report what the tables of a conversion have, and its only table does not."""
    rows: dict[str, int] = {}
    for table in left_out:
        kind = UNDECODABLE_PART if _is_undecodable(table) else table.kind
        rows[kind] = rows.get(kind, 0) + table.rows
    if rows:
        report.shared_notes.append(
            Note("tables_left_out", count=sum(rows.values()), counts=tuple(sorted(rows.items())))
        )
    if files:
        report.shared_notes.append(Note("files_left_out", count=files))
    for run in report.runs:
        run.tables = 0
    report.shared_tables = 1


def _accompanies(table: TableEntry) -> bool:
    return table.kind in SECONDARY_KINDS or _is_undecodable(table)


def _is_undecodable(table: TableEntry) -> bool:
    return f".{UNDECODABLE_PART}." in table.path.rpartition("/")[2] and "reason" in table.schema


def _several_tables(found: Sequence[TableEntry], name: str) -> OutputError:
    """Return the error that several tables do not fit into one file, with the option that selects one."""
    kinds = sorted({table.kind for table in found}, key=KINDS.index)
    folder = advice("give the name of a folder")
    if len(kinds) > 1:
        counted = ", ".join(kinds[:-1]) + f" and {kinds[-1]}"
        fact = f"{name} is one table, but there are values of several kinds: {counted}"
        return OutputError(fact, advice("choose one with {}", "kind"), folder)
    return OutputError(
        f"{name} is one table, but this layout makes {len(found):,} tables of the {kinds[0]}",
        advice("choose another {}", "layout"),
        advice("select one with {}", "run", "tag"),
        folder,
    )


def _refuse_other_endings(out: str | os.PathLike[str]) -> None:
    name = os.fspath(out).lower()
    if name.endswith(_OTHER_ENDINGS) and not Path(out).is_dir():
        known = ", ".join(dict.fromkeys([*(each.suffix for each in FORMATS.values()), *CONTENTS]))
        raise OptionError(
            f"{out} has an ending that is not that of a format; choose from {known}, or end the name of a folder with /"
        )
