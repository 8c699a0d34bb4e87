"""Rule for spikes: the loss jumps up for a few steps and comes back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.loss_levels import median, quantile, window_medians
from tb2csv.analysis.diagnosis.network import LEARNT_RATIO
from tb2csv.analysis.diagnosis.rules.rule import Rule, ScalarFinding, Threshold, findings_frame
from tb2csv.analysis.diagnosis.tag_families import LOSS
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: Number of values on either side whose median is the level there. A jump that lasts for half of them is a new level.
_NEIGHBOURS: Final = 12
#: Of candidates at most this many values apart, only the highest counts.
_SPIKE_WIDTH: Final = 6
#: The tail of the noise: this share of the values, but at least this number.
_TAIL_SHARE: Final = 0.12
_MIN_TAIL: Final = 12
#: The quantile of the jumps between values that measures the noise.
_NOISE_QUANTILE: Final = 0.9
#: Accepted false-positive probability for a loss without spikes.
_FALSE_POSITIVE_RATE: Final = 0.0005


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    threshold = thresholds["spike_loss"]
    found = (_spikes(series, threshold, network.steps) for series in network.losses)
    return findings_frame(finding for finding in found if finding)


def _spikes(series: ScalarSeries, threshold: float, steps: int) -> ScalarFinding | None:
    """Return a finding if values jump to ``threshold`` times the level around them, and noise does not explain it."""
    step, value = series.finite()
    # The first values have no level before them, and the last may not come back.
    if value.size < steps + 2:
        return None
    # If a loss is near zero, its noise is the scale instead of its level.
    noise = quantile(np.abs(np.diff(value)), _NOISE_QUANTILE) / math.sqrt(2)
    indices = _candidates(value, threshold, noise)
    indices = indices[(indices >= steps) & (indices < value.size - 1)]
    # After the loss has fallen to a hundredth, jumps below that are the noise of a finished training.
    min_jump = LEARNT_RATIO * abs(median(value[:steps]))
    indices = indices[_relative_jumps(value, indices, noise, min_jump) >= threshold - 1]
    if not indices.size:
        return None
    growth = np.log1p(_relative_jumps(value, np.arange(value.size), noise))
    # A spike may have several values; only its highest one is compared with the noise.
    is_counted = np.ones(value.size, np.bool_)
    is_counted[indices[~_is_highest(growth, indices)]] = False
    hit = indices[growth[indices] > _noise_limit(growth[is_counted])]
    if not hit.size:
        return None
    names, span = (series.run, series.family, series.tag), (int(step[hit].min()), int(step[hit].max()))
    return ScalarFinding(*names, *span, hit.size, value.size, float(np.exp(growth[hit].max())))


def _noise_limit(growth: npt.NDArray[np.float64]) -> float:
    """Return the highest number that noise explains; infinity if it explains all.

    The heaviest tails of noise are power laws, and their logarithms have exponential tails. In an exponential tail, the
    gaps between the sorted numbers, each multiplied by its rank from the top, are independent and have the same
    exponential distribution (Rényi). So the ratio of a gap to the mean of the gaps below it has a known distribution,
    however heavy the tail is, and no model of the noise is needed.
    """
    descending = np.sort(growth)[::-1]
    tail = descending[: max(_MIN_TAIL, int(_TAIL_SHARE * growth.size)) + 1]
    gaps = np.arange(1, tail.size) * -np.diff(tail)
    sum_below = np.append(np.cumsum(gaps[::-1])[::-1][1:], 0.0)
    count_below = np.arange(gaps.size - 1, -1, -1)
    is_tested = np.arange(gaps.size) < max(1, gaps.size // 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        probability = np.power(1 + gaps / sum_below, -count_below)
    is_gap = is_tested & (gaps > 0) & (probability <= _FALSE_POSITIVE_RATE * 0.5 ** np.arange(1, gaps.size + 1))
    return float(tail[np.flatnonzero(is_gap)[-1] + 1]) if is_gap.any() else math.inf


def _is_highest(growth: npt.NDArray[np.float64], indices: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which of these values are not lower than any value within the width of a spike."""
    padded = np.pad(growth, _SPIKE_WIDTH, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _SPIKE_WIDTH + 1)
    highest: npt.NDArray[np.bool_] = windows[indices].max(axis=1) == growth[indices]
    return highest


def _relative_jumps(
    value: npt.NDArray[np.float64], indices: npt.NDArray[np.int64], noise: float, min_jump: float = 0.0
) -> npt.NDArray[np.float64]:
    """Return how far values are above the level around them, relative to that; 0 if not by more than ``min_jump``."""
    before, after = (window_medians(value, indices + shift, _NEIGHBOURS) for shift in (-_NEIGHBOURS, 1))
    level = np.fmax(before, after)
    jump, size = value[indices] - level, np.maximum(np.abs(level), noise)
    return np.where((jump > min_jump) & (size > 0), jump / np.where(size > 0, size, 1), 0.0)


def _candidates(value: npt.NDArray[np.float64], threshold: float, noise: float) -> npt.NDArray[np.int64]:
    """Return the indices of values that may be ``threshold`` times the level around them.

    A cheap test: a level is at least the lowest of the values that it is the median of.
    """
    padded = np.concatenate([np.full(_NEIGHBOURS, np.inf), value, np.full(_NEIGHBOURS, np.inf)])
    lowest = padded  # of the 1, 2, 4 values from each index on
    for width in (1, 2):
        lowest = np.minimum(lowest[:-width], lowest[width:])
    lowest = np.minimum(np.minimum(lowest[:-8], lowest[4:-4]), lowest[8:])  # of 12
    before, after = lowest[: value.size], lowest[_NEIGHBOURS + 1 :]
    level = np.where(np.isinf(before), after, np.where(np.isinf(after), before, np.maximum(before, after)))
    return np.flatnonzero(value - level >= (threshold - 1) * np.maximum(level, noise))


SPIKE_LOSS: Final = Rule(
    "spike",
    {"spike_loss": Threshold(5, "loss by its level in the values beside it (minimum)")},
    _find,
    "the loss jumps to {value:.3g} times the level around it, and comes back",
    (LOSS,),
)
