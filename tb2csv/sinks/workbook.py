"""Excel workbooks, written row by row in constant memory.

Excel has one type of number, float64, and none of its numbers is NaN or infinite. So that no cell changes silently:

- Numbers have all their digits. A float32 is the number that its shortest text gives, as in CSV.
- ``NaN``, ``inf`` and ``-inf`` are texts, and so are integers beyond 2^53 and dates before March 1900, which Excel does
  not have.
- Texts stay texts, also if they look like formulas, links or numbers. Texts of more than 32,767 UTF-16 units, which no
  cell can have, are cut, and counted.
- A sheet with too many rows or columns is refused.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import MissingExtraError, OutputError
from tb2csv.late_modules import pl
from tb2csv.messages import advice
from tb2csv.sinks.format_protocols import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from typing_extensions import Self

#: The limits of a sheet, and of a text in UTF-16 units; source: Excel specifications and limits.
MAX_ROWS: Final = 1 << 20
MAX_COLUMNS: Final = 1 << 14
MAX_TEXT: Final = 32_767
_MAX_NAME: Final = 31
_MAX_INTEGER: Final = 1 << 53

#: How many rows become Python objects at once.
_ROWS: Final = 1 << 13

#: Excel counts days from here; before March 1900 it has a day too many.
_FIRST_DAY: Final = datetime(1899, 12, 30, tzinfo=timezone.utc)
_FIRST_DATE: Final = datetime(1900, 3, 1, tzinfo=timezone.utc)
_MICROSECONDS_PER_DAY: Final = 86_400_000_000
_DATE_FORMAT: Final = "yyyy-mm-dd hh:mm:ss.000"
_DATE_WIDTH: Final = 23
#: The time of creation in the file, so that equal tables give equal bytes. xlsxwriter takes no time zone.
_CREATED: Final = datetime.fromisoformat("2000-01-01")

_NOT_IN_NAMES: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_RESERVED_NAMES: Final = frozenset({"history"})


class _Number(float):
    """A float64 that is written with all its digits; xlsxwriter 3.3 writes 16, and some numbers need 17."""

    def __format__(self, spec: str) -> str:
        return repr(float(self))


class Workbook:
    """A workbook that is being filled; it is complete after the ``with`` block."""

    def __init__(self, file: Path) -> None:
        """Prepare to write to ``file``; temporary files are beside it.

        Raises:
            MissingExtraError: xlsxwriter is missing.
        """
        options = {
            "constant_memory": True,
            "use_zip64": True,
            "tmpdir": str(file.parent),
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book: Any = _xlsxwriter().Workbook(str(file), options)
        self._book.set_properties({"created": _CREATED})
        self._names: set[str] = set()
        #: The number of texts that were cut.
        self.cut_texts = 0

    def __enter__(self) -> Self:
        """Return the workbook."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the file, unless the block raised an exception."""
        if kind is None:
            self._book.close()

    def claim(self, label: str) -> str:
        """Return a name for a sheet that Excel allows and that no other sheet has, even in other case."""
        name = clean = sheet_name(label)
        number = 1
        while name.casefold() in self._names:
            number += 1
            ending = f"~{number}"
            name = _cut(clean, _MAX_NAME - len(ending)) + ending
        self._names.add(name.casefold())
        return name

    def add_sheet(self, name: str, schema: Mapping[str, pl.DataType], pieces: Iterable[pl.DataFrame]) -> None:
        """Add a sheet with a frozen header; ``name`` is from ``claim``, and ``check_size`` has accepted the rows."""
        sheet = self._book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for number, (column, dtype) in enumerate(schema.items()):
            date = self._book.add_format({"num_format": _DATE_FORMAT}) if dtype.is_temporal() else None
            sheet.set_column(number, number, _DATE_WIDTH if date else max(10, min(40, len(column) + 2)), date)
        header = self._book.add_format({"bold": True, "num_format": "@"})
        for number, column in enumerate(schema):
            sheet.write_string(0, number, column, header)
        writers: dict[type, Callable[[int, int, Any], object]] = {
            str: lambda row, column, text: self._write_text(sheet, row, column, text),
            bool: sheet.write_boolean,
            int: sheet.write_number,
            _Number: sheet.write_number,
        }
        row = 0
        for piece in pieces:
            for part in piece.iter_slices(_ROWS):
                for cells in zip(*map(_cells, part.get_columns()), strict=True):
                    row += 1
                    for column_number, cell in enumerate(cells):
                        if cell is not None:
                            writers[type(cell)](row, column_number, cell)

    def _write_text(self, sheet: Any, row: int, column: int, text: str) -> None:
        shortened = _cut(text, MAX_TEXT)
        if len(shortened) < len(text):
            self.cut_texts += 1
        if shortened.startswith("<r>") and shortened.endswith("</r>"):
            # xlsxwriter 3.3 writes it as markup; the fragments of a rich text are escaped.
            sheet.write_rich_string(row, column, shortened[0], shortened[1], shortened[2:])
        else:
            sheet.write_string(row, column, shortened)


def _xlsxwriter() -> Any:
    try:
        import xlsxwriter
    except ImportError as error:
        raise MissingExtraError("An Excel workbook", "xlsxwriter", "excel") from error
    return xlsxwriter


def check_installed() -> None:
    """Raise MissingExtraError if workbooks cannot be written."""
    _xlsxwriter()


def check_size(name: str, rows: int, columns: int) -> None:
    """Check that a table with a header fits into a sheet.

    Raises:
        OutputError: it does not.
    """
    if rows + 1 > MAX_ROWS or columns > MAX_COLUMNS:
        raise OutputError(
            f"The sheet {name!r} would have {rows + 1:,} rows and {columns:,} columns, but Excel has {MAX_ROWS:,} rows "
            f"and {MAX_COLUMNS:,} columns",
            advice("select fewer values with {}", "run", "tag", "every"),
            advice("write CSV or Parquet"),
        )


def sheet_name(label: str) -> str:
    """Return a name that Excel allows for a sheet: no special characters, at most 31 UTF-16 units, not reserved."""
    name = _cut(_NOT_IN_NAMES.sub("_", label), _MAX_NAME)
    name = re.sub(r"^'|'$", "_", name)
    if not name.strip() or name.casefold() in _RESERVED_NAMES:
        name = _cut(f"{name.strip()}_", _MAX_NAME)
    return name


def _cut(text: str, units: int) -> str:
    """Return the start of a text with at most this number of UTF-16 units, without half a character."""
    if 2 * len(text) <= units:
        return text
    encoded = text.encode("utf-16-le")
    return text if len(encoded) <= 2 * units else encoded[: 2 * units].decode("utf-16-le", errors="ignore")


def _cells(column: pl.Series) -> list[Any]:
    """Return the cells of a column as texts, booleans, integers and numbers that Excel has; None is a missing cell."""
    dtype = column.dtype
    if dtype.is_float():
        # By its text, a float32 gets no digits that it does not have.
        numbers = column.cast(pl.String).cast(pl.Float64) if dtype == pl.Float32 else column
        return [_number(cell) for cell in numbers]
    if dtype.is_integer():
        return [cell if cell is None or abs(cell) <= _MAX_INTEGER else str(cell) for cell in column]
    if dtype.is_temporal():
        days = (column - _FIRST_DAY).dt.total_microseconds() / _MICROSECONDS_PER_DAY
        texts = column.dt.strftime(TIMESTAMP)
        is_date = column >= _FIRST_DATE
        return [
            None if text is None else _Number(day) if is_excel else text
            for day, text, is_excel in zip(days, texts, is_date, strict=True)
        ]
    return column.to_list()


#: The texts of numbers that Excel does not have.
_TEXTS: Final = {float("inf"): "inf", -float("inf"): "-inf"}


def _number(cell: float | None) -> _Number | str | None:
    if cell is None:
        return None
    return "NaN" if math.isnan(cell) else _TEXTS.get(cell) or _Number(cell)
