"""A format of text: cells with semicolons between them, without quotes and without a header."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


class SemicolonFormat:
    """One row a line."""

    suffix = ".semi"
    properties = {"format": "semicolons", "mediatype": "text/plain"}

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Write rows to the end of a file."""
        file.write(self.lines(frame))

    def has_one_line_per_row(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Return whether each row is one line: not if there is text, which may have line feeds."""
        return all(dtype.is_numeric() for dtype in schema.values())

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return nothing."""
        return b""

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows."""
        return "".join(";".join(map(str, row)) + "\n" for row in frame.iter_rows()).encode()


FORMAT = SemicolonFormat()
