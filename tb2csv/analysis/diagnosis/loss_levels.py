"""The levels of a loss: medians of values that follow one another, at the beginning, at the end and at its lowest."""

from __future__ import annotations

import math
from statistics import NormalDist
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
#: Levels are looked at so many times in the values of one.
_OVERLAP: Final = 4
#: Of fewer levels, a single jump of the loss is near to half or more.
_LEAST_LEVELS: Final = 9
#: The probability that one of the levels of a loss that stays is so far below the last one.
_CHANCE: Final = 0.001
_NORMAL: Final = NormalDist()
#: This share of the lowest and of the highest values is not part of the range of a loss.
_FEW: Final = 0.05
#: Rows of a matrix that are sorted at a time, which bounds the memory.
_ROWS: Final = 1 << 16


class LossLevels(NamedTuple):
    """The levels of one series.

    ``first`` is the median of as many values as a fault must last, ``early`` that of the first tenth, or of as many as
    before if that is more, and ``last`` that of as many at the end. ``lowest`` is the lowest of these and of all
    ``levels`` tenths. ``first_noise``, ``lowest_noise`` and ``noise`` are the standard errors of ``first``, ``lowest``
    and the others. ``first_size`` and ``lowest_size`` are what a change of these levels is measured by.
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
    lowest_noise: float
    levels: int
    lowest_size: float
    first_size: float

    @property
    def rise(self) -> float:
        """How far the end is above the lowest level, by the size of that; NaN if that is zero."""
        return (self.last - self.lowest) / self.lowest_size if self.lowest_size else math.nan

    @property
    def rise_of_all(self) -> float:
        """How far the end is above the beginning, by the size of that; NaN if that is zero."""
        return (self.last - self.first) / self.first_size if self.first_size else math.nan

    @property
    def is_clearly_above_lowest(self) -> bool:
        """Whether the end is above the lowest level by more than what is likely for so many levels by chance."""
        return is_clear(self.last - self.lowest, self.levels, self.noise, self.lowest_noise)

    @property
    def is_clearly_above_first(self) -> bool:
        """Whether the end is above the beginning by more than what is likely by chance."""
        return is_clear(self.last - self.first, 1, self.noise, self.first_noise)


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
    tenths = _medians(value[:whole].reshape(-1, window))
    lowest = min(first, last, float(tenths.min()))
    own, wandering = _own_error(value, window), _wandering(value, window)
    noise = max(own, wandering)
    # The beginning has fewer values, and it wanders as the other levels do.
    first_noise = max(math.sqrt(window / begins) * own, wandering)
    return LossLevels(
        series,
        int(step.min()),
        int(step.max()),
        points,
        first,
        early,
        last,
        lowest,
        first_noise,
        noise,
        first_noise if lowest == first else noise,
        tenths.size,
        level_size(lowest, value),
        level_size(first, value),
    )


def level_size(level: float, value: npt.NDArray[np.float64]) -> float:
    """Return by what a change of a level is measured: its size, or half of the range of a loss that has both signs."""
    if value.min() >= 0 or value.max() <= 0:
        return abs(level)
    low, high = quantile(value, _FEW), quantile(value, 1 - _FEW)
    return max(abs(level), (high - low) / 2) if low < 0 < high else abs(level)


def level_window(points: int, steps: int) -> int:
    """Return of how many values a level is the median."""
    return max(steps, int(points * _SHARE))


def level_error(value: npt.NDArray[np.float64], window: int) -> float:
    """Return the standard error of a median of ``window`` values, whatever the trend of the values is.

    It is the one that independent errors of the values give, or the one that the levels show themselves if that is
    more: values that are like those before them make levels that wander.
    """
    return max(_own_error(value, window), _wandering(value, window))


def _own_error(value: npt.NDArray[np.float64], window: int) -> float:
    """Return the standard error of a median of independent values; a steady trend is not an error."""
    jumps = np.diff(value)
    deviation = median(np.abs(jumps - median(jumps))) * _TO_DEVIATION / 2**0.5
    return deviation * _OF_A_MEDIAN / math.sqrt(window)


def _wandering(value: npt.NDArray[np.float64], window: int) -> float:
    """Return the standard deviation of levels, by how far each is from the middle between those beside it.

    Twice that distance has six times the variance of one level, if levels are independent; it is zero on a trend.
    """
    if value.size < _LEAST_LEVELS * window:
        return 0.0
    stride = max(1, window // _OVERLAP)
    levels = _medians(np.lib.stride_tricks.sliding_window_view(value, window)[::stride])
    beside = window // stride
    bends = levels[2 * beside :] - 2 * levels[beside:-beside] + levels[: -2 * beside]
    return median(np.abs(bends)) * _TO_DEVIATION / 6**0.5


def is_clear(rise: float, levels: int, *errors: float) -> bool:
    """Return whether a rise from the lowest of so many levels is more than chance makes of their standard errors."""
    return rise > 0 and rise > _NORMAL.inv_cdf(1 - _CHANCE / levels) * math.hypot(*errors)


def median(value: npt.NDArray[np.float64]) -> float:
    """Return the median of finite numbers, of which there is at least one."""
    return float(_medians(value))


def _medians(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median along the last axis, in a tenth of the time that numpy's takes for few numbers."""
    ranks = (rows.shape[-1] - 1) // 2, rows.shape[-1] // 2
    parted = np.partition(rows, ranks)
    middle: npt.NDArray[np.float64] = parted[..., ranks[0]] / 2 + parted[..., ranks[1]] / 2
    return middle


def quantile(value: npt.NDArray[np.float64], share: float) -> float:
    """Return the number that this share of finite numbers is not above: the one at the nearest rank."""
    rank = round(share * (value.size - 1))
    return float(np.partition(value, rank)[rank])


def window_levels(
    value: npt.NDArray[np.float64], places: npt.NDArray[np.int64], window: int
) -> npt.NDArray[np.float64]:
    """Return the median of the ``window`` numbers that follow each place, or of as many as there are.

    A negative place is before the first number. If there is no number at all, the result is NaN.
    """
    if not places.size:
        return np.empty(0)
    padded = np.concatenate([np.full(window, np.nan), value, np.full(window, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    parts = [_known_medians(windows[places[start : start + _ROWS] + window]) for start in range(0, places.size, _ROWS)]
    return np.concatenate(parts)


def _known_medians(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median of each row without its NaN."""
    ordered = np.sort(rows, axis=1)  # NaN last
    highest = np.maximum((~np.isnan(rows)).sum(axis=1) - 1, 0)
    row = np.arange(len(rows))
    middle: npt.NDArray[np.float64] = ordered[row, highest // 2] / 2 + ordered[row, (highest + 1) // 2] / 2
    return middle
