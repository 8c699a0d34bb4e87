"""Losses that jump up for some steps and come back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from tb2csv.analysis.diagnosis.loss_levels import median, window_levels
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
#: Noise is measured in so many values around one, and in all.
_AROUND: Final = 51
#: This share of all values is no higher above the level than the noise is.
_NOISE_SHARE: Final = 0.9
#: How many deviations a spike is above the highest of as many normal numbers. The noise is about one deviation, for it
#: is that above the higher one of two levels.
_MARGIN: Final = 1.5


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    least = thresholds["spike_loss"]
    return found_frame(found for each in network.losses if (found := _spikes(each, least, network.steps)))


def _spikes(series: ScalarSeries, least: float, steps: int) -> Found | None:
    step, value = series.finite()
    # The first values have no level before them, and the last may not come back.
    if value.size < steps + 2:
        return None
    # A loss near zero is measured by its noise, for its level is not a size.
    noise = float(np.quantile(np.abs(np.diff(value)), _NOISE_SHARE)) / math.sqrt(2)
    places = _candidates(value, least, noise)
    places = places[(places >= steps) & (places < value.size - 1)]
    # After the loss has fallen to a hundredth, what is below that is the noise of a training that is done.
    visible = LEARNT * abs(median(value[:steps]))
    places = places[_above(value, places, noise, visible) >= least - 1]
    if not places.size:
        return None
    # Single samples and rewards have losses whose logarithms are normal, so that some are many times the level. A spike
    # is higher than the highest of so many normal numbers.
    growth = np.log1p(_above(value, np.arange(value.size), noise))
    local = window_levels(growth, places - _AROUND // 2, _AROUND, _NOISE_SHARE)
    usual = np.maximum(local, float(np.quantile(growth, _NOISE_SHARE)))
    highest = math.sqrt(2 * math.log(value.size)) + _MARGIN
    hit = places[growth[places] > highest * usual]
    if not hit.size:
        return None
    names, span = (series.run, series.family, series.tag), (int(step[hit].min()), int(step[hit].max()))
    return Found(*names, *span, hit.size, value.size, float(np.exp(growth[hit].max())))


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
    {"spike_loss": Threshold(5, "loss by its level in the values beside it, at the least")},
    _find,
    "the loss jumps to {value:.3g} times the level beside it, and comes back",
    (LOSS,),
)
