"""Gradients, errors, outputs or weights that grow beyond all measure: by depth, by time, or beyond the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.network import LAYER, MOMENT
from tb2csv.analysis.diagnosis.rules.rule import LEVEL_WINDOW, Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.rules.vanishing import comparable
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, GRADIENTS, LAYER_ERRORS, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network


def _find_by_depth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    scale = pl.col("scale")
    place = pl.col("order").rank("dense").over("run", "family")
    is_rear = place > place.max().over("run", "family") / 2
    rows = comparable(network).with_columns(is_rear.alias("is_rear"))
    rear = scale.filter(pl.col("is_rear") & (scale > 0)).median().over(MOMENT)
    ratio = pl.when(~pl.col("is_rear")).then(scale / rear)
    return streaks(rows, ratio >= thresholds["exploding_depth"], ratio, network.steps, "max")


def _find_by_growth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    rows = network.family(GRADIENTS, WEIGHTS, LAYER_ERRORS, ACTIVATIONS)
    positive = pl.when(pl.col("scale") > 0).then("scale")
    rows = rows.with_columns(positive.rolling_median(LEVEL_WINDOW, min_samples=1).over(LAYER).alias("level"))
    # What begins at zero may grow: it is measured against the other layers, too.
    rows = rows.with_columns(pl.max_horizontal("level", pl.col("level").median().over(MOMENT)).alias("level"))
    highest = pl.col("level").forward_fill().cum_max().shift(1).over(LAYER)
    growth = pl.col("scale") / highest
    return streaks(rows, growth >= thresholds["exploding_growth"], growth, network.steps, "max")


def _find_by_level(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    hit = pl.col("relative") >= thresholds["exploding_level"]
    return streaks(network.relative_gradients, hit, pl.col("relative"), network.steps, "max")


EXPLODING_DEPTH: Final = Rule(
    "exploding",
    {
        "exploding_depth": Threshold(
            1e4, "size of a layer's gradient, or error, by the median of the layers of the rear half, at the least"
        )
    },
    _find_by_depth,
    "{value:.2g} times those nearer to the output",
)

EXPLODING_GROWTH: Final = Rule(
    "exploding",
    {"exploding_growth": Threshold(100, "size by the highest level before it, at the least")},
    _find_by_growth,
    "{value:.2g} times the highest level before",
)

EXPLODING_LEVEL: Final = Rule(
    "exploding",
    {"exploding_level": Threshold(1e4, "size of a layer's gradient by that of its weights, at the least")},
    _find_by_level,
    "{value:.2g} times the weights",
)
