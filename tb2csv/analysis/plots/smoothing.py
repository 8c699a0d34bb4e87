"""TensorBoard's smoothing: an exponential moving average whose bias towards the first value is corrected."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from tb2csv.errors import OptionError, check_type
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    import numpy.typing as npt


def check_weight(weight: float) -> None:
    """Raise OptionError if ``weight`` is not in [0, 1); with 1, TensorBoard draws a constant 0."""
    check_type("smooth", weight, Real, "a number from 0 to 0.999")
    if not 0 <= weight < 1:
        message = f"The weight of smoothing is {weight:g}; it must be from 0, which changes nothing, to 0.999."
        raise OptionError(message)


def smoothed(values: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    """Return for each value the moving average of it and the values before it, whose weights fall by ``weight``.

    Shape and order are kept. NaN and infinities are returned unchanged and do not affect other values. Equal values are
    returned bit for bit.

    Raises:
        OptionError: ``weight`` is not in [0, 1).
    """
    check_weight(weight)
    is_finite = np.isfinite(values)
    finite = values[is_finite]
    if weight == 0 or (finite == finite[:1]).all():
        return values
    # Only finite values count, as if they were adjacent. adjust=True divides by the sum of the weights.
    result: npt.NDArray[np.float64] = values.copy()
    result[is_finite] = pl.Series(finite).ewm_mean(alpha=1 - weight, adjust=True).to_numpy()
    return result
