"""Values of any framework as arrays in the memory of the host, with one transfer for all values of a framework."""

from __future__ import annotations

import numbers
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.minifloats import SMALL_FLOATS, bfloat16_values, values_of_codes
from tb2csv.recorders.log_values import UnrecordableError, type_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


class HostArray(NamedTuple):
    """An array, and the name of its dtype if it holds the bits of numbers that NumPy does not have."""

    array: npt.NDArray[Any]
    dtype: str | None = None

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """The elements as numbers that NumPy has."""
        if self.dtype is None:
            return self.array
        if self.dtype in SMALL_FLOATS:
            values: npt.NDArray[Any] = values_of_codes(SMALL_FLOATS[self.dtype])[self.array]
            return values
        return bfloat16_values(self.array.view(np.uint16))


def host_arrays_of(values: Sequence[Any]) -> list[HostArray | UnrecordableError]:
    """Return values as arrays with the same bits, in the same order; an error for a value that is not an array.

    All tensors that PyTorch or JAX has on a device are fetched together.

    Raises:
        RecorderError: a value is a placeholder in a function that is being compiled, which has no numbers.
    """
    return [_host_array(value) for value in _fetched_by_torch(_fetched_by_jax(list(values)))]


def _fetched_by_jax(values: list[Any]) -> list[Any]:
    """Return values with NumPy arrays in place of JAX's."""
    jax = sys.modules.get("jax")
    if jax is None:
        return values
    places = [place for place, value in enumerate(values) if isinstance(value, jax.Array)]
    arrays = []
    for place in places:
        value = values[place]
        if isinstance(value, jax.core.Tracer):
            message = (
                "A value within jax.jit has no numbers; return it from the function and record it outside, "
                "or record it in a function that jax.debug.callback calls."
            )
            raise RecorderError(message)
        if not value.is_fully_addressable:
            value = UnrecordableError("an array of several processes")
        elif jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        arrays.append(value)
    whole = [each for each in arrays if isinstance(each, jax.Array)]
    fetched = iter(jax.device_get(whole))
    for place, value in zip(places, arrays, strict=True):
        values[place] = next(fetched) if isinstance(value, jax.Array) else value
    return values


def _fetched_by_torch(values: list[Any]) -> list[Any]:
    """Return values with HostArrays in place of PyTorch's tensors."""
    torch = sys.modules.get("torch")
    if torch is None:
        return values
    places = [place for place, value in enumerate(values) if isinstance(value, torch.Tensor)]
    if places:
        from tb2csv.recorders.pytorch.host_arrays import host_arrays, obstacle

        reasons = {place: obstacle(values[place]) for place in places}
        readable = [place for place in places if reasons[place] is None]
        for place, reason in reasons.items():
            if reason is not None:
                values[place] = UnrecordableError(reason)
        for place, array in zip(readable, host_arrays([values[place] for place in readable]), strict=True):
            values[place] = array
    return values


def _host_array(value: Any) -> HostArray | UnrecordableError:
    if isinstance(value, (HostArray, UnrecordableError)):
        return value
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(value, (tensorflow.Tensor, tensorflow.Variable)):
        if not tensorflow.executing_eagerly() or not hasattr(value, "numpy"):
            message = (
                "A tensor within a tf.function has no numbers; return it from the function and record it outside, "
                "or record it in a function that tf.py_function calls."
            )
            raise RecorderError(message)
        value = value.numpy()
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        return UnrecordableError("masked")
    try:
        array = _array(value)
    except Exception:  # noqa: BLE001 - an object's own conversion may raise any error
        return UnrecordableError(type_word(value))
    if array.dtype == object and not all(isinstance(each, (str, bytes)) for each in array.ravel()):
        return UnrecordableError(type_word(value))
    return HostArray(array)


def _array(value: Any) -> npt.NDArray[Any]:
    if isinstance(value, (str, bytes)):  # NumPy's own texts lose zeros at their ends
        return np.array(value, object)
    if isinstance(value, (np.generic, np.ndarray, bool, complex)):
        return np.asarray(value)
    if isinstance(value, numbers.Number):  # also fractions and decimals
        return _integer(int(value)) if isinstance(value, numbers.Integral) else np.asarray(float(cast("Any", value)))
    if hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
        return np.asarray(value)
    return np.from_dlpack(value)


def _integer(value: int) -> npt.NDArray[Any]:
    """Return an integer as int64, or as uint64 if it is too large for that. Raises OverflowError beyond both."""
    return np.asarray(value, np.uint64 if value >= 2**63 else np.int64)
