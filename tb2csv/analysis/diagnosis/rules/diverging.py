"""Trainings whose loss rises and does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.rules.loss_levels import loss_levels
from tb2csv.analysis.diagnosis.rules.rule import FOUND, LEVEL_WINDOW, Rule, Threshold, streaks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: A loss that is still so far below its beginning has kept some of what was learnt.
_KEPT: Final = 0.9
#: The lowest of several levels is low by chance, too: by less than so many of their standard errors.
_NOISE: Final = 4


def _find_at_end(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    first, last = pl.col("first"), pl.col("last")
    is_lost = last >= first - (1 - _KEPT) * first.abs()
    ratio = 1 + pl.col("rise")
    is_no_noise = last - pl.col("lowest") > _NOISE * pl.col("noise")
    found = loss_levels(network).filter(is_lost & is_no_noise & (ratio >= thresholds["diverging_end"]))
    return found.with_columns(ratio.alias("value"), pl.col("points").alias("observed")).select(FOUND)


def _find_growth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    keys = ("run", "family", "tag")
    positive = pl.when(pl.col("value") > 0).then("value")
    rows = network.losses.with_columns(positive.rolling_median(LEVEL_WINDOW, min_samples=1).over(keys).alias("level"))
    highest = pl.col("level").forward_fill().cum_max().shift(1).over(keys)
    growth = pl.col("value") / highest
    found = streaks(rows, growth >= thresholds["diverging_growth"], growth, network.steps, "max", keys)
    return found.rename({"tag": "layer"})


DIVERGING_END: Final = Rule(
    "diverging",
    {"diverging_end": Threshold(2, "level of the loss at the end by its lowest, at the least")},
    _find_at_end,
    "the loss ends at {value:.3g} times its lowest level",
)

DIVERGING_GROWTH: Final = Rule(
    "diverging",
    {"diverging_growth": Threshold(100, "loss by its highest level before, at the least")},
    _find_growth,
    "the loss is {value:.2g} times its highest level before",
)
