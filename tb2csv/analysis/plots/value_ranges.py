"""The range of values that a panel shows: without outliers, and logarithmic if it is very wide."""

from __future__ import annotations

import math
from numbers import Real
from types import NoneType
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.plots.thinning import TOO_LARGE
from tb2csv.errors import OptionError
from tb2csv.late_modules import np
from tb2csv.messages import advice

if TYPE_CHECKING:
    import numpy.typing as npt

    Ends = tuple[float | None, float | None]
    Numbers = npt.NDArray[np.float64]

#: TensorBoard's percentiles: without outliers, it shows the values between them.
_LOW, _HIGH = 0.05, 0.95
#: Values up to this many times the distance of the percentiles beyond them are shown, too: TensorBoard cuts a tenth of
#: every curve, such as the first steps of a loss. Values farther away are outliers.
_REACH: Final = 3.0
#: An axis becomes logarithmic if the upper percentile is at least this many times the lower one.
_WIDE: Final = 1000.0
#: The minimum number of values for percentiles.
_FEW: Final = 3
_ENOUGH: Final = 10
_MARGIN: Final = 0.05


class ValueRange(NamedTuple):
    """The ends of an axis of values, and the number of finite values beyond them."""

    low: float
    high: float
    hidden: int


def check_ends(ends: Ends | None, *, log: bool | None) -> None:
    """Raise OptionError if an axis of values cannot have these ends."""
    if ends is None:
        return
    given: object = ends
    is_pair = isinstance(given, (tuple, list)) and len(given) == 2
    if not is_pair or not all(isinstance(end, (Real, NoneType)) for end in ends):
        message = f"ylim is {ends!r}; give two numbers, each of which may be None."
        raise OptionError(message)
    low, high = (-math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1])
    if not low < high or math.isinf(low) != (ends[0] is None) or math.isinf(high) != (ends[1] is None):
        message = f"The axis of values cannot have the ends {ends[0]} and {ends[1]}; give a number and a larger one."
        raise OptionError(message)
    if log and any(end is not None and end <= 0 for end in ends):
        fact = "A logarithmic axis has neither 0 nor negative numbers"
        raise OptionError(fact, advice("leave out {}", "log"), advice("change {}", "ylim"))


def is_wide(values: Numbers) -> bool:
    """Return whether a logarithmic axis shows values better: all are positive, and most of them differ by powers."""
    finite = values[np.abs(values) < TOO_LARGE]
    if len(finite) < _ENOUGH or finite.min() <= 0:
        return False
    low, high = _percentiles(finite)
    return bool(high >= _WIDE * low)


def shown_range(values: Numbers, *, log: bool, all_points: bool) -> ValueRange | None:
    """Return the range to show; None if no value can be shown."""
    finite = values[np.abs(values) < TOO_LARGE]
    if log:
        finite = np.log10(finite[finite > 0])
    if not finite.size:
        return None
    shown = finite if all_points else _without_outliers(finite)
    low, high = float(shown.min()), float(shown.max())
    margin = (high - low) * _MARGIN or (0.5 if log else abs(low) * _MARGIN or 0.5)
    low, high = low - margin, high + margin
    return ValueRange(10**low if log else low, 10**high if log else high, len(finite) - len(shown))


def _without_outliers(values: Numbers) -> Numbers:
    if len(values) < _FEW:
        return values
    low, high = _percentiles(values)
    reach = (high - low) * _REACH
    # If nearly all values are equal, the others are what matters.
    return values if reach == 0 else values[(values >= low - reach) & (values <= high + reach)]


def _percentiles(values: Numbers) -> tuple[float, float]:
    """Return the values between which TensorBoard's scalar cards show a curve."""
    ordered = np.sort(values)
    last = len(ordered) - 1
    return float(ordered[math.ceil(_LOW * last)]), float(ordered[math.floor(_HIGH * last)])
