"""The CSV of TensorBoard's own download of a scalar, byte for byte, for scripts that read it already.

It is what Python's csv module writes of Python's numbers, so that module writes it here: carriage returns before line
feeds, a float32 with all the digits of a float64, ``nan`` and ``inf``.

Source: tensorboard/plugins/scalar/scalars_plugin.py.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


class TensorBoardCsvFormat:
    """Columns of numbers, by whatever names."""

    suffix = ".csv"

    def __init__(self) -> None:
        """Give what a data package says of the files."""
        self.properties: dict[str, Any] = {
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "dialect": {"lineTerminator": "\r\n"},
        }

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Write rows to the end of a file, with a header where they are the first."""
        file.write(self.header(tuple(frame.columns)) * is_first + self.lines(frame))

    def is_cut(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Say that every row is a line, for a row is of numbers."""
        return True

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return the line of the columns' names."""
        return _text([names])

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows."""
        return _text(zip(*(column.to_list() for column in frame), strict=True))


def _text(rows: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
