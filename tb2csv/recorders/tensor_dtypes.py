"""The dtypes of tensors in event files, by the names that NumPy, ml_dtypes and the frameworks give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import RecorderError

if TYPE_CHECKING:
    import numpy as np

_INTEGERS: Final = {
    "int2": 31,
    "int4": 29,
    "int8": 6,
    "int16": 5,
    "int32": 3,
    "int64": 9,
    "uint2": 32,
    "uint4": 30,
    "uint8": 4,
    "uint16": 17,
    "uint32": 22,
    "uint64": 23,
}
_FLOATS: Final = {
    "float16": 19,
    "float32": 1,
    "float64": 2,
    "bfloat16": 14,
    "float8_e5m2": 24,
    "float8_e4m3fn": 25,
    "float8_e4m3fnuz": 26,
    "float8_e4m3b11fnuz": 27,
    "float8_e5m2fnuz": 28,
    "float4_e2m1fn": 33,
}
_REAL: Final = {"bool": 10, **_INTEGERS, **_FLOATS}
#: By name; the numbers are those of the enum DataType in TensorFlow's types.proto.
_NUMBERS: Final = {**_REAL, "complex64": 8, "complex128": 18}
#: The number of text, whose content is not bytes of an array.
STRING: Final = 7


class UnknownDtypeError(RecorderError, TypeError):
    """A dtype that a tensor in an event file cannot have."""


def dtype_number(name: str) -> int:
    """Return the number of a dtype in an event file. Raises UnknownDtypeError if there is no such tensor."""
    number = _NUMBERS.get(name)
    if number is None:
        message = f"A tensor in an event file cannot have the dtype {name}."
        raise UnknownDtypeError(message)
    return number


def is_real(dtype: np.dtype[Any]) -> bool:
    """Return whether an array of this dtype holds real numbers that a tensor in an event file can have.

    NumPy itself does not count bfloat16 as a number.
    """
    return dtype.name in _REAL
