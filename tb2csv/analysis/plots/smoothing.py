"""TensorBoard's smoothing: an exponential moving average without the pull towards its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tb2csv.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt


def check_weight(weight: float) -> None:
    """Raise OptionError for what is no weight; at 1 TensorBoard draws a line at 0, which says nothing."""
    if not 0 <= weight < 1:
        message = f"A curve cannot be smoothed by {weight:g}; give a weight from 0, which changes nothing, to 0.999."
        raise OptionError(message)


def smoothed(values: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    """Return the moving average of each value and those before it, whose weights fall by ``weight`` at each.

    Shape and order stay. NaN and infinities are returned as they are and leave no trace in the others. Values that are
    all the same come back to the bit. Raises OptionError if ``weight`` is not in [0, 1).
    """
    check_weight(weight)
    is_finite = np.isfinite(values)
    finite = values[is_finite]
    if weight == 0 or (finite == finite[:1]).all():
        return values
    import polars as pl

    # Of finite values alone, as if nothing were between them. adjust=True divides by the sum of the weights.
    result: npt.NDArray[np.float64] = values.copy()
    result[is_finite] = pl.Series(finite).ewm_mean(alpha=1 - weight, adjust=True).to_numpy()
    return result
