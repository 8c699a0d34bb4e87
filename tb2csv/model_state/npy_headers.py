"""Headers of arrays in NumPy's own format, which say how much memory an array takes."""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import NPY, as_state_errors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def npy_errors(what: str) -> AbstractContextManager[None]:
    """Return a context in which what NumPy raises for a damaged array becomes a StateError; ``what`` is the array."""
    return as_state_errors(f"{what} is damaged", "save the arrays anew", NPY)


def npy_header(file: IO[bytes], size: int, what: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return dtype and shape from the start of an array's file.

    Args:
        file: open at the start of the array.
        size: the number of its bytes.
        what: the array, for messages.

    Raises:
        StateError: the header is damaged, or does not describe the bytes that follow it.
    """
    with npy_errors(what):
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        try:
            shape, _, dtype = read(file)
        except ValueError as error:
            if "valid dtype descriptor" in str(error):  # <f1, as NumPy writes float8_e5m2 and does not read it
                raise StateError(_unknown_dtype(what)) from error
            raise
        start = file.tell()
    needed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or (not dtype.hasobject and needed != size - start):
        message = f"{what} is damaged (its header needs {needed:,} bytes, and it has {size - start:,}); save it anew."
        raise StateError(message)
    if dtype.kind == "V" and dtype.fields is None:
        raise StateError(_unknown_dtype(what))
    return dtype, shape


def _unknown_dtype(what: str) -> str:
    """Return the message on an array whose dtype NumPy does not know any more."""
    return (
        f"{what} is of a dtype that NumPy does not know, because its files do not keep bfloat16, float8 or int4; save "
        "it as float32, or in a .safetensors file."
    )
