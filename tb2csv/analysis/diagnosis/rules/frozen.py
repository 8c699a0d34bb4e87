"""Rule for a single layer without a gradient: frozen, perhaps by mistake, or cut off by ``stop_gradient``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.rules.rule import FINDING_COLUMNS, Rule, Threshold
from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, WEIGHTS
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.analysis.diagnosis.network import Network


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    # Known variables only: other numbers of a layer, such as those of an input normalization, are not trained.
    weights = network.variables.filter(pl.col("family") == WEIGHTS, pl.col("variable") != "")
    layers = weights.group_by("run", "family", "layer", "variable", maintain_order=True).agg(
        pl.col("order").first(),
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.col("step").n_unique().cast(pl.Int64).alias("points"),
        network.range_over_steps.alias("range_over_steps"),
    )
    layers = layers.group_by("run", "family", "layer", maintain_order=True).agg(
        pl.col("order", "first_step").min(), pl.col("last_step", "points", "range_over_steps").max()
    )
    trained = network.variables.filter(pl.col("family") == GRADIENTS).select("run", "layer").unique()
    layers = layers.join(trained.with_columns(pl.lit(value=True).alias("is_trained")), ["run", "layer"], "left")
    is_trained = pl.col("is_trained").fill_null(value=False)
    layers = layers.with_columns(
        is_trained.alias("is_trained"),
        is_trained.cum_max().over("run", order_by="order").alias("is_after_trained"),
        (~is_trained).sum().over("run").alias("frozen_count"),
        is_trained.sum().over("run").alias("trained_count"),
    )
    # Fine-tuning usually freezes all layers up to a certain one; that is not worth a note.
    is_isolated = pl.col("is_after_trained") | (pl.col("frozen_count") == 1)
    is_suspicious = ~pl.col("is_trained") & is_isolated & (pl.col("trained_count") > pl.col("frozen_count"))
    is_constant = pl.col("range_over_steps") <= thresholds["frozen_layer"]
    return (
        layers.filter(is_suspicious & is_constant)
        .with_columns(observed="points", value="range_over_steps")
        .select(FINDING_COLUMNS)
    )


FROZEN_LAYER: Final = Rule(
    "note",
    {"frozen_layer": Threshold(0, "change of the weights of a layer that alone has no gradient (maximum)")},
    _find,
    "the only layer without a recorded gradient, and its weights never change: frozen, or cut off from the loss",
    (WEIGHTS,),
)
