"""Gradients that become too small on their way to the input, or too small to move a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.network import MOMENT
from tb2csv.analysis.diagnosis.rules.rule import Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, LAYER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: A softmax behind the last layer gives its error a size of its own; with fewer layers, there is no other to compare.
_LEAST_WITHOUT_LAST: Final = 3


def comparable(network: Network) -> pl.DataFrame:
    """Return gradients and layer errors, without the errors of the last layer."""
    import polars as pl

    rows = network.family(GRADIENTS, LAYER_ERRORS)
    of_family = ("run", "family")
    is_last = pl.col("order") == pl.col("order").max().over(of_family)
    has_others = pl.col("layer").n_unique().over(of_family) >= _LEAST_WITHOUT_LAST
    return rows.filter(~(is_last & has_others & (pl.col("family") == LAYER_ERRORS)))


def _find_by_depth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    rows = comparable(network)
    scale = pl.col("scale")
    largest = scale.cum_max().shift(1).over(MOMENT, order_by=-pl.col("order"))
    behind = rows.with_columns(largest.forward_fill().over(MOMENT, order_by=-pl.col("order")).alias("behind"))
    share = pl.when(pl.col("behind") > 0).then(scale / pl.col("behind"))
    # What is zero throughout is dead, which is another matter.
    is_dead = pl.col("zero_share").fill_null(0) >= 1
    hit = pl.when(scale.is_not_null()).then((share <= thresholds["vanishing_depth"]).fill_null(value=False) & ~is_dead)
    return streaks(behind, hit.fill_null(value=False), share, network.steps, "min")


def _find_by_level(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    rows = network.relative_gradients.filter(~pl.col("run").is_in(network.learnt_runs))
    is_dead = pl.col("zero_share").fill_null(0) >= 1
    hit = (pl.col("relative") <= thresholds["vanishing_level"]).fill_null(value=False) & ~is_dead
    return streaks(rows, hit, pl.col("relative"), network.steps, "min")


VANISHING_DEPTH: Final = Rule(
    "vanishing",
    {
        "vanishing_depth": Threshold(
            1e-3, "size of a layer's gradient, or error, by that of the largest behind it, at the most"
        )
    },
    _find_by_depth,
    "{value:.2g} of the largest between it and the output",
)

VANISHING_LEVEL: Final = Rule(
    "vanishing",
    {"vanishing_level": Threshold(1e-8, "size of a layer's gradient by that of its weights, at the most")},
    _find_by_level,
    "{value:.2g} of the weights: too small to move them",
)
