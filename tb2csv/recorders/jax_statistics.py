"""The STATISTICS of arrays of JAX, computed where the arrays are, also within a function that JAX compiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from tb2csv.recorders.tensor_statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Sequence

jnp = jax.numpy


def is_real(array: Any) -> bool:
    """Return whether an array holds real numbers, so that it has these statistics."""
    return any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def statistics_of(arrays: Sequence[Any]) -> Any:
    """Return the STATISTICS of real arrays as one [len(arrays), 7] array of float32, computed in float64.

    NaN and no elements are as in ``array_statistics``. Compiled functions may take subnormal numbers for zeros.
    """
    if not arrays:
        return jnp.zeros((0, len(STATISTICS)), jnp.float32)
    with _float64():
        groups: dict[tuple[int, Any], dict[int, Any]] = {}
        for place, array in enumerate(arrays):
            groups.setdefault((array.size, array.dtype), {})[place] = array.reshape(-1)
        # Arrays of one size are reduced together, because each reduction takes time to compile and to start.
        rows = [_widened(jnp.stack(list(group.values()))) for group in groups.values()]
        parts = jnp.concatenate([_parts(each) for each in rows])
        # A look at each element for what is rare would take half as long as all the rest.
        nan_counts = jax.lax.cond(
            jnp.isnan(parts).any(),
            lambda: jnp.concatenate([_counts(jnp.isnan(each)) for each in rows]),
            lambda: jnp.zeros(len(arrays), jnp.int32),
        )
        places = [place for group in groups.values() for place in group]
        sizes = jnp.array([arrays[place].size for place in places], jnp.float64)
        statistics = _statistics(sizes, nan_counts, *parts.T).astype(jnp.float32)
        return statistics[np.argsort(places)]


def _float64() -> Any:
    """Return a block in which JAX has numbers of 64 bits."""
    return jax.enable_x64(new_val=True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64()


def _widened(elements: Any) -> Any:
    """Return the same numbers in float32 or float64."""
    is_single = jnp.issubdtype(elements.dtype, jnp.floating) and elements.dtype != jnp.float64
    return elements.astype(jnp.float32 if is_single else jnp.float64)


def _parts(rows: Any) -> Any:
    """Return the parts of arrays, [array, element], that ``_statistics`` takes, reduced in one pass over the elements.

    The sums of squares of the elements, and of their distances from the mean, follow from the distances from any
    element, of which the first is taken. Their relative error is larger by the number of elements at most, because
    the square of that element is in the first sum, and that of its distance in the second.
    """
    if not rows.shape[1]:
        return jnp.zeros((len(rows), 6), jnp.float64)
    wide = rows.astype(jnp.float64)
    shifts = jnp.where(jnp.isfinite(wide[:, 0]), wide[:, 0], 0)
    distances = wide - shifts[:, jnp.newaxis]
    parts = (
        shifts,
        distances.sum(axis=1),
        (distances * distances).sum(axis=1),
        rows.min(axis=1),
        rows.max(axis=1),
        _counts(rows == 0),
    )
    return jnp.stack([part.astype(jnp.float64) for part in parts], axis=1)


def _counts(rows: Any) -> Any:
    """Return how many of each row are true; in 64 bits, this would take three times as long."""
    return rows.astype(jnp.int32).sum(axis=1, dtype=jnp.int32)


def _statistics(
    count: Any, nan_count: Any, shift: Any, total: Any, squares: Any, low: Any, high: Any, zeros: Any
) -> Any:
    mean = total / count
    norm = squares + 2 * shift * total + count * shift * shift
    variance = squares / count - mean * mean
    # Infinity less infinity is NaN.
    is_infinite = jnp.isinf(low) | jnp.isinf(high)
    norm = jnp.where(is_infinite | jnp.isinf(squares), jnp.inf, norm)
    variance = jnp.where(jnp.isinf(squares) & ~is_infinite, jnp.inf, variance)
    numbers = jnp.stack([jnp.sqrt(jnp.maximum(norm, 0)), shift + mean, jnp.sqrt(jnp.maximum(variance, 0)), low, high])
    numbers = jnp.where((nan_count == 0) & (count > 0), numbers, jnp.nan)
    numbers = numbers.at[0].set(jnp.where(count == 0, 0, numbers[0]))
    return jnp.stack([*numbers, zeros / count, nan_count], axis=1)
