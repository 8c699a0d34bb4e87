"""The dtypes that a state may have, by the names that frameworks share: how elements are stored and printed.

Floats that numpy lacks are stored as integers of the same bits. As text, they are widened exactly to
float32; narrowing them again gives back the bits.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import StateError
from tb2csv.minifloats import SMALL_FLOATS, bfloat16_values, values_of_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    _Array = npt.NDArray[Any]
    _Convert = Callable[[_Array], _Array]

#: The length of a text, as 64 bits, before its bytes in a tensor of texts.
_LENGTH: Final = struct.Struct("<Q")


def _same(values: _Array) -> _Array:
    return values


@dataclass(frozen=True, slots=True)
class Dtype:
    """One dtype.

    ``stored`` is numpy's little-endian dtype of the same size, and ``number`` that in which elements are printed and
    parsed; ``widen`` and ``narrow`` lead from one to the other and back, bit for bit except for NaNs. ``bits`` is the
    integer dtype that shows a float's bits, and ``nan`` the bits of the NaN that is written as plain ``NaN``.
    ``numbers_per_element`` is 2 for complex numbers. A dtype of text has ``encode`` and ``strings`` instead. Keys of
    random generators are several integers each and not quantities: they have no distance from one another.
    """

    name: str
    stored: str
    number: str
    widen: _Convert = _same
    narrow: _Convert = _same
    bits: str = ""
    nan: int = 0
    numbers_per_element: int = 1
    is_quantity: bool = True
    encode: Callable[[_Array], bytes] = lambda values: values.tobytes()
    strings: Callable[[Any], _Array] | None = None

    @property
    def item_size(self) -> int:
        """Bytes of one element; 0 if the lengths differ."""
        return 0 if self.strings else np.dtype(self.stored).itemsize

    def count_texts(self, data: Any) -> int:
        """Return the number of texts in the bytes of a tensor of text; -1 if the bytes are damaged."""
        assert self.strings is not None
        try:
            return int(self.strings(data).size)
        except (StateError, UnicodeDecodeError):
            return -1

    @property
    def is_float(self) -> bool:
        """Whether elements, or their parts, are floats."""
        return bool(self.bits)


def _number(name: str, stored: str) -> Dtype:
    return Dtype(name, stored, stored)


def _float(name: str, stored: str, bits: str, nan: int, parts: int = 1) -> Dtype:
    part = stored if parts == 1 else bits.replace("u", "f")
    return Dtype(name, stored, part, bits=bits, nan=nan, numbers_per_element=parts)


def _key(name: str, words: int) -> Dtype:
    return Dtype(name, f"V{4 * words}", "<u4", numbers_per_element=words, is_quantity=False)


def _float32_to_bfloat16(values: _Array) -> _Array:
    bits = values.view(np.uint32)
    _refuse_inexact("bfloat16", values[(bits & 0xFFFF) != 0])
    return (bits >> 16).astype(np.uint16)


def _float32_to_float16(values: _Array) -> _Array:
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    _refuse_inexact("float16", values[(halves.astype(np.float32) != values) & ~np.isnan(values)])
    return halves


def _small_float(name: str) -> Dtype:
    layout = SMALL_FLOATS[name]

    def widen(codes: _Array) -> _Array:
        return values_of_codes(layout)[codes]

    def narrow(values: _Array) -> _Array:
        table = values_of_codes(layout).view(np.uint32)
        order = np.argsort(table, kind="stable")
        places = np.searchsorted(table[order], values.view(np.uint32))
        codes = order[np.minimum(places, len(order) - 1)].astype(np.uint8)
        found = widen(codes)
        _refuse_inexact(name, values[(found.view(np.uint32) != values.view(np.uint32)) & ~np.isnan(values)])
        return codes

    return Dtype(name, "u1", "<f4", widen, narrow, "u1", layout.nans[0])


def _refuse_inexact(name: str, odd: _Array) -> None:
    if odd.size:
        message = f"{odd[0]} is not a number of {name}"
        raise ValueError(message)


def _bool_of(values: _Array) -> _Array:
    if values.max(initial=0) > 1:
        message = f"{values.max()} is not a bool, which is 0 or 1"
        raise ValueError(message)
    return values


def _encode_texts(values: _Array) -> bytes:
    encoded = [_text_bytes(value) for value in values.reshape(-1).tolist()]
    return b"".join(part for each in encoded for part in (_LENGTH.pack(len(each)), each))


def _text_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def _decode_texts(data: Any) -> list[bytes]:
    content, texts, offset = bytes(data), [], 0
    while offset + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, offset)
        offset += _LENGTH.size + length
        texts.append(content[offset - length : offset])
    if offset != len(content):
        message = "The bytes of a tensor of texts end inside one of them."
        raise StateError(message)
    return texts


def _objects(values: list[Any]) -> _Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _bytes_of(data: Any) -> _Array:
    return _objects(_decode_texts(data))


def _str_of(data: Any) -> _Array:
    return _objects([each.decode("utf-8", "surrogatepass") for each in _decode_texts(data)])


#: Integers of fewer bits. In a state they have a byte each, with the sign; in ml_dtypes the upper bits mean nothing.
SMALL_INTEGERS: Final = {"int2": "i1", "int4": "i1", "uint2": "u1", "uint4": "u1"}

_ALL: Final = (
    Dtype("bool", "u1", "u1", narrow=_bool_of),
    *(_number(name, stored) for name, stored in {"int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8"}.items()),
    *(_number(f"uint{size}", f"<u{size // 8}") for size in (8, 16, 32, 64)),
    *(_number(name, stored) for name, stored in SMALL_INTEGERS.items()),
    Dtype("float16", "<f2", "<f4", lambda halves: halves.astype(np.float32), _float32_to_float16, "<u2", 0x7E00),
    Dtype("bfloat16", "<u2", "<f4", bfloat16_values, _float32_to_bfloat16, "<u2", 0x7FC0),
    _float("float32", "<f4", "<u4", 0x7FC00000),
    _float("float64", "<f8", "<u8", 0x7FF8000000000000),
    *map(_small_float, SMALL_FLOATS),
    _float("complex64", "<c8", "<u4", 0x7FC00000, 2),
    _float("complex128", "<c16", "<u8", 0x7FF8000000000000, 2),
    # Keys of random generators, as JAX calls their dtypes.
    *(_key(name, words) for name, words in {"key<fry>": 2, "key<rbg>": 4, "key<urbg>": 4}.items()),
    Dtype("str", "O", "O", is_quantity=False, encode=_encode_texts, strings=_str_of),
    Dtype("bytes", "O", "O", is_quantity=False, encode=_encode_texts, strings=_bytes_of),
)
DTYPES: Final = {dtype.name: dtype for dtype in _ALL}


def dtype_of_array(name: str, array: _Array) -> str:
    """Return the dtype's name; raises StateError, with the tensor's name, if a table cannot hold it."""
    kind = array.dtype.kind
    if kind in "US" or (kind == "O" and array.size and all(isinstance(each, str) for each in array.flat)):
        return "bytes" if kind == "S" else "str"
    if kind == "O" and array.size and all(isinstance(each, bytes) for each in array.flat):
        return "bytes"
    if array.dtype.name in DTYPES and kind != "O":
        return str(array.dtype.name)
    message = f"Tensor {name!r} is of dtype {array.dtype}, which has no form in a table; leave it out of the state."
    raise StateError(message)


def texts_to_json(values: _Array) -> str:
    """Return texts as a JSON array in ASCII; bytes that are not UTF-8 become lone surrogates."""
    texts = [v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else v for v in values.reshape(-1).tolist()]
    return json.dumps(texts)


def texts_from_json(text: str, dtype: str) -> bytes:
    """Return the stored bytes of what ``texts_to_json`` wrote; raises ValueError if it is something else."""
    texts = json.loads(text)
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        message = "the cell is not a JSON array of texts"
        raise ValueError(message)
    encoded = [each.encode("utf-8", "surrogateescape") if dtype == "bytes" else each for each in texts]
    return _encode_texts(_objects(encoded))
