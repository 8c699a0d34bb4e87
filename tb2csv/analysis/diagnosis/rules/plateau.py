"""Rules for a plateau: the loss does not fall, or the weights do not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.network import LAYER_KEYS
from tb2csv.analysis.diagnosis.rules.diverging import has_risen
from tb2csv.analysis.diagnosis.rules.rule import FINDING_COLUMNS, Rule, ScalarFinding, Threshold, findings_frame
from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, LOSS, WEIGHTS
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.analysis.diagnosis.network import Network

#: With fewer values, a plateau cannot be distinguished from a slow beginning.
_MIN_POINTS: Final = 5
#: Maximum relative fall that can count as noise.
_MAX_NOISE: Final = 0.1
_FELL: Final = "the loss fell by {size:.2%} from its first values to its last"
_ROSE: Final = "the loss did not fall: it rose by {size:.2%} from its first values to its last"


def _find_by_loss(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    found = []
    for levels in network.loss_levels:
        if levels.points < _MIN_POINTS or not levels.first or has_risen(levels, thresholds["diverging_rise"]):
            continue
        size = abs(levels.first)
        if levels.first_size > size:
            continue  # a loss around zero has no scale for relative changes
        fall, early_fall = (levels.first - levels.last) / size, (levels.early - levels.last) / size
        # The first few values may be noisy; the first tenth is less noisy but misses a fall that is over within it.
        is_flat = fall <= thresholds["plateau_loss"] + min(levels.first_noise / size, _MAX_NOISE)
        is_flat &= early_fall <= thresholds["plateau_loss"] + min(levels.noise / size, _MAX_NOISE)
        if is_flat and levels.rise < 1:
            series, span = levels.series, (levels.first_step, levels.last_step, levels.points, levels.points)
            message = _FELL if early_fall >= 0 else _ROSE
            found.append(ScalarFinding(series.run, series.family, series.tag, *span, early_fall, message))
    return findings_frame(found)


def _find_by_weights(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    weights = network.variables.filter(pl.col("family") == WEIGHTS)
    of_variables = weights.group_by([*LAYER_KEYS, "variable"], maintain_order=True).agg(
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.col("step").n_unique().cast(pl.Int64).alias("points"),
        network.range_over_steps.alias("range_over_steps"),
        pl.col("rms").max(),
    )
    share = pl.when(pl.col("range_over_steps") == 0).then(0.0).otherwise(pl.col("range_over_steps") / pl.col("rms"))
    constant = of_variables.with_columns(share.alias("value")).filter(
        pl.col("points") >= max(network.steps, _MIN_POINTS), pl.col("value") <= thresholds["plateau_weights"]
    )
    with_gradient = network.variables.filter(pl.col("family") == GRADIENTS, pl.col("norm") > 0)
    constant = constant.join(with_gradient, ["run", "layer", "variable"], "semi")
    return (
        constant.group_by(LAYER_KEYS, maintain_order=True)
        .agg(
            pl.col("first_step").min(),
            pl.col("last_step").max(),
            pl.col("points").max(),
            pl.col("points").max().alias("observed"),
            pl.col("value").max(),
        )
        .select(FINDING_COLUMNS)
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
