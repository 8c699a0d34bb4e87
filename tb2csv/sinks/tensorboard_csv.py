"""The CSV of TensorBoard's own download of a scalar, byte for byte, for scripts that already read it.

TensorBoard uses Python's csv module, and so does this: carriage returns before line feeds, a float32 with all digits of
a float64, ``nan`` and ``inf``.

Source: tensorboard/plugins/scalar/scalars_plugin.py.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any

from tb2csv.sinks.format_protocols import TextFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


class TensorBoardCsvFormat(TextFormat):
    """CSV of columns of numbers."""

    suffix = ".csv"
    properties: Mapping[str, Any] = {
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "dialect": {"lineTerminator": "\r\n"},
    }

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Append rows to a file, with a header if they are the first."""
        file.write(self.header(tuple(frame.columns)) * is_first + self.lines(frame))

    def has_one_line_per_row(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Return True: every row is a line of numbers."""
        return True

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return the header line."""
        return _text([names])

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows."""
        return _text(zip(*(column.to_list() for column in frame), strict=True))


def _text(rows: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
