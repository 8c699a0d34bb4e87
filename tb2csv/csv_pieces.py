"""Write CSV tables part by part.

The header of a table with text columns is quoted, because such a table can have quoted cells. DuckDB looks for quotes
in the header and the first 20,480 rows. Without quotes there, it fails at a later quoted cell, or keeps the quotes as
part of the text.
"""

from __future__ import annotations

from typing import IO, Any

from tb2csv.late_modules import pl


def append_csv(frame: pl.DataFrame, file: IO[bytes], *, is_first: bool, **options: Any) -> None:
    """Append rows to a file, after the header if they are the first; ``options`` are those of polars."""
    has_text = pl.String in frame.dtypes
    if is_first and has_text:
        frame.clear().write_csv(file, quote_style="always", **options)
    frame.write_csv(file, include_header=is_first and not has_text, **options)
