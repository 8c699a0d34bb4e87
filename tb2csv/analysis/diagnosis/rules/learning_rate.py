"""Rule for a learning rate of zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.rules.rule import Rule, ScalarFinding, Threshold, findings_frame, in_streaks
from tb2csv.analysis.diagnosis.tag_families import LEARNING_RATE
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    threshold = thresholds["learning_rate_zero"]
    found = (_zeros(series, threshold, network.steps) for series in network.scalars(LEARNING_RATE))
    return findings_frame(finding for finding in found if finding)


def _zeros(series: ScalarSeries, threshold: float, steps: int) -> ScalarFinding | None:
    step, rate = series.finite()
    is_zero = np.abs(rate) <= threshold
    if not is_zero.all():
        is_zero &= step != step[0]  # a warmup begins at zero
    hit = in_streaks(is_zero, steps)
    if not hit.any():
        return None
    first, last = int(step[hit].min()), int(step[hit].max())
    names = series.run, series.family, series.tag
    return ScalarFinding(*names, first, last, int(hit.sum()), rate.size, float(np.abs(rate[hit]).max()))


LEARNING_RATE_ZERO: Final = Rule(
    "learning rate",
    {"learning_rate_zero": Threshold(0, "learning rate after the first step (maximum)")},
    _find,
    "the learning rate is {value:.2g}: nothing is learned",
    (LEARNING_RATE,),
)
