"""Losses that jump up for some steps and come back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from tb2csv.analysis.diagnosis.loss_levels import median, quantile, window_levels
from tb2csv.analysis.diagnosis.network import LEARNT
from tb2csv.analysis.diagnosis.rules.rule import Found, Rule, Threshold, found_frame
from tb2csv.analysis.diagnosis.tag_families import LOSS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: The level beside a value is the median of so many values: what lasts for half of them is a level of its own.
_BESIDE: Final = 12
#: Of values of a spike that are so near to each other, only the highest counts.
_APART: Final = 6
#: The tail of the noise is this share of all values, or so many if that is more.
_TAIL: Final = 0.12
_LEAST_TAIL: Final = 12
#: This share of all values is not above the noise.
_NOISE_SHARE: Final = 0.9
#: The probability that the noise alone makes a gap between its highest values that is taken for one below a spike.
_CHANCE: Final = 0.0005


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    least = thresholds["spike_loss"]
    return found_frame(found for each in network.losses if (found := _spikes(each, least, network.steps)))


def _spikes(series: ScalarSeries, least: float, steps: int) -> Found | None:
    step, value = series.finite()
    # The first values have no level before them, and the last may not come back.
    if value.size < steps + 2:
        return None
    # A loss near zero is measured by its noise, for its level is not a size.
    noise = quantile(np.abs(np.diff(value)), _NOISE_SHARE) / math.sqrt(2)
    places = _candidates(value, least, noise)
    places = places[(places >= steps) & (places < value.size - 1)]
    # After the loss has fallen to a hundredth, what is below that is the noise of a training that is done.
    visible = LEARNT * abs(median(value[:steps]))
    places = places[_above(value, places, noise, visible) >= least - 1]
    if not places.size:
        return None
    growth = np.log1p(_above(value, np.arange(value.size), noise))
    # A spike of several values is one: its other values say nothing of the noise.
    counted = np.ones(value.size, np.bool_)
    counted[places[~_is_highest(growth, places)]] = False
    hit = places[growth[places] > _highest_of_noise(growth[counted])]
    if not hit.size:
        return None
    names, span = (series.run, series.family, series.tag), (int(step[hit].min()), int(step[hit].max()))
    return Found(*names, *span, hit.size, value.size, float(np.exp(growth[hit].max())))


def _highest_of_noise(growth: npt.NDArray[np.float64]) -> float:
    """Return the highest number that the noise may have made; infinity if it may have made all.

    The heaviest tails of noise are those of powers, and their logarithms have exponential tails. In these, the gaps
    between the numbers in their order, each times its place from above, are independent and have one exponential
    distribution (Rényi). So the ratio of one to the mean of those below it has a known distribution, however heavy the
    tail is: nothing needs to be known of the noise but what it shows itself.
    """
    above = np.sort(growth)[::-1]
    tail = above[: max(_LEAST_TAIL, int(_TAIL * growth.size)) + 1]
    gaps = np.arange(1, tail.size) * -np.diff(tail)
    below = np.append(np.cumsum(gaps[::-1])[::-1][1:], 0.0)
    freedom = np.arange(gaps.size - 1, -1, -1)
    tested = np.arange(gaps.size) < max(1, gaps.size // 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = np.power(1 + gaps / below, -freedom)
    is_gap = tested & (gaps > 0) & (chance <= _CHANCE * 0.5 ** np.arange(1, gaps.size + 1))
    return float(tail[np.flatnonzero(is_gap)[-1] + 1]) if is_gap.any() else math.inf


def _is_highest(growth: npt.NDArray[np.float64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return at which places a value is not lower than any that is near."""
    padded = np.pad(growth, _APART, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _APART + 1)
    highest: npt.NDArray[np.bool_] = windows[places].max(axis=1) == growth[places]
    return highest


def _above(
    value: npt.NDArray[np.float64], places: npt.NDArray[np.int64], noise: float, visible: float = 0.0
) -> npt.NDArray[np.float64]:
    """Return how far values are above the level beside them, by its size; 0 for what is not above, or not visible."""
    before, after = (window_levels(value, places + shift, _BESIDE) for shift in (-_BESIDE, 1))
    level = np.fmax(before, after)
    above, size = value[places] - level, np.maximum(np.abs(level), noise)
    return np.where((above > visible) & (size > 0), above / np.where(size > 0, size, 1), 0.0)


def _candidates(value: npt.NDArray[np.float64], least: float, noise: float) -> npt.NDArray[np.int64]:
    """Return the values that may be so many times their level, which is not below the lowest value beside them."""
    padded = np.concatenate([np.full(_BESIDE, np.inf), value, np.full(_BESIDE, np.inf)])
    lowest = padded  # of 1, 2, 4 values from each on
    for width in (1, 2):
        lowest = np.minimum(lowest[:-width], lowest[width:])
    lowest = np.minimum(np.minimum(lowest[:-8], lowest[4:-4]), lowest[8:])  # of 12
    before, after = lowest[: value.size], lowest[_BESIDE + 1 :]
    beside = np.where(np.isinf(before), after, np.where(np.isinf(after), before, np.maximum(before, after)))
    return np.flatnonzero(value - beside >= (least - 1) * np.maximum(beside, noise))


SPIKE_LOSS: Final = Rule(
    "spike",
    {"spike_loss": Threshold(5, "loss by its level in the values beside it (minimum)")},
    _find,
    "the loss jumps to {value:.3g} times the level around it, and comes back",
    (LOSS,),
)
