"""JSON Lines: an object for each row, its members in the order of the columns; strict JSON.

JSON has no NaN and no infinity: they are the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as in the JSON that
TensorBoard sends. Many readers make text of a column with such a cell, so there is a format with null instead.
Integers are numbers whatever their size, though many readers keep no more than 53 bits of one.
A missing cell is null.
"""

from __future__ import annotations

import functools
import io
import json
from typing import IO, TYPE_CHECKING, Any

from tb2csv.sinks.format_protocols import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


class JsonLinesFormat:
    """JSON Lines, UTF-8."""

    suffix = ".jsonl"

    def __init__(self, *, odd_numbers_are_null: bool = False) -> None:
        """Write NaN and infinities as texts, or as null, which cannot be told from a missing cell."""
        self._odd_numbers_are_null = odd_numbers_are_null
        self.properties: dict[str, Any] = {"format": "jsonl", "mediatype": "application/jsonl", "encoding": "utf-8"}

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Write rows to the end of a file."""
        frame.select(_line(tuple(frame.schema.items()), self._odd_numbers_are_null)).write_csv(
            file, include_header=False, quote_style="never"
        )

    def is_cut(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Say that every row is a line, for line feeds in texts are escaped."""
        return True

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return nothing: each line names its cells."""
        return b""

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows."""
        file = io.BytesIO()
        self.append(frame, file, is_first=False)
        return file.getvalue()


@functools.lru_cache(maxsize=256)
def _line(columns: tuple[tuple[str, pl.DataType], ...], odd_numbers_are_null: bool) -> pl.Expr:
    """Return the expression for a row's line, as a column named after nothing in it."""
    import polars as pl

    parts = []
    for number, (name, dtype) in enumerate(columns):
        parts += [
            pl.lit(f"{',' if number else '{'}{json.dumps(name, ensure_ascii=False)}:"),
            _cell(number, dtype, odd_numbers_are_null),
        ]
    return pl.concat_str([*parts, pl.lit("}" if parts else "{}")]).alias("line")


def _cell(number: int, dtype: pl.DataType, odd_numbers_are_null: bool) -> pl.Expr:
    """Return the expression for the cell of a column, given by its number, as JSON."""
    import polars as pl

    column = pl.nth(number)  # by its name, a column called ``*`` would be all columns
    if dtype == pl.String:  # polars escapes texts in objects only
        return pl.struct(column.alias("")).struct.json_encode().str.strip_prefix('{"":').str.strip_suffix("}")
    if dtype.is_temporal():
        text = column.dt.strftime(f'"{TIMESTAMP}"')
    elif dtype.is_float():
        if odd_numbers_are_null:
            return pl.when(column.is_finite()).then(column.cast(pl.String)).otherwise(pl.lit("null"))
        infinity = pl.when(column > 0).then(pl.lit('"Infinity"')).otherwise(pl.lit('"-Infinity"'))
        odd = pl.when(column.is_nan()).then(pl.lit('"NaN"')).otherwise(infinity)
        text = pl.when(column.is_finite().fill_null(value=True)).then(column.cast(pl.String)).otherwise(odd)
    else:
        text = column.cast(pl.String)
    return text.fill_null("null")
