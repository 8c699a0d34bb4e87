"""Conversion of values in logs of a training, which may have any type, to numbers."""

from __future__ import annotations

import numbers
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.recorders.tensor_dtypes import is_real

if TYPE_CHECKING:
    import numpy.typing as npt

_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)

#: Words for values of these NumPy kinds.
_WORDS: Final = {"U": "text", "S": "text", "c": "a complex number", "M": "a date", "m": "a duration"}


class UnrecordableError(Exception):
    """A value that is not a number, nor an array of numbers; the message names its type."""


def recordable(value: Any) -> npt.NDArray[Any]:
    """Return a value as an array: float64 and of rank 0 for a number, else in its own dtype.

    Raises:
        UnrecordableError: it is something else, or a number that a float32 cannot hold.
    """
    array = _array_of(value)
    if array.ndim:
        if not is_real(array.dtype) and array.dtype.kind != "c":
            raise UnrecordableError(word(array, value))
        return array
    if array.dtype.kind not in "biuf" and not is_real(array.dtype):
        raise UnrecordableError(word(array, value))
    number = float(array)
    if np.isfinite(number) and abs(number) > _FLOAT32_MAX:
        message = "a number beyond float32"
        raise UnrecordableError(message)
    return np.asarray(number)


def _array_of(value: Any) -> npt.NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        message = "masked"
        raise UnrecordableError(message)
    if isinstance(value, np.ndarray) and value.dtype == object and not value.ndim:
        value = value.item()
    is_plain = isinstance(value, numbers.Number) and not isinstance(value, (np.generic, complex))
    try:
        value = _host_value(value)
        # Integers of any size, fractions and decimals are objects to numpy.
        return np.asarray(float(value)) if is_plain else np.asarray(value)
    except OverflowError as error:
        message = "a number beyond float32"
        raise UnrecordableError(message) from error
    except Exception as error:  # an object's own conversion may raise any error
        raise UnrecordableError(type_word(value)) from error


def _host_value(value: Any) -> Any:
    """Return the array of a tensor or variable of a framework, and any other value as it is."""
    tensorflow, keras, torch = map(sys.modules.get, ("tensorflow", "keras", "torch"))
    if tensorflow is not None and isinstance(value, (tensorflow.Tensor, tensorflow.Variable)):
        return value.numpy()
    if keras is not None and isinstance(value, keras.Variable):
        return value.numpy()
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return value


def word(array: npt.NDArray[Any], value: Any) -> str:
    """Return what to call a value that became an array of something else than real numbers."""
    if array.dtype == object:
        return type_word(value if array.ndim else array.item())
    return _WORDS.get(array.dtype.kind, str(array.dtype))


def type_word(value: Any) -> str:
    """Return what to call a value that is not a number."""
    if isinstance(value, (str, bytes)):
        return "text"
    return "None" if value is None else type(value).__name__
