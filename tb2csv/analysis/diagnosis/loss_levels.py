"""Typical values of a loss at its start, end and minimum, with their uncertainty.

A level is the median of a window of consecutive values.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.late_modules import np

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: Converts a median absolute deviation to a standard deviation, for normal errors.
_MAD_TO_STD: Final = 1.4826
#: Ratio of the standard error of a median to that of a mean, for normal errors.
_MEDIAN_ERROR_RATIO: Final = 1.2533
#: Length of a window as a share of all values.
_WINDOW_SHARE: Final = 0.1
#: Windows overlap: this many start within one window length.
_OVERLAP: Final = 4
#: With fewer windows, a single jump would dominate the median.
_MIN_WINDOWS: Final = 9
#: Accepted false-positive probability for a flat loss.
_FALSE_POSITIVE_RATE: Final = 0.001
_NORMAL: Final = NormalDist()
#: Share of the values that is trimmed at either end before the range of a loss is measured.
_TRIMMED_SHARE: Final = 0.05
#: Windows sorted at a time; bounds the memory.
_WINDOWS_PER_BATCH: Final = 1 << 16


class LossLevels(NamedTuple):
    """The levels of one series."""

    series: ScalarSeries
    first_step: int
    last_step: int
    #: The number of finite values.
    points: int
    #: The median of the first values, as many as a problem must last.
    first: float
    #: The median of the first window: a tenth of the values, or as many as for ``first`` if that is more.
    early: float
    #: The median of the last window.
    last: float
    #: The minimum of ``first``, ``last`` and the medians of all windows.
    lowest: float
    #: The standard error of ``first``.
    first_noise: float
    #: The standard error of ``early`` and ``last``.
    noise: float
    #: The standard error of ``lowest``.
    lowest_noise: float
    #: The number of windows without overlap.
    levels: int
    #: The scale for changes relative to ``lowest``.
    lowest_size: float
    #: The scale for changes relative to ``first``.
    first_size: float

    @property
    def rise(self) -> float:
        """Rise from the lowest level to the end, relative to ``lowest_size``; NaN if that is 0."""
        return (self.last - self.lowest) / self.lowest_size if self.lowest_size else math.nan

    @property
    def rise_from_first(self) -> float:
        """Rise from the first level to the end, relative to ``first_size``; NaN if that is 0."""
        return (self.last - self.first) / self.first_size if self.first_size else math.nan

    @property
    def is_above_lowest(self) -> bool:
        """Whether the rise from the lowest level to the end is statistically significant."""
        return is_significant(self.last - self.lowest, self.levels, self.noise, self.lowest_noise)

    @property
    def is_above_first(self) -> bool:
        """Whether the rise from the first level to the end is statistically significant."""
        return is_significant(self.last - self.first, 1, self.noise, self.first_noise)


def loss_levels(series: ScalarSeries, steps: int) -> LossLevels | None:
    """Return the levels of a series, or None unless it has more than ``steps`` finite values."""
    step, value = series.finite()
    points = value.size
    if points <= steps:
        return None
    window = level_window(points, steps)
    # A short series has a shorter beginning, so that it does not overlap the end.
    first_count = min(steps, points - steps)
    whole = points // window * window
    first, early, last = (median(part) for part in (value[:first_count], value[:window], value[-window:]))
    window_medians = _medians(value[:whole].reshape(-1, window))
    lowest = min(first, last, float(window_medians.min()))
    independent, drift = _independent_error(value, window), _drift_error(value, window)
    noise = max(independent, drift)
    # The beginning has fewer values but the same drift.
    first_noise = max(math.sqrt(window / first_count) * independent, drift)
    return LossLevels(
        series=series,
        first_step=int(step.min()),
        last_step=int(step.max()),
        points=points,
        first=first,
        early=early,
        last=last,
        lowest=lowest,
        first_noise=first_noise,
        noise=noise,
        lowest_noise=first_noise if lowest == first else noise,
        levels=window_medians.size,
        lowest_size=level_size(lowest, value),
        first_size=level_size(first, value),
    )


def level_size(level: float, value: npt.NDArray[np.float64]) -> float:
    """Return the scale for relative changes of a level: its size, or half the range of a loss that has both signs."""
    if value.min() >= 0 or value.max() <= 0:
        return abs(level)
    low, high = quantile(value, _TRIMMED_SHARE), quantile(value, 1 - _TRIMMED_SHARE)
    return max(abs(level), (high - low) / 2) if low < 0 < high else abs(level)


def level_window(points: int, steps: int) -> int:
    """Return the number of values per window."""
    return max(steps, int(points * _WINDOW_SHARE))


def level_error(value: npt.NDArray[np.float64], window: int) -> float:
    """Return the standard error of a median of ``window`` values; a steady trend does not add to it.

    The larger of two estimates: one assumes independent noise, the other is measured from neighbouring windows and
    includes slow drift.
    """
    return max(_independent_error(value, window), _drift_error(value, window))


def _independent_error(value: npt.NDArray[np.float64], window: int) -> float:
    """Return the standard error of a window's median if the noise of its values is independent."""
    jumps = np.diff(value)
    deviation = median(np.abs(jumps - median(jumps))) * _MAD_TO_STD / 2**0.5
    return deviation * _MEDIAN_ERROR_RATIO / math.sqrt(window)


def _drift_error(value: npt.NDArray[np.float64], window: int) -> float:
    """Return the standard error of a level, from the distance of each level to the middle of its two neighbours.

    Twice that distance is the second difference of the levels. If levels are independent, it has six times the variance
    of one level; a linear trend makes it 0.
    """
    if value.size < _MIN_WINDOWS * window:
        return 0.0
    stride = max(1, window // _OVERLAP)
    levels = _medians(np.lib.stride_tricks.sliding_window_view(value, window)[::stride])
    lag = window // stride
    second_differences = levels[2 * lag :] - 2 * levels[lag:-lag] + levels[: -2 * lag]
    return median(np.abs(second_differences)) * _MAD_TO_STD / 6**0.5


def is_significant(rise: float, levels: int, *errors: float) -> bool:
    """Return whether a rise from the lowest of ``levels`` levels is significant, given the standard errors at its ends.

    The test is one-sided and corrected for the choice of the lowest level.
    """
    return rise > 0 and rise > _NORMAL.inv_cdf(1 - _FALSE_POSITIVE_RATE / levels) * math.hypot(*errors)


def median(value: npt.NDArray[np.float64]) -> float:
    """Return the median of one or more finite numbers."""
    return float(_medians(value))


def _medians(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median along the last axis; for few numbers ten times as fast as numpy's."""
    ranks = (rows.shape[-1] - 1) // 2, rows.shape[-1] // 2
    partitioned = np.partition(rows, ranks)
    middle: npt.NDArray[np.float64] = partitioned[..., ranks[0]] / 2 + partitioned[..., ranks[1]] / 2
    return middle


def quantile(value: npt.NDArray[np.float64], share: float) -> float:
    """Return the quantile of finite numbers at the nearest rank; ``share`` is from 0 to 1."""
    rank = round(share * (value.size - 1))
    return float(np.partition(value, rank)[rank])


def window_medians(
    value: npt.NDArray[np.float64], starts: npt.NDArray[np.int64], window: int
) -> npt.NDArray[np.float64]:
    """Return the median of the ``window`` numbers from each start on, or of as many of them as exist.

    Starts may be negative, before the first number. The median of an empty window is NaN.
    """
    if not starts.size:
        return np.empty(0)
    padded = np.concatenate([np.full(window, np.nan), value, np.full(window, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    batches = range(0, starts.size, _WINDOWS_PER_BATCH)
    parts = [_nan_medians(windows[starts[first : first + _WINDOWS_PER_BATCH] + window]) for first in batches]
    return np.concatenate(parts)


def _nan_medians(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median of each row, ignoring NaN."""
    ordered = np.sort(rows, axis=1)  # NaN last
    highest = np.maximum((~np.isnan(rows)).sum(axis=1) - 1, 0)
    row = np.arange(len(rows))
    middle: npt.NDArray[np.float64] = ordered[row, highest // 2] / 2 + ordered[row, (highest + 1) // 2] / 2
    return middle
