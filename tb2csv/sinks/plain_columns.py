"""Columns of any type of polars as columns that text formats hold: text, numbers, booleans and times in UTC."""

from __future__ import annotations

from typing import Final

from tb2csv.errors import OptionError
from tb2csv.late_modules import pl


def plain_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with its bytes as base64, and its dates, durations and decimals as text.

    Raises:
        OptionError: a column has lists or structures.
    """
    return frame.with_columns(
        _plain(frame.to_series(number)) for number, dtype in enumerate(frame.dtypes) if not _is_plain(dtype)
    )


#: The time of the tables of ``convert``.
_TIME: Final = ("us", "UTC")


def _is_plain(dtype: pl.DataType) -> bool:
    if dtype == pl.Datetime:
        return dtype == pl.Datetime(*_TIME)
    return dtype in {pl.String, pl.Boolean} or dtype.is_float() or (dtype.is_integer() and dtype != pl.Int128)


def _plain(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype.is_nested() or dtype == pl.Object:
        message = (
            f"The column {column.name!r} has lists or structures, which a text format cannot hold; "
            "choose the format parquet or arrow, or write single values."
        )
        raise OptionError(message)
    text: pl.Series
    if dtype == pl.Binary:
        text = column.bin.encode("base64")
    elif dtype == pl.Duration:
        text = column.dt.to_string("iso")
    else:
        text = column.cast(pl.String)
    return text
