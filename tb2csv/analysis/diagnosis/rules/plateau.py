"""Trainings that do not get anywhere: the loss stays, or the weights do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.network import LAYER
from tb2csv.analysis.diagnosis.rules.loss_levels import loss_levels
from tb2csv.analysis.diagnosis.rules.rule import FOUND, Rule, Threshold
from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: Fewer values do not tell a plateau from a slow beginning.
_LEAST_POINTS: Final = 5
#: A fall by more than this is none of the noise's.
_MOST_NOISE: Final = 0.1


def _find_by_loss(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    levels = loss_levels(network).filter(pl.col("points") >= _LEAST_POINTS)
    size = pl.col("first").abs()
    fall = (pl.col("first") - pl.col("last")) / size
    early_fall = (pl.col("early") - pl.col("last")) / size
    # Of few values the noise may be large, of a tenth it is small; but a fast fall is over within a tenth.
    stays = fall <= thresholds["plateau_loss"] + (pl.col("first_noise") / size).clip(upper_bound=_MOST_NOISE)
    stays &= early_fall <= thresholds["plateau_loss"] + (pl.col("noise") / size).clip(upper_bound=_MOST_NOISE)
    found = levels.filter(stays & (pl.col("rise") < 1))
    return found.with_columns(early_fall.alias("value"), pl.col("points").alias("observed")).select(FOUND)


def _find_by_weights(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    weights = network.variables.filter(pl.col("family") == WEIGHTS)
    numbers = ("norm", "mean", "std", "min", "max")
    moved = pl.max_horizontal((pl.col(name).max() - pl.col(name).min()).fill_null(0) for name in numbers)
    of_variables = weights.group_by([*LAYER, "variable"], maintain_order=True).agg(
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.col("step").n_unique().cast(pl.Int64).alias("points"),
        moved.alias("moved"),
        pl.col("rms").max(),
    )
    share = pl.when(pl.col("moved") == 0).then(0.0).otherwise(pl.col("moved") / pl.col("rms"))
    still = of_variables.with_columns(share.alias("value")).filter(
        pl.col("points") >= max(network.steps, _LEAST_POINTS), pl.col("value") <= thresholds["plateau_weights"]
    )
    pushed = network.variables.filter(pl.col("family") == GRADIENTS, pl.col("norm") > 0)
    still = still.join(pushed, ["run", "layer", "variable"], "semi")
    return (
        still.group_by(LAYER, maintain_order=True)
        .agg(
            pl.col("first_step").min(),
            pl.col("last_step").max(),
            pl.col("points").max(),
            pl.col("points").max().alias("observed"),
            pl.col("value").max(),
        )
        .select(FOUND)
    )


PLATEAU_LOSS: Final = Rule(
    "plateau",
    {"plateau_loss": Threshold(0.02, "share by which the loss fell from its first to its last values, at the most")},
    _find_by_loss,
    "fall of the loss from its first values to its last: {value:.2%}",
)

PLATEAU_WEIGHTS: Final = Rule(
    "plateau",
    {"plateau_weights": Threshold(0, "change of a weight that has a gradient, by its size, at the most")},
    _find_by_weights,
    "the weights never moved, though they have gradients",
)
