"""Numbers that are none: a single one is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.network import LAYER
from tb2csv.analysis.diagnosis.rules.rule import FOUND, Rule, Threshold

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    variables = network.observations.variables.select(
        *LAYER, "step", (pl.col("nan_count") + pl.col("inf_count")).alias("value")
    )
    # Of several sources of one step, whichever saw most.
    of_layers = variables.group_by([*LAYER, "step"], maintain_order=True).agg(pl.col("value").max())
    of_layers = of_layers.with_columns(pl.len().over(LAYER).alias("observed"))
    points = network.observations.scalar_points.rename({"tag": "layer", "points": "observed"})
    scalars = network.observations.scalars.filter(~pl.col("value").is_finite()).rename({"tag": "layer"})
    of_scalars = scalars.with_columns(pl.lit(1.0).alias("value")).join(points, ["run", "layer"], "left")
    columns = [*LAYER, "step", "value", "observed"]
    rows = pl.concat([each.select(columns).cast({"observed": pl.Int64}) for each in (of_layers, of_scalars)])
    found = rows.filter(pl.col("value") >= thresholds["not_finite"])
    return (
        found.group_by(LAYER, maintain_order=True)
        .agg(
            pl.col("step").min().alias("first_step"),
            pl.col("step").max().alias("last_step"),
            pl.len().cast(pl.Int64).alias("points"),
            pl.col("observed").first(),
            pl.col("value").max(),
        )
        .select(FOUND)
    )


NOT_FINITE: Final = Rule(
    "not finite",
    {"not_finite": Threshold(1, "numbers of a step that are NaN or infinite, at the least")},
    _find,
    "NaN or infinity: {value:.0f} at a step",
)
