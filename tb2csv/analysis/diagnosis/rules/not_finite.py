"""NaN and infinity: a single number is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tb2csv.analysis.diagnosis.network import LAYER
from tb2csv.analysis.diagnosis.rules.rule import FOUND, Found, Rule, Threshold, found_frame
from tb2csv.analysis.diagnosis.tag_families import FAMILIES, SCALARS, STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    least = thresholds["not_finite"]
    of_scalars = found_frame(found for each in network.observations.scalars if (found := _found(each)))
    of_scalars = of_scalars.filter(pl.col("value") >= least).select(FOUND)
    variables = network.observations.variables
    if variables.is_empty():
        return of_scalars
    rows = variables.select(*LAYER, "step", (pl.col("nan_count") + pl.col("inf_count")).alias("value"))
    # Of several sources of one step, whichever saw most.
    rows = rows.group_by([*LAYER, "step"], maintain_order=True).agg(pl.col("value").max())
    rows = rows.with_columns(pl.len().over(LAYER).cast(pl.Int64).alias("observed"))
    of_layers = (
        rows.filter(pl.col("value") >= least)
        .group_by(LAYER, maintain_order=True)
        .agg(
            pl.col("step").min().alias("first_step"),
            pl.col("step").max().alias("last_step"),
            pl.len().cast(pl.Int64).alias("points"),
            pl.col("observed").first(),
            pl.col("value").max(),
        )
        .select(FOUND)
    )
    return pl.concat([of_layers, of_scalars])


def _found(series: ScalarSeries) -> Found | None:
    odd = series.step[~np.isfinite(series.value)]
    if not odd.size:
        return None
    first, last = int(odd.min()), int(odd.max())
    return Found(series.run, series.family, series.tag, first, last, odd.size, series.points, 1.0)


NOT_FINITE: Final = Rule(
    "not finite",
    {"not_finite": Threshold(1, "numbers of a step that are NaN or infinite (minimum)")},
    _find,
    "NaN or infinity: up to {value:.0f} per step",
    (*FAMILIES, STATES, SCALARS),
)
