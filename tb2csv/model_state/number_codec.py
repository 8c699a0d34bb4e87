"""Numbers as comma-separated text that reads back to the same bits.

A number is the shortest text that reads back in the dtype's number form (``Dtype.number``). ``NaN`` is the quiet NaN
that frameworks make; any other NaN shows its bits, as in ``NaN:0x7fc00001``. A complex number is two numbers, the real
and the imaginary part, and a key of a random generator is two or four. polars prints and parses, on all processors; a
loop in Python would take ten times as long.
"""

from __future__ import annotations

import binascii
import io
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.late_modules import pl

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.model_state.dtypes import Dtype

_SPACES: Final = re.compile(rb" *, *")
#: Before the bits of a NaN that is not the usual one.
NAN_BITS: Final = "NaN:0x"

#: The longest text of a number, and its comma, by the bytes of its number form; a NaN's bits are in it.
_WIDEST: Final = {1: 16, 2: 20, 4: 20, 8: 26}


def widest(dtype: Dtype) -> int:
    """Return the maximum number of bytes of an element's text, including its comma."""
    return _WIDEST[np.dtype(dtype.number).itemsize] * dtype.numbers_per_element


def numbers_to_text(stored: npt.NDArray[Any], dtype: Dtype) -> bytes:
    """Return the elements of a 1-D array in stored form as text; empty for none."""
    if not stored.size:
        return b""
    parts, odd = _parts(stored, dtype)
    if odd.size:
        return ",".join(_texts(parts, odd, dtype).to_list()).encode()
    file = io.BytesIO()
    _series(dtype.widen(parts)).to_frame().write_csv(file, include_header=False, line_terminator=",")
    return file.getvalue()[:-1]


def elements_to_series(stored: npt.NDArray[Any], dtype: Dtype) -> pl.Series:
    """Return the elements of a 1-D array in stored form as a column; those of several numbers as ``real,imaginary``."""
    parts, odd = _parts(stored, dtype)
    if dtype.numbers_per_element == 1:
        return _texts(parts, odd, dtype) if odd.size else _series(dtype.widen(parts))
    texts = _texts(parts, odd, dtype)
    count = dtype.numbers_per_element
    columns = pl.DataFrame({str(number): texts.gather_every(count, number) for number in range(count)})
    return columns.select(pl.concat_str(pl.all(), separator=",")).to_series()


def text_to_numbers(text: bytes, dtype: Dtype) -> npt.NDArray[Any]:
    """Return the elements that ``numbers_to_text`` wrote, in stored form; spaces at commas do not matter.

    Raises:
        ValueError: a text is not a number of the dtype, or a part of an element is missing.
    """
    if b" " in text:  # polars accepts spaces before some numbers, and never after
        text = _SPACES.sub(b",", text.strip(b" "))
    if not text:
        return np.empty(0, dtype.stored)
    if text.endswith(b","):  # polars takes it for the end of the last number
        message = "a number is missing after the last comma"
        raise ValueError(message)
    bits: pl.Series | None = None
    if b":" in text:
        text, bits = _without_nan_bits(text)
    number = np.dtype(dtype.number)
    schema = {"number": _polars_dtype(number)}
    try:
        numbers = pl.read_csv(text, has_header=False, schema=schema, eol_char=",", quote_char=None).to_series()
    except pl.exceptions.PolarsError as error:
        message = f"a number cannot be read ({str(error).splitlines()[0]})"
        raise ValueError(message) from error
    if numbers.null_count():
        message = f"number {numbers.is_null().arg_max()}, counted from 0, is missing"
        raise ValueError(message)
    parts = numbers.to_numpy()
    stored = dtype.narrow(parts)
    if dtype.is_float:
        stored = _with_nans(stored, parts, bits, dtype)
    if stored.size % dtype.numbers_per_element:
        message = f"{stored.size} numbers are not elements of {dtype.numbers_per_element} numbers each"
        raise ValueError(message)
    return stored.view(dtype.stored)


def _parts(stored: npt.NDArray[Any], dtype: Dtype) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the numbers one by one, and which of them are NaNs that show their bits."""
    part = stored if dtype.numbers_per_element == 1 else stored.view(dtype.number)
    if not dtype.is_float:
        return part, np.empty(0, np.int64)
    nans = np.flatnonzero(np.isnan(dtype.widen(part)))
    return part, nans[part.view(dtype.bits)[nans] != dtype.nan]


def _texts(parts: npt.NDArray[Any], odd: npt.NDArray[np.int64], dtype: Dtype) -> pl.Series:
    """Return each number as text, those at ``odd`` as their bits."""
    texts: pl.Series = _series(dtype.widen(parts)).cast(pl.String)
    if not odd.size:
        return texts
    bits = parts.view(dtype.bits)[odd]
    digits = 2 * bits.dtype.itemsize
    hexadecimal = binascii.hexlify(bits.astype(bits.dtype.newbyteorder(">")).tobytes())
    tokens = np.char.add(NAN_BITS.encode(), np.frombuffer(hexadecimal, f"S{digits}"))
    replaced: pl.Series = texts.scatter(odd, pl.Series(tokens.astype(str).tolist()))
    return replaced


def _without_nan_bits(text: bytes) -> tuple[bytes, pl.Series]:
    """Return the text with plain NaNs, and the bits that they had, null if they had none."""
    texts = pl.Series([text.decode("ascii", "replace")]).str.split(",").explode().str.strip_chars()
    has_bits = texts.str.starts_with(NAN_BITS)
    bits = pl.select(pl.when(has_bits).then(texts.str.slice(len(NAN_BITS)))).to_series()
    # Two halves, for 16 hex digits may be more than the largest number that is parsed.
    try:
        padded = bits.str.zfill(16)
        upper = padded.str.slice(0, 8).str.to_integer(base=16, strict=True).cast(pl.UInt64)
        lower = padded.str.slice(8).str.to_integer(base=16, strict=True).cast(pl.UInt64)
    except pl.exceptions.PolarsError as error:
        message = "the bits of a NaN are not hex digits"
        raise ValueError(message) from error
    plain = pl.select(pl.when(has_bits).then(pl.lit("NaN")).otherwise(texts)).to_series()
    return ",".join(plain.to_list()).encode(), upper * (1 << 32) + lower


def _with_nans(
    stored: npt.NDArray[Any], parts: npt.NDArray[Any], bits: pl.Series | None, dtype: Dtype
) -> npt.NDArray[Any]:
    """Return the floats with the NaNs that were written; a parser may make any NaN of the word."""
    is_nan = np.isnan(parts)
    if not is_nan.any():
        return stored
    stored = stored.copy()
    shown = stored.view(dtype.bits)
    shown[is_nan] = dtype.nan
    if bits is not None:
        places = np.flatnonzero(bits.is_not_null().to_numpy())
        given = bits.drop_nulls().to_numpy()
        shown[places] = given
        if not (np.isnan(dtype.widen(stored[places])).all() and (shown[places] == given).all()):
            message = f"{NAN_BITS}… does not give the bits of a NaN of {dtype.name}"
            raise ValueError(message)
    return stored


def _series(numbers: npt.NDArray[Any]) -> pl.Series:
    return pl.Series("number", numbers.astype(numbers.dtype.newbyteorder("="), copy=False))


def _polars_dtype(number: np.dtype[Any]) -> Any:
    return pl.Series(np.empty(0, number)).dtype
