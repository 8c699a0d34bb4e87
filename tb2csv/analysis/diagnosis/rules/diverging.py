"""Trainings whose loss rises and does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tb2csv.analysis.diagnosis.rules.rule import LEVEL_WINDOW, Found, Rule, Threshold, found_frame, in_streaks
from tb2csv.analysis.diagnosis.tag_families import LOSS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.loss_levels import LossLevels
    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: A loss that is still so far below its beginning has kept some of what was learnt.
_KEPT: Final = 0.9


def _find_at_end(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    least = thresholds["diverging_end"]
    return found_frame(_of(levels, 1 + levels.rise) for levels in network.loss_levels if _is_lost(levels, least))


def _is_lost(levels: LossLevels, least: float) -> bool:
    is_above = levels.last >= levels.first - (1 - _KEPT) * abs(levels.first)
    return is_above and levels.is_clearly_above_lowest and 1 + levels.rise >= least


def _find_rise(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    return found_frame(
        _of(levels, levels.rise_of_all)
        for levels in network.loss_levels
        if has_risen(levels, thresholds["diverging_rise"]) and not _is_lost(levels, thresholds["diverging_end"])
    )


def has_risen(levels: LossLevels, least: float) -> bool:
    """Return whether a loss ends above its beginning by such a share at least, and by more than its noise explains."""
    return levels.is_clearly_above_first and levels.rise_of_all >= least


def _of(levels: LossLevels, value: float) -> Found:
    series = levels.series
    span = levels.first_step, levels.last_step, levels.points, levels.points
    return Found(series.run, series.family, series.tag, *span, value)


def _find_growth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    least = thresholds["diverging_growth"]
    return found_frame(found for each in network.losses if (found := _growth(each, least, network.steps)))


def _growth(series: ScalarSeries, least: float, steps: int) -> Found | None:
    step, value = series.step, series.value
    is_finite = np.isfinite(value)
    positive = np.where(is_finite & (value > 0), value, np.nan)
    known = positive[~np.isnan(positive)]
    # The first level is the first positive value, and the highest level before is at least that.
    if not known.size or known.max() < least * known[0]:
        return None
    import polars as pl

    level = pl.Series(positive).fill_nan(None).rolling_median(LEVEL_WINDOW, min_samples=1)
    highest = level.forward_fill().cum_max().shift(1).to_numpy()
    with np.errstate(over="ignore"):
        growth = np.where(is_finite, value, np.nan) / highest
    # A step without a number repeats the step before, and is not counted.
    place = np.maximum.accumulate(np.where(is_finite, np.arange(value.size), 0))
    hit = in_streaks((growth >= least)[place], steps) & is_finite
    if not hit.any():
        return None
    first, last = int(step[hit].min()), int(step[hit].max())
    return Found(
        series.run, series.family, series.tag, first, last, int(hit.sum()), value.size, float(growth[hit].max())
    )


DIVERGING_END: Final = Rule(
    "diverging",
    {"diverging_end": Threshold(2, "level of the loss at the end by its lowest (minimum)")},
    _find_at_end,
    "the loss ends at {value:.3g} times its lowest level",
    (LOSS,),
)

DIVERGING_RISE: Final = Rule(
    "diverging",
    {"diverging_rise": Threshold(0.1, "share by which the loss ends above its beginning (minimum)")},
    _find_rise,
    "the loss ends {value:.1%} above its beginning",
    (LOSS,),
)

DIVERGING_GROWTH: Final = Rule(
    "diverging",
    {"diverging_growth": Threshold(100, "loss by its highest level before (minimum)")},
    _find_growth,
    "the loss is {value:.2g} times its highest level before",
    (LOSS,),
)
