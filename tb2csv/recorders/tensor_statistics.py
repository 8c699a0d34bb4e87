"""Seven statistics of a gradient or a weight, computed in one pass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

#: In the order in which they are computed: the Euclidean norm, the mean, the standard deviation of all elements (not
#: of a sample), the minimum, the maximum, the share of zeros (TensorFlow takes subnormal numbers for zeros,
#: too), and how many elements are NaN.
STATISTICS: Final = ("norm", "mean", "std", "min", "max", "zero_share", "nan_count")


def statistics_of(tensors: Sequence[Any]) -> Any:
    """Return the STATISTICS of tensors as one [len(tensors), 7] tensor, in eager code and in graphs.

    They are computed in float64 for float64 tensors and in float32 otherwise, and returned as float32. If an
    element is NaN, all of them are NaN except ``zero_share`` and ``nan_count``. If there are no elements, all are NaN
    except the norm and the count, which are 0.
    """
    import tensorflow as tf

    return tf.stack([_statistics(tensor) for tensor in tensors]) if tensors else tf.zeros([0, len(STATISTICS)])


def array_statistics(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Return the STATISTICS of arrays as [len(arrays), 7], computed in float64; NaN and no elements as above."""
    return np.array([_array_statistics(array) for array in arrays], np.float32).reshape(len(arrays), len(STATISTICS))


def _array_statistics(array: npt.NDArray[Any]) -> tuple[float, ...]:
    values = array.astype(np.float64).ravel()
    if not values.size:
        return (0.0, *[math.nan] * 5, 0.0)
    nan_count = float(np.isnan(values).sum())
    zero_share = float((values == 0).mean())
    if nan_count:
        return (*[math.nan] * 5, zero_share, nan_count)
    with np.errstate(all="ignore"):  # infinity is a result
        scale = float(np.abs(values).max()) or 1.0
        norm = scale * float(np.sqrt(np.square(values / scale).sum())) if math.isfinite(scale) else math.inf
        return norm, float(values.mean()), float(values.std()), values.min(), values.max(), zero_share, nan_count


def is_real(tensor: Any) -> bool:
    """Return whether a tensor or variable holds real numbers, so that it has these statistics."""
    import tensorflow as tf

    dtype = tf.as_dtype(tensor.dtype)
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def _statistics(tensor: Any) -> Any:
    import tensorflow as tf

    wide = tensor.dtype if tensor.dtype == tf.float64 else tf.float32
    values = tf.cast(tf.reshape(tensor, [-1]), wide)
    if values.shape[0] == 0:
        nan = tf.constant(float("nan"), tf.float32)
        return tf.stack([tf.zeros_like(nan), nan, nan, nan, nan, nan, tf.zeros_like(nan)])
    mean = tf.reduce_mean(values)
    nan_count = tf.math.count_nonzero(tf.math.is_nan(values), dtype=tf.float32)
    # Devices differ in the minimum of numbers of which one is NaN.
    unknown = tf.where(nan_count > 0, tf.constant(float("nan"), wide), tf.zeros((), wide))
    numbers = (
        tf.norm(values),
        mean,
        tf.sqrt(tf.reduce_mean(tf.math.squared_difference(values, mean))),
        tf.reduce_min(values) + unknown,
        tf.reduce_max(values) + unknown,
    )
    zeros = tf.reduce_mean(tf.cast(tf.equal(values, 0), tf.float32))
    return tf.stack([*(tf.cast(number, tf.float32) for number in numbers), zeros, nan_count])
