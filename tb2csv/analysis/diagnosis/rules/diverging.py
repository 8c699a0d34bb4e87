"""Rules for a diverging loss: it rises and does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.rules.rule import (
    LEVEL_WINDOW,
    Rule,
    ScalarFinding,
    Threshold,
    findings_frame,
    in_streaks,
)
from tb2csv.analysis.diagnosis.tag_families import LOSS
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.analysis.diagnosis.loss_levels import LossLevels
    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: A loss that ends at this share of its first level, or less, is still an improvement.
_STILL_IMPROVED: Final = 0.9


def _find_at_end(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    threshold = thresholds["diverging_end"]
    diverged = (levels for levels in network.loss_levels if _has_lost_progress(levels, threshold))
    return findings_frame(_finding(levels, 1 + levels.rise) for levels in diverged)


def _has_lost_progress(levels: LossLevels, threshold: float) -> bool:
    is_not_improved = levels.last >= levels.first - (1 - _STILL_IMPROVED) * abs(levels.first)
    return is_not_improved and levels.is_above_lowest and 1 + levels.rise >= threshold


def _find_rise(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    return findings_frame(
        _finding(levels, levels.rise_from_first)
        for levels in network.loss_levels
        if has_risen(levels, thresholds["diverging_rise"])
        and not _has_lost_progress(levels, thresholds["diverging_end"])
    )


def has_risen(levels: LossLevels, threshold: float) -> bool:
    """Return whether a loss ends significantly above its first level, by at least the share ``threshold``."""
    return levels.is_above_first and levels.rise_from_first >= threshold


def _finding(levels: LossLevels, value: float) -> ScalarFinding:
    series = levels.series
    span = levels.first_step, levels.last_step, levels.points, levels.points
    return ScalarFinding(series.run, series.family, series.tag, *span, value)


def _find_growth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    threshold = thresholds["diverging_growth"]
    found = (_growth(series, threshold, network.steps) for series in network.losses)
    return findings_frame(finding for finding in found if finding)


def _growth(series: ScalarSeries, threshold: float, steps: int) -> ScalarFinding | None:
    """Return a finding if the loss stays far above its highest level before."""
    step, value = series.step, series.value
    is_finite = np.isfinite(value)
    positive = np.where(is_finite & (value > 0), value, np.nan)
    known = positive[~np.isnan(positive)]
    # The first level is the first positive value, and the highest level before is at least that.
    if not known.size or known.max() < threshold * known[0]:
        return None
    level = pl.Series(positive).fill_nan(None).rolling_median(LEVEL_WINDOW, min_samples=1)
    highest = level.forward_fill().cum_max().shift(1).to_numpy()
    with np.errstate(over="ignore"):
        growth = np.where(is_finite, value, np.nan) / highest
    # A step without a number repeats the step before, and is not counted.
    last_finite = np.maximum.accumulate(np.where(is_finite, np.arange(value.size), 0))
    hit = in_streaks((growth >= threshold)[last_finite], steps) & is_finite
    if not hit.any():
        return None
    first, last = int(step[hit].min()), int(step[hit].max())
    return ScalarFinding(
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
