"""The levels of a loss: medians of values that follow one another, at the beginning, at the end and at its lowest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: The ratio of a standard deviation to a median of absolute differences, if errors are normal.
_TO_DEVIATION: Final = 1.4826
#: The ratio of the standard error of a median to that of a mean.
_OF_A_MEDIAN: Final = 1.2533
#: A level at the end is the median of this share of all values.
_SHARE: Final = 0.1
#: Rows of a matrix that are sorted at a time, which bounds the memory.
_ROWS: Final = 1 << 16


class LossLevels(NamedTuple):
    """The levels of one series.

    ``first`` is the median of as many values as a fault must last, ``early`` that of the first tenth, or of as many as
    before if that is more, and ``last`` that of as many at the end. ``lowest`` is the lowest of these and of all other
    tenths. ``first_noise`` is the standard error of ``first``, ``noise`` that of the others, by how much values differ
    from the one before. ``rise`` is how far ``last`` is above ``lowest``, by the size of that; NaN if that is zero.
    """

    series: ScalarSeries
    first_step: int
    last_step: int
    points: int
    first: float
    early: float
    last: float
    lowest: float
    first_noise: float
    noise: float
    rise: float


def loss_levels(series: ScalarSeries, steps: int) -> LossLevels | None:
    """Return the levels of a series; None if it has no more finite values than ``steps``."""
    step, value = series.finite()
    points = value.size
    if points <= steps:
        return None
    window = level_window(points, steps)
    # Of few values the first alone is the beginning, so that the end is not part of it.
    begins = min(steps, points - steps)
    whole = points // window * window
    first, early, last = (median(part) for part in (value[:begins], value[:window], value[-window:]))
    tenths = np.median(value[:whole].reshape(-1, window), axis=1)
    lowest = min(first, last, float(tenths.min()))
    deviation = median(np.abs(np.diff(value))) * _TO_DEVIATION / 2**0.5
    return LossLevels(
        series,
        int(step.min()),
        int(step.max()),
        points,
        first,
        early,
        last,
        lowest,
        deviation * _OF_A_MEDIAN / begins**0.5,
        deviation * _OF_A_MEDIAN / window**0.5,
        (last - lowest) / abs(lowest) if lowest else math.nan,
    )


def level_window(points: int, steps: int) -> int:
    """Return of how many values a level is the median."""
    return max(steps, int(points * _SHARE))


def level_error(value: npt.NDArray[np.float64], window: int) -> float:
    """Return the standard error of a median of ``window`` values, whatever the trend of the values is."""
    jumps = np.diff(value)
    deviation = median(np.abs(jumps - median(jumps))) * _TO_DEVIATION / 2**0.5
    return deviation * _OF_A_MEDIAN / math.sqrt(window)


def median(value: npt.NDArray[np.float64]) -> float:
    """Return the median of numbers, of which there is at least one."""
    return float(np.median(value))


def window_levels(
    value: npt.NDArray[np.float64], places: npt.NDArray[np.int64], window: int, quantile: float = 0.5
) -> npt.NDArray[np.float64]:
    """Return a quantile of the ``window`` numbers that follow each place, or of as many as there are.

    The median is that of an even count as well; another quantile is the number at its rank. A negative place is before
    the first number; where there is no number at all, the result is NaN.
    """
    if not places.size:
        return np.empty(0)
    padded = np.concatenate([np.full(window, np.nan), value, np.full(window, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    parts = [
        _row_quantile(windows[places[start : start + _ROWS] + window], quantile)
        for start in range(0, places.size, _ROWS)
    ]
    return np.concatenate(parts)


def _row_quantile(rows: npt.NDArray[np.float64], quantile: float) -> npt.NDArray[np.float64]:
    ordered = np.sort(rows, axis=1)  # NaN last
    highest = (~np.isnan(rows)).sum(axis=1) - 1
    row = np.arange(len(rows))
    rank = np.maximum(highest, 0) * quantile
    lower, upper = (np.floor(rank), np.ceil(rank)) if quantile == 0.5 else (np.floor(rank),) * 2
    found: npt.NDArray[np.float64] = ordered[row, lower.astype(np.int64)] / 2 + ordered[row, upper.astype(np.int64)] / 2
    return found
