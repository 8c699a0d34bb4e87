"""Numbers and texts of Python as tensors without dimensions, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.tensors import StateTensor, array_bytes

if TYPE_CHECKING:
    from tb2csv.model_state.tensors import Buffer

#: The dtype of a Python value as a tensor without dimensions; integers beyond 64 bits are text.
_DTYPES: Final[dict[type, str]] = {
    bool: "bool",
    int: "int64",
    float: "float64",
    complex: "complex128",
    str: "str",
    bytes: "bytes",
    bytearray: "bytes",
}
_INT64: Final = range(-(2**63), 2**63)


def is_python_value(value: Any) -> bool:
    """Return whether a value is of one of Python's types that can be stored in a table, and of no type below it."""
    return type(value) in _DTYPES


def python_tensor(name: str, value: Any, **facts: Any) -> StateTensor:
    """Return a Python value as a tensor; ``facts`` are further fields of StateTensor."""
    dtype = _dtype(type(value), value)
    content = _bytes_of(value, dtype)
    return StateTensor(name, dtype, (), lambda: content, python=type(value).__name__, **facts)


def python_value(content: Buffer, old: Any) -> Any:
    """Return the value in the bytes of a tensor, in the type of ``old``."""
    dtype = DTYPES[_dtype(type(old), old)]
    values = dtype.strings(content) if dtype.strings else np.frombuffer(content, dtype.stored)
    return type(old)(values.tolist()[0])


def empty_python_value(kind: str) -> Any:
    """Return the number 0 or an empty text of a Python type, by its name; None if it is another type."""
    kinds = {each.__name__: each for each in _DTYPES}
    return kinds[kind]() if kind in kinds else None


def _dtype(kind: type, value: Any) -> str:
    return "str" if kind is int and value not in _INT64 else _DTYPES[kind]


def _bytes_of(value: Any, dtype: str) -> Buffer:
    kind = DTYPES[dtype]
    if kind.strings:
        array = np.empty(1, object)
        array[0] = bytes(value) if dtype == "bytes" else str(value)
        return kind.encode(array)
    return array_bytes(np.array([value], kind.stored))
