"""JSON Lines: an object for each row, with members in the order of the columns, in strict JSON.

JSON has no NaN or infinity: they are the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as in TensorBoard's own
JSON. Many readers then read the column as text, so there is also a format with null instead. Integers of any size are
numbers, though many readers keep only 53 bits. A missing cell is null.
"""

from __future__ import annotations

import functools
import io
import json
from typing import IO, TYPE_CHECKING, Any

from tb2csv.late_modules import np, pl
from tb2csv.sinks.format_protocols import TIMESTAMP, LossyFormat, TextFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


class JsonLinesFormat(TextFormat):
    """JSON Lines, UTF-8."""

    suffix = ".jsonl"
    properties: Mapping[str, Any] = {"format": "jsonl", "mediatype": "application/jsonl", "encoding": "utf-8"}

    #: Whether NaN and infinities become null, not texts.
    _non_finite_is_null = False

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Append rows to a file."""
        frame.select(_line(tuple(frame.schema.items()), self._non_finite_is_null)).write_csv(
            file, include_header=False, quote_style="never"
        )

    def has_one_line_per_row(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Return True: each row is exactly one line, because line feeds in texts are escaped."""
        return True

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return an empty header: each line has the names of its cells."""
        return b""

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows."""
        file = io.BytesIO()
        self.append(frame, file, is_first=False)
        return file.getvalue()


class NullJsonLinesFormat(JsonLinesFormat, LossyFormat):
    """JSON Lines with null for NaN and infinities, which are counted because null also means a missing cell."""

    _non_finite_is_null = True
    lost = "NaN and infinities"
    lossless = "jsonl"

    def lost_cells(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return the number of NaN and infinite cells of each row."""
        counts = np.zeros(len(frame), np.int64)
        for column in frame.get_columns():
            if column.dtype.is_float():
                numbers = column.alias("")  # polars reads a name such as ``^loss$`` as a pattern
                counts += numbers.is_finite().not_().fill_null(value=False).to_numpy()  # a missing cell stays missing
        return counts


@functools.lru_cache(maxsize=256)
def _line(columns: tuple[tuple[str, pl.DataType], ...], non_finite_is_null: bool) -> pl.Expr:
    """Return the expression for a row's line, as a column without a name."""
    parts = []
    for number, (name, dtype) in enumerate(columns):
        parts += [
            pl.lit(f"{',' if number else '{'}{json.dumps(name, ensure_ascii=False)}:"),
            _cell(number, dtype, non_finite_is_null),
        ]
    return pl.concat_str([*parts, pl.lit("}" if parts else "{}")]).alias("line")


def _cell(number: int, dtype: pl.DataType, non_finite_is_null: bool) -> pl.Expr:
    """Return the expression for a cell as JSON; the column is given by its number."""
    column = pl.nth(number)  # the name ``*`` would select all columns
    if dtype == pl.String:  # polars escapes texts in objects only
        return pl.struct(column.alias("")).struct.json_encode().str.strip_prefix('{"":').str.strip_suffix("}")
    if dtype.is_temporal():
        text = column.dt.strftime(f'"{TIMESTAMP}"')
    elif dtype.is_float():
        if non_finite_is_null:
            return pl.when(column.is_finite()).then(column.cast(pl.String)).otherwise(pl.lit("null"))
        infinity = pl.when(column > 0).then(pl.lit('"Infinity"')).otherwise(pl.lit('"-Infinity"'))
        odd = pl.when(column.is_nan()).then(pl.lit('"NaN"')).otherwise(infinity)
        text = pl.when(column.is_finite().fill_null(value=True)).then(column.cast(pl.String)).otherwise(odd)
    else:
        text = column.cast(pl.String)
    return text.fill_null("null")
