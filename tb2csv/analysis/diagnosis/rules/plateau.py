"""Trainings that do not get anywhere: the loss stays, or the weights do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.network import LAYER
from tb2csv.analysis.diagnosis.rules.diverging import has_risen
from tb2csv.analysis.diagnosis.rules.rule import FOUND, Found, Rule, Threshold, found_frame
from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, LOSS, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: With fewer values, a plateau cannot be distinguished from a slow beginning.
_LEAST_POINTS: Final = 5
#: A larger fall is not noise.
_MOST_NOISE: Final = 0.1
_FELL: Final = "the loss fell by {size:.2%} from its first values to its last"
_ROSE: Final = "the loss did not fall: it rose by {size:.2%} from its first values to its last"


def _find_by_loss(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    found = []
    for levels in network.loss_levels:
        if levels.points < _LEAST_POINTS or not levels.first or has_risen(levels, thresholds["diverging_rise"]):
            continue
        size = abs(levels.first)
        if levels.first_size > size:
            continue  # around zero, no share of a loss is small
        fall, early_fall = (levels.first - levels.last) / size, (levels.early - levels.last) / size
        # Of few values the noise may be large, of a tenth it is small; but a fast fall is over within a tenth.
        stays = fall <= thresholds["plateau_loss"] + min(levels.first_noise / size, _MOST_NOISE)
        stays &= early_fall <= thresholds["plateau_loss"] + min(levels.noise / size, _MOST_NOISE)
        if stays and levels.rise < 1:
            series, span = levels.series, (levels.first_step, levels.last_step, levels.points, levels.points)
            message = _FELL if early_fall >= 0 else _ROSE
            found.append(Found(series.run, series.family, series.tag, *span, early_fall, message))
    return found_frame(found)


def _find_by_weights(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    weights = network.variables.filter(pl.col("family") == WEIGHTS)
    of_variables = weights.group_by([*LAYER, "variable"], maintain_order=True).agg(
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.col("step").n_unique().cast(pl.Int64).alias("points"),
        network.moved.alias("moved"),
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
    {"plateau_loss": Threshold(0.02, "share by which the loss fell from its first to its last values (maximum)")},
    _find_by_loss,
    _FELL,
    (LOSS,),
)

PLATEAU_WEIGHTS: Final = Rule(
    "plateau",
    {"plateau_weights": Threshold(0, "change of a weight that has a gradient, by its size (maximum)")},
    _find_by_weights,
    "the weights never change, although they have gradients",
    (WEIGHTS,),
)
