"""CSV: UTF-8, comma, line feed, quotes only where needed, numbers in the shortest form that parses back.

The header is quoted if the table has text columns: see csv_pieces.py.

polars writes and compresses the text. Each part that is appended to a compressed file is a gzip member or a Zstandard
frame of its own, and readers of both formats read them in turn.
"""

from __future__ import annotations

import functools
import io
from typing import IO, TYPE_CHECKING, Any, Final, Literal

from tb2csv.csv_pieces import append_csv
from tb2csv.late_polars import pl
from tb2csv.sinks.format_protocols import TIMESTAMP, TextFormat
from tb2csv.sinks.formula_escaping import escape_formula, escape_formulas

if TYPE_CHECKING:
    from collections.abc import Mapping

    _Compression = Literal["uncompressed", "gzip", "zstd"]

#: The endings of compressed files, which are also the names of the compression in a data package.
_ENDINGS: Final[dict[_Compression, str]] = {"gzip": "gz", "zstd": "zst"}


class CsvFormat(TextFormat):
    """CSV, compressed or not."""

    suffix = ".csv"
    properties: Mapping[str, Any] = {}

    def __init__(self, compression: _Compression = "uncompressed", *, escapes_formulas: bool = False) -> None:
        """Use a compression of polars; ``escapes_formulas`` prefixes text that a spreadsheet would run with ``'``."""
        self._compression = compression
        self.escapes_formulas = escapes_formulas
        ending = _ENDINGS.get(compression)
        if ending:
            self.suffix = f".csv.{ending}"
        self.properties = {
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            **({"compression": ending} if ending else {}),
        }

    def escaping_formulas(self) -> CsvFormat:
        """Return this format with formulas escaped: see formula_escaping.py."""
        return CsvFormat(self._compression, escapes_formulas=True)

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Append rows to a file, with a header if they are the first."""
        append_csv(
            escape_formulas(frame) if self.escapes_formulas else frame,
            file,
            is_first=is_first,
            compression=self._compression,
            check_extension=False,
            datetime_format=TIMESTAMP,
        )

    def is_cut(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Return whether there is neither text, which may contain line feeds, nor compression."""
        is_plain = self._compression == "uncompressed"
        return is_plain and all(dtype.is_numeric() or dtype.is_temporal() for dtype in schema.values())

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return the header line of a table without text columns."""
        return _header(tuple(map(escape_formula, names)) if self.escapes_formulas else names)

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows of numbers and times."""
        file = io.BytesIO()
        frame.write_csv(file, include_header=False, datetime_format=TIMESTAMP)
        return file.getvalue()


@functools.lru_cache(maxsize=256)
def _header(names: tuple[str, ...]) -> bytes:
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_csv().encode()
