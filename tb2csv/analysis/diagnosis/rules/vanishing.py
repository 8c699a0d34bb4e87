"""Rules for vanishing gradients: too small near the input, or too small to move the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.layer_chains import STEP_KEYS
from tb2csv.analysis.diagnosis.rules.rule import Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, LAYER_ERRORS
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.analysis.diagnosis.network import Network

#: The layers before a vanished one may exceed the threshold by this factor.
_SLACK: Final = 10


def _find_by_depth(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    rows = network.chains
    threshold, scale = thresholds["vanishing_depth"], pl.col("scale")
    chain = (*STEP_KEYS, "chain")
    largest = scale.cum_max().shift(1).over(chain, order_by=-pl.col("order"))
    compared = rows.with_columns(
        largest.forward_fill().over(chain, order_by=-pl.col("order")).alias("after"),
        scale.cum_max()
        .over(STEP_KEYS, order_by="order")
        .forward_fill()
        .over(STEP_KEYS, order_by="order")
        .alias("before"),
    )
    share, share_before = (pl.when(pl.col("after") > 0).then(each / pl.col("after")) for each in (scale, "before"))
    # A gradient of zeros only is a dead layer, which has a rule of its own.
    is_dead = pl.col("zero_share").fill_null(0) >= 1
    # A vanished gradient stays small towards the input. If it does not, the layer is on a separate branch.
    has_vanished = (share <= threshold) & (share_before <= _SLACK * threshold)
    hit = pl.when(scale.is_not_null()).then(has_vanished.fill_null(value=False) & ~is_dead)
    return streaks(compared, hit.fill_null(value=False), share, network.steps, "min")


def _find_by_level(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    rows = network.relative_gradients.filter(~pl.col("run").is_in(network.learnt_runs))
    is_dead = pl.col("zero_share").fill_null(0) >= 1
    hit = (pl.col("relative") <= thresholds["vanishing_level"]).fill_null(value=False) & ~is_dead
    found = streaks(rows, hit, pl.col("relative"), network.steps, "min")
    return network.with_message(found, _RELATIVE_MESSAGE, _ABSOLUTE_MESSAGE)


_RELATIVE_MESSAGE: Final = "the gradient is {value:.2g} of the weights: too small to move them"
_ABSOLUTE_MESSAGE: Final = "the size of the gradient is {value:.2g}: too small to move weights; they are not recorded"

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
    _RELATIVE_MESSAGE,
    (GRADIENTS,),
)
