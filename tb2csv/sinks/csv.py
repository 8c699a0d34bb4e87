"""CSV: UTF-8, comma, line feed, quotes only where needed, numbers in the shortest form that parses back.

The header is quoted if the table has text columns: see csv_pieces.py.

polars writes and compresses the text. A compressed file has several gzip members or Zstandard frames, which readers of
both formats read in turn: one for each part that is appended, or one for each MEMBER_BYTES of a table written at once.
"""

from __future__ import annotations

import functools
import io
from typing import IO, TYPE_CHECKING, Any, Final, Literal

from tb2csv.csv_pieces import append_csv
from tb2csv.formula_escaping import escape_formula, escape_formulas, unescape_formulas
from tb2csv.late_modules import pl
from tb2csv.sinks.format_protocols import TIMESTAMP, CompressedFormat, ReadableFormat, TextFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    _Compression = Literal["uncompressed", "gzip", "zstd"]

#: A member of a compressed table has this many bytes of text, and the rest of the line.
MEMBER_BYTES: Final = 4 << 20

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
        return type(self)(self._compression, escapes_formulas=True)

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

    def has_one_line_per_row(self, schema: Mapping[str, pl.DataType]) -> bool:
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


class CompressedCsvFormat(CsvFormat, CompressedFormat, ReadableFormat):
    """Compressed CSV. The bytes of a table that is written at once depend only on its rows."""

    def write_pieces(self, pieces: Iterable[pl.DataFrame], file: IO[bytes]) -> None:
        """Write a whole table to a file."""
        plain = CsvFormat(escapes_formulas=self.escapes_formulas)
        text = io.BytesIO()
        for number, piece in enumerate(pieces):
            plain.append(piece, text, is_first=not number)
            rest = text.getvalue()
            # A line feed after MEMBER_BYTES ends a member, and it may be within a cell.
            while (end := rest.find(b"\n", MEMBER_BYTES) + 1) > 0:
                self._write_member(rest[:end], file)
                rest = rest[end:]
            text = io.BytesIO()
            text.write(rest)
        if text.tell():
            self._write_member(text.getvalue(), file)

    def _write_member(self, text: bytes, file: IO[bytes]) -> None:
        # polars has the same compression on every system; Python has Zstandard from 3.14 on.
        member = io.BytesIO()
        pl.DataFrame({"": [text.decode()]}).write_csv(
            member,
            include_header=False,
            quote_style="never",
            line_terminator="",
            compression=self._compression,
            check_extension=False,
        )
        file.write(member.getvalue())

    def read(self, path: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Return the rows of a file."""
        frame = read_csv(path, schema)
        if self.escapes_formulas:
            frame = unescape_formulas(frame)
            frame.columns = list(schema)
        return frame


def read_csv(path: str | Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Read CSV, compressed or not; an empty text in quotes is a text, and an empty cell is missing."""
    # The header is skipped: polars keeps doubled quotes in it, and then does not find the column in the schema.
    return pl.read_csv(path, schema=schema, has_header=False, skip_rows=1, glob=False)


@functools.lru_cache(maxsize=256)
def _header(names: tuple[str, ...]) -> bytes:
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_csv().encode()
