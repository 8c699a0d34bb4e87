"""The contents of one output file: a table, CSV for Excel, an Excel workbook, or an archive of the folder."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tb2csv.errors import OutputError
from tb2csv.late_modules import pl
from tb2csv.layouts.manifest import index_frame
from tb2csv.layouts.table_paths import UNDECODABLE_PART
from tb2csv.messages import advice
from tb2csv.notes import Note
from tb2csv.selection import KINDS, SECONDARY_KINDS
from tb2csv.sinks.arrow import ArrowFormat
from tb2csv.sinks.private_folder import PRIVATE
from tb2csv.sinks.workbook import MAX_TEXT, Workbook, check_installed, check_size
from tb2csv.sinks.zip_stream import stream_zip

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tb2csv.layouts.manifest import TableEntry
    from tb2csv.report import Report
    from tb2csv.sinks.excel_csv import CsvDialect

#: The name of the sheet that lists the others.
INDEX_SHEET: Final = "index"
_INTO_A_FOLDER: Final = advice("give {} the name of a folder", "out")
#: How many rows are read at once.
_SLICE: Final = 1 << 16


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

    def rows(self, table: TableEntry) -> Iterator[pl.DataFrame]:
        """Yield the rows of a table in the format ``arrow``, in several frames."""
        rows = ArrowFormat().read(str(self.location(table)), table.schema)
        yield from (rows.slice(start, _SLICE).collect() for start in range(0, max(table.rows, 1), _SLICE))

    def leave_out_files(self) -> None:
        """Note the files beside the tables, if there are any."""
        count = sum(len(list((self.folder / each).iterdir())) for each in self.stored)
        if count:
            self.report.shared_notes.append(Note("files_left_out", count=count))


class FileContent(Protocol):
    """The content of an output file. Implementations are in ``CONTENTS`` by the ending of the file, or ``OneTable``."""

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

    def check_kinds(self, kinds: Collection[str], name: str) -> None:
        """Raise OutputError if a conversion with tables of these kinds, by kind, does not fit into the file."""

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

    def check_kinds(self, kinds: Collection[str], name: str) -> None:
        """Raise OutputError, with the option that selects one kind, if there are several."""
        if len(kinds) > 1:
            *others, last = sorted(kinds, key=KINDS.index)
            fact = f"{name} is one table, but there are values of several kinds: {', '.join(others)} and {last}"
            raise OutputError(fact, advice("choose one with {}", "kind"), _INTO_A_FOLDER)

    def write(self, converted: Converted, file: Path) -> None:
        """Move the table to its place; tables that accompany others are left out."""
        found = [table for table in converted.tables if not _accompanies(table)]
        if not found:
            message = "no value could be decoded; convert into a folder to get their bytes"
            raise OutputError(f"{converted.name} would be empty: {message}.")
        if len(found) > 1:
            self.check_kinds({table.kind for table in found}, converted.name)
            raise OutputError(
                f"{converted.name} is one table, but this layout makes {len(found):,} tables of the {found[0].kind}",
                advice("choose another {}", "layout"),
                advice("select one with {}", "run", "tag"),
                _INTO_A_FOLDER,
            )
        self._put(converted, found[0], file)
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

    def _put(self, converted: Converted, table: TableEntry, file: Path) -> None:
        converted.location(table).replace(file)


class ExcelCsv(OneTable):
    """A file that is the only table of a conversion, in a dialect of CSV for Excel; times are dates."""

    times = ("iso",)
    format = "arrow"
    is_format_fixed = True

    def __init__(self, dialect: CsvDialect) -> None:
        """Write in ``dialect``."""
        self._dialect = dialect

    def _put(self, converted: Converted, table: TableEntry, file: Path) -> None:
        with file.open("wb") as opened:
            self._dialect.write(converted.rows(table), opened)


class Archive(FileContent):
    """A ZIP archive of the folder that a conversion without an ending would write."""

    layout = "tree"
    times = ("epoch",)
    format = "csv"
    is_format_fixed = False
    is_one_table = False

    def check(self) -> None:
        """Do nothing."""

    def check_kinds(self, kinds: Collection[str], name: str) -> None:
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

    def check_kinds(self, kinds: Collection[str], name: str) -> None:
        """Do nothing."""

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
                book.add_sheet(names[table.path], table.schema, converted.rows(table))
        if book.cut_texts:
            converted.report.shared_notes.append(Note("texts_cut", count=book.cut_texts, details={"limit": MAX_TEXT}))
        converted.leave_out_files()


def _labels(tables: Sequence[TableEntry]) -> Iterator[tuple[TableEntry, str]]:
    """Yield each table with a label for its sheet: its tag, its run, both, or its kind."""
    for table in tables:
        label = " ".join(name for name in (table.run, table.tag) if name is not None)
        yield table, label or table.path.removesuffix(ArrowFormat.suffix)


#: The contents of files that are not tables, by the endings of the files.
CONTENTS: Final[dict[str, FileContent]] = {".zip": Archive(), ".xlsx": ExcelWorkbook()}


def _accompanies(table: TableEntry) -> bool:
    return table.kind in SECONDARY_KINDS or _is_undecodable(table)


def _is_undecodable(table: TableEntry) -> bool:
    return f".{UNDECODABLE_PART}." in table.path.rpartition("/")[2] and "reason" in table.schema
