"""Concatenate frames whose columns or types differ, without loss of digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.errors import Tb2csvError
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def joined(frames: Iterable[pl.DataFrame], what: str) -> pl.DataFrame:
    """Return the rows of all frames in one frame.

    Raises:
        Tb2csvError: the common type of a column would lose digits.
    """
    parts = list(frames)
    if not parts:
        return pl.DataFrame()
    schema = joint_schema([part.schema for part in parts], what)
    return pl.concat([fitted(part, schema) for part in parts], rechunk=False)


def joint_schema(schemas: Iterable[pl.Schema], what: str) -> pl.Schema:
    """Return the schema of the concatenation of frames with these schemas.

    Raises:
        Tb2csvError: the common type of a column would lose digits.
    """
    known = sorted(dict.fromkeys(tuple(schema.items()) for schema in schemas), key=lambda columns: -len(columns))
    types: dict[str, dict[pl.DataType, None]] = {}
    for name, dtype in (column for columns in known for column in columns):
        types.setdefault(name, {})[dtype] = None
    return pl.Schema(
        {
            name: next(iter(found)) if len(found) == 1 else _wider(set(found), name, what)
            for name, found in types.items()
        }
    )


def _wider(types: set[pl.DataType], name: str, what: str) -> pl.DataType:
    if all(dtype.is_numeric() or dtype == pl.Boolean for dtype in types):
        return pl.Float64() if any(dtype.is_float() for dtype in types) else pl.Int64()
    message = f"The column {name!r} of {what} is now {' now '.join(sorted(map(str, types)))}; choose by run and tag."
    raise Tb2csvError(message)


def fitted(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return a frame with the columns of ``schema``, cast to its types; missing columns are null."""
    if frame.schema == schema:
        return frame
    return frame.select(
        _cast(frame[name], dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.dtype == dtype:
        return column
    cast: pl.Series = column.cast(dtype, strict=False)
    if column.dtype.is_integer() and not cast.cast(column.dtype, strict=False).equals(column):
        message = f"Integers of {column.name!r} are too large for {dtype}; choose by tag, so that they stay alone."
        raise Tb2csvError(message)
    return cast
