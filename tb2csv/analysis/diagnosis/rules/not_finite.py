"""Rule for NaN and infinity; a single number is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.network import LAYER_KEYS
from tb2csv.analysis.diagnosis.rules.rule import FINDING_COLUMNS, Rule, ScalarFinding, Threshold, findings_frame
from tb2csv.analysis.diagnosis.tag_families import FAMILIES, SCALARS, STATES
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    threshold = thresholds["not_finite"]
    found = (_scalar_finding(series) for series in network.observations.scalars)
    of_scalars = findings_frame(finding for finding in found if finding)
    of_scalars = of_scalars.filter(pl.col("value") >= threshold).select(FINDING_COLUMNS)
    variables = network.observations.variables
    if variables.is_empty():
        return of_scalars
    rows = variables.select(*LAYER_KEYS, "step", (pl.col("nan_count") + pl.col("inf_count")).alias("value"))
    # If a step has several sources, the one with the most such numbers counts.
    rows = rows.group_by([*LAYER_KEYS, "step"], maintain_order=True).agg(pl.col("value").max())
    rows = rows.with_columns(pl.len().over(LAYER_KEYS).cast(pl.Int64).alias("observed"))
    of_layers = (
        rows.filter(pl.col("value") >= threshold)
        .group_by(LAYER_KEYS, maintain_order=True)
        .agg(
            pl.col("step").min().alias("first_step"),
            pl.col("step").max().alias("last_step"),
            pl.len().cast(pl.Int64).alias("points"),
            pl.col("observed").first(),
            pl.col("value").max(),
        )
        .select(FINDING_COLUMNS)
    )
    return pl.concat([of_layers, of_scalars])


def _scalar_finding(series: ScalarSeries) -> ScalarFinding | None:
    steps = series.step[~np.isfinite(series.value)]
    if not steps.size:
        return None
    first, last = int(steps.min()), int(steps.max())
    return ScalarFinding(series.run, series.family, series.tag, first, last, steps.size, series.points, 1.0)


NOT_FINITE: Final = Rule(
    "not finite",
    {"not_finite": Threshold(1, "numbers of a step that are NaN or infinite (minimum)")},
    _find,
    "NaN or infinity: up to {value:.0f} per step",
    (*FAMILIES, STATES, SCALARS),
)
