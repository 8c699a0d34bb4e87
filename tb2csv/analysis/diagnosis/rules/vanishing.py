"""Gradients that become too small on their way to the input, or too small to move a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.layer_chains import MOMENT
from tb2csv.analysis.diagnosis.rules.rule import Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, LAYER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: A layer before one that has vanished may be so many times above the threshold.
_SLACK: Final = 10


def _find_by_depth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    rows = network.chains
    most, scale = thresholds["vanishing_depth"], pl.col("scale")
    chain = (*MOMENT, "chain")
    largest = scale.cum_max().shift(1).over(chain, order_by=-pl.col("order"))
    compared = rows.with_columns(
        largest.forward_fill().over(chain, order_by=-pl.col("order")).alias("after"),
        scale.cum_max().over(MOMENT, order_by="order").forward_fill().over(MOMENT, order_by="order").alias("before"),
    )
    share, share_before = (pl.when(pl.col("after") > 0).then(each / pl.col("after")) for each in (scale, "before"))
    # What is zero throughout is dead, which is another matter.
    is_dead = pl.col("zero_share").fill_null(0) >= 1
    # What has vanished on its way to the input does not come back; else the layer is on a branch of its own.
    has_vanished = (share <= most) & (share_before <= _SLACK * most)
    hit = pl.when(scale.is_not_null()).then(has_vanished.fill_null(value=False) & ~is_dead)
    return streaks(compared, hit.fill_null(value=False), share, network.steps, "min")


def _find_by_level(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    rows = network.relative_gradients.filter(~pl.col("run").is_in(network.learnt_runs))
    is_dead = pl.col("zero_share").fill_null(0) >= 1
    hit = (pl.col("relative") <= thresholds["vanishing_level"]).fill_null(value=False) & ~is_dead
    found = streaks(rows, hit, pl.col("relative"), network.steps, "min")
    return network.with_message(found, _OF_THE_WEIGHTS, _BY_ITSELF)


_OF_THE_WEIGHTS: Final = "the gradient is {value:.2g} of the weights: too small to move them"
_BY_ITSELF: Final = "the size of the gradient is {value:.2g}: too small to move weights; they are not recorded"

VANISHING_DEPTH: Final = Rule(
    "vanishing",
    {
        "vanishing_depth": Threshold(
            1e-3, "size of a layer's gradient, or error, by that of the largest after it (maximum)"
        )
    },
    _find_by_depth,
    "{value:.2g} of the largest size after it",
    (GRADIENTS, LAYER_ERRORS),
)

VANISHING_LEVEL: Final = Rule(
    "vanishing",
    {"vanishing_level": Threshold(1e-8, "size of a layer's gradient by that of its weights (maximum)")},
    _find_by_level,
    _OF_THE_WEIGHTS,
    (GRADIENTS,),
)
