"""Tables of CSV that are written piece by piece.

The header of a table that has columns of text is quoted, because such a table can have quoted cells. DuckDB decides by
the first 20,480 rows whether there are quotes, and reads the header among them: without quotes there, it stops at a
quoted cell that comes later, or takes the quotes for a part of the text.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def append_csv(frame: pl.DataFrame, file: IO[bytes], *, is_first: bool, **options: Any) -> None:
    """Write rows to the end of a file, after the header if they are the first; ``options`` are those of polars."""
    import polars as pl

    has_text = pl.String in frame.dtypes
    if is_first and has_text:
        frame.clear().write_csv(file, quote_style="always", **options)
    frame.write_csv(file, include_header=is_first and not has_text, **options)
