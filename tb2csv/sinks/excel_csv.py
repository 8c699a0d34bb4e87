"""CSV for Excel, which opens CSV by the settings of the country: a byte order mark, dates that it reads, no formulas.

Where numbers have decimal commas, Excel expects semicolons between cells, and reads ``1.5`` as the first of May.
"""

from __future__ import annotations

import codecs
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from tb2csv.csv_pieces import append_csv
from tb2csv.formula_escaping import escape_formulas

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

#: What Excel reads as a date and time in every country, in UTC.
_DATE: Final = "%Y-%m-%d %H:%M:%S%.3f"


class CsvDialect(NamedTuple):
    """A dialect of CSV that Excel opens with a double click."""

    separator: str
    has_decimal_comma: bool

    def write(self, pieces: Iterable[pl.DataFrame], file: IO[bytes]) -> None:
        """Write a whole table; text that Excel would run as a formula gets an apostrophe."""
        file.write(codecs.BOM_UTF8)
        for number, piece in enumerate(pieces):
            append_csv(
                escape_formulas(piece),
                file,
                is_first=not number,
                separator=self.separator,
                decimal_comma=self.has_decimal_comma,
                datetime_format=_DATE,
            )


#: The dialects by name.
CSV_DIALECTS: Final = {
    "excel": CsvDialect(",", has_decimal_comma=False),
    "excel-semicolon": CsvDialect(";", has_decimal_comma=True),
}
