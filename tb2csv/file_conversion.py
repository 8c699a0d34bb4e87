"""The conversion of a log directory into one file: a table, an Excel workbook, or an archive of the folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from tb2csv.atomic_files import check_place, private_folder, whole_file
from tb2csv.errors import OptionError, OutputError
from tb2csv.folder_conversion import FolderConversion
from tb2csv.late_polars import pl
from tb2csv.layouts.manifest import index_frame
from tb2csv.layouts.table_paths import UNDECODABLE_PART
from tb2csv.messages import Option, advice
from tb2csv.notes import Note
from tb2csv.selection import KINDS, SECONDARY_KINDS
from tb2csv.sinks.arrow import ArrowFormat
from tb2csv.sinks.file_folder import FileFolder
from tb2csv.sinks.formats import FORMATS, choose_format
from tb2csv.sinks.private_folder import PRIVATE
from tb2csv.sinks.workbook import MAX_TEXT, Workbook, check_installed, check_size
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
    *(".json", ".tsv", ".txt", ".ods", ".xls", ".xlsm", ".feather", ".ndjson", ".sqlite", ".db", ".h5", ".pkl"),
    *(".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z"),
)


class Converted(NamedTuple):
    """The tables of a conversion that become one file."""

    #: The folder, whose files may be moved.
    folder: Path
    tables: Sequence[TableEntry]
    #: The folders of their files.
    stored: Sequence[str]
    #: To be completed with what is not in the file.
    report: Report
    #: The name of the file.
    name: str

    def location(self, table: TableEntry) -> Path:
        """Return the place of a table."""
        return self.folder / table.path

    def leave_out_files(self) -> None:
        """Note the files beside the tables, if there are any."""
        count = sum(len(list((self.folder / each).iterdir())) for each in self.stored)
        if count:
            self.report.shared_notes.append(Note("files_left_out", count=count))


class FileContent(Protocol):
    """What a file has. Implementations are in ``CONTENTS`` by the ending of the file, or ``OneTable``."""

    #: The layout if none is chosen.
    layout: str
    #: The time columns if none are chosen.
    times: Sequence[str]
    #: The format of the tables if none is chosen; another one is refused if ``is_format_fixed``.
    format: str
    is_format_fixed: bool
    #: Whether all tables of a kind become one.
    is_one_table: bool

    def check(self) -> None:
        """Raise MissingExtraError if a package is missing."""

    def write(self, converted: Converted, file: Path) -> None:
        """Write the file, and add to the report what is not in it.

        Raises:
            OutputError: the tables do not fit into the file.
        """


class OneTable(FileContent):
    """A file that is the only table of a conversion."""

    layout = "long"
    times = ("epoch",)
    format = "csv"
    is_format_fixed = False
    is_one_table = True

    def check(self) -> None:
        """Do nothing."""

    def write(self, converted: Converted, file: Path) -> None:
        """Move the table to its place; tables that accompany others are left out."""
        found = [table for table in converted.tables if not _accompanies(table)]
        if not found:
            message = "no value could be decoded; convert into a folder to get their bytes"
            raise OutputError(f"{converted.name} would be empty: {message}.")
        if len(found) > 1:
            raise _several_tables(found, converted.name)
        converted.location(found[0]).replace(file)
        rows: Counter[str] = Counter()
        for table in converted.tables:
            if table is not found[0]:
                rows[UNDECODABLE_PART if _is_undecodable(table) else table.kind] += table.rows
        report = converted.report
        if rows:
            counts = tuple(sorted(rows.items()))
            report.shared_notes.append(Note("tables_left_out", count=rows.total(), counts=counts))
        converted.leave_out_files()
        for run in report.runs:
            run.tables = 0
        report.shared_tables = 1


class Archive(FileContent):
    """A ZIP archive of the folder that a conversion without an ending would write."""

    layout = "tree"
    times = ("epoch",)
    format = "csv"
    is_format_fixed = False
    is_one_table = False

    def check(self) -> None:
        """Do nothing."""

    def write(self, converted: Converted, file: Path) -> None:
        """Write all files, below a folder with the name of the archive."""
        shutil.rmtree(converted.folder / PRIVATE, ignore_errors=True)  # an archive cannot be brought up to date
        root = Path(converted.name).name[: -len(".zip")] or "tables"
        with file.open("wb") as archive:
            for piece in stream_zip(root, lambda: converted.folder, is_compressed=True):
                archive.write(piece)


class ExcelWorkbook(FileContent):
    """An Excel workbook with a sheet for each table, after an index; times are dates."""

    layout = "long"
    times = ("iso",)
    format = "arrow"
    is_format_fixed = True
    is_one_table = False

    def check(self) -> None:
        """Raise MissingExtraError if xlsxwriter is missing."""
        check_installed()

    def write(self, converted: Converted, file: Path) -> None:
        """Write the index and all tables."""
        with Workbook(file) as book:
            index_name = book.claim(INDEX_SHEET)
            names = {table.path: book.claim(label) for table, label in _labels(converted.tables)}
            for table in converted.tables:
                check_size(names[table.path], table.rows, len(table.schema))
            index = index_frame(converted.tables)
            check_size(INDEX_SHEET, len(index), index.width)
            sheets = index["path"].replace_strict(names, return_dtype=pl.String).alias("sheet")
            index = index.drop("path").insert_column(0, sheets)
            book.add_sheet(index_name, index.schema, [index])
            for table in converted.tables:
                rows = ArrowFormat().read(str(converted.location(table)), table.schema)
                pieces = (rows.slice(start, _SLICE).collect() for start in range(0, table.rows, _SLICE))
                book.add_sheet(names[table.path], table.schema, pieces)
        if book.cut_texts:
            converted.report.shared_notes.append(Note("texts_cut", count=book.cut_texts, details={"limit": MAX_TEXT}))
        converted.leave_out_files()


#: The name of the sheet that lists the others.
INDEX_SHEET: Final = "index"
#: How many rows are read at once.
_SLICE: Final = 1 << 16


def _labels(tables: Sequence[TableEntry]) -> Iterator[tuple[TableEntry, str]]:
    """Yield each table with a label for its sheet: its tag, its run, both, or its kind."""
    for table in tables:
        label = " ".join(name for name in (table.run, table.tag) if name is not None)
        yield table, label or table.path.removesuffix(ArrowFormat.suffix)


#: What files have that are not tables, by their endings.
CONTENTS: Final[dict[str, FileContent]] = {".zip": Archive(), ".xlsx": ExcelWorkbook()}


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
                if format is not None and content.is_format_fixed:
                    raise OptionError(
                        f"{out} has a format of its own", advice("leave out {}", Option("format", format))
                    )
                return cls(out, content, format or content.format)
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
        """Raise early what ``convert`` would raise for the file, whatever the tables.

        Raises:
            MissingExtraError: a package is missing.
            OutputError: the file exists and may not be replaced, cannot be written, or would be an event file.
        """
        self.content.check()
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
            place = private / "tables"
            self.content.write(Converted(place, conversion.entries, conversion.stored, report, self.name), file)
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
