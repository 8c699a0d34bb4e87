"""Rules for exploding gradients, errors, outputs or weights: across layers, over time, or relative to the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.layer_chains import STEP_KEYS
from tb2csv.analysis.diagnosis.network import LAYER_KEYS
from tb2csv.analysis.diagnosis.rules.rule import LEVEL_WINDOW, Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, GRADIENTS, LAYER_ERRORS, WEIGHTS
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.analysis.diagnosis.network import Network


def _find_by_depth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    scale = pl.col("scale")
    chain = (*STEP_KEYS, "chain")
    position = pl.int_range(1, pl.len() + 1).over(chain, order_by="order")
    rows = network.chains.with_columns((position > pl.len().over(chain) / 2).alias("is_rear"))
    rear = scale.filter(pl.col("is_rear") & (scale > 0)).median().over(chain)
    # A trunk gets its gradient from all of its heads, but only one of them is in its chain.
    later = rows.group_by(chain).agg(scale.filter(scale > 0).median().alias("later")).sort(chain)
    later = later.with_columns(
        pl.col("later").reverse().cum_max().reverse().shift(-1).over(STEP_KEYS, order_by="chain")
    )
    rows = rows.join(later, chain, "left", maintain_order="left")
    ratio = pl.when(~pl.col("is_rear")).then(scale / pl.max_horizontal(rear, "later"))
    return streaks(rows, ratio >= thresholds["exploding_depth"], ratio, network.steps, "max")


def _find_by_growth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    rows = network.family(GRADIENTS, WEIGHTS, LAYER_ERRORS, ACTIVATIONS)
    positive = pl.when(pl.col("scale") > 0).then("scale")
    rows = rows.with_columns(positive.rolling_median(LEVEL_WINDOW, min_samples=1).over(LAYER_KEYS).alias("level"))
    # A layer that begins at zero may grow, so it is also compared with the median layer.
    rows = rows.with_columns(pl.max_horizontal("level", pl.col("level").median().over(STEP_KEYS)).alias("level"))
    highest = pl.col("level").forward_fill().cum_max().shift(1).over(LAYER_KEYS)
    growth = pl.col("scale") / highest
    return streaks(rows, growth >= thresholds["exploding_growth"], growth, network.steps, "max")


def _find_by_level(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    hit = pl.col("relative") >= thresholds["exploding_level"]
    found = streaks(network.relative_gradients, hit, pl.col("relative"), network.steps, "max")
    return network.with_message(found, _RELATIVE_MESSAGE, _ABSOLUTE_MESSAGE)


_RELATIVE_MESSAGE: Final = "the gradient is {value:.2g} times the weights"
_ABSOLUTE_MESSAGE: Final = "the size of the gradient is {value:.2g}; the weights are not recorded"

EXPLODING_DEPTH: Final = Rule(
    "exploding",
    {
        "exploding_depth": Threshold(
            1e4, "size of a layer's gradient, or error, by the median of the layers of the rear half (minimum)"
        )
    },
    _find_by_depth,
    "{value:.2g} times the sizes nearer to the output",
    (GRADIENTS, LAYER_ERRORS),
)

EXPLODING_GROWTH: Final = Rule(
    "exploding",
    {"exploding_growth": Threshold(100, "size by the highest level before it (minimum)")},
    _find_by_growth,
    "grows to {value:.2g} times its highest level before",
    (GRADIENTS, WEIGHTS, LAYER_ERRORS, ACTIVATIONS),
)

EXPLODING_LEVEL: Final = Rule(
    "exploding",
    {"exploding_level": Threshold(1e4, "size of a layer's gradient by that of its weights (minimum)")},
    _find_by_level,
    _RELATIVE_MESSAGE,
    (GRADIENTS,),
)
