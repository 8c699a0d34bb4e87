"""The layers of a network over its steps, of whatever sources there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, LOSS, STATES, WEIGHTS, is_bias

if TYPE_CHECKING:
    import polars as pl

    from tb2csv.analysis.diagnosis.observations import Observations

#: At how many recorded steps running something must be so, where nobody says.
DEFAULT_STEPS: Final = 3

#: Of two sources of one step, the better one first: exact, exact but for float32, from buckets.
SOURCES: Final = ("tensor", "statistics", "histogram")

#: What a layer, or a variable of it, is known by.
LAYER: Final = ("run", "family", "layer")
#: What layers are compared within: one step of one run.
MOMENT: Final = ("run", "family", "step", "time")


@dataclass(frozen=True)
class Network:
    """The frames that rules read. Rows of a layer, variable or tag stand together, in the order of the log."""

    observations: Observations
    #: At how many recorded steps running something must be so.
    steps: int

    @cached_property
    def variables(self) -> pl.DataFrame:
        """A row for each variable and step, of the source that has the most steps; ``time`` tells rows of one step."""
        import polars as pl

        keys = [*LAYER, "variable"]
        rank = pl.col("source").replace_strict(
            {name: place for place, name in enumerate(SOURCES)}, return_dtype=pl.Int8
        )
        rows = self.observations.variables.filter(pl.col("family") != STATES).with_columns(
            rank.alias("rank"), pl.len().over(*keys, "source").alias("points")
        )
        best = rows.select(*keys, "source", "points", "rank").unique()
        best = best.sort("points", "rank", descending=[True, False]).unique(keys, keep="first").select(*keys, "source")
        chosen = rows.join(best, [*keys, "source"], "semi", nulls_equal=True)
        return (
            chosen.with_columns(pl.col("order").min().over(LAYER))
            .sort("run", "family", "order", "layer", "variable", maintain_order=True)
            .with_columns(pl.int_range(pl.len()).over(*keys, "step").alias("time"))
        )

    @cached_property
    def layers(self) -> pl.DataFrame:
        """A row for each layer and step: its variables taken together.

        Columns ``run, family, layer, order, step, time, count, norm, rms, scale, zero_share, nan_count, inf_count,
        min, max, tanh_share, sigmoid_share``. ``scale`` is the root of the mean square where it is known of the whole
        family, else the norm, and missing where any number is none.
        """
        import polars as pl

        odd = pl.col("nan_count") + pl.col("inf_count")
        squares, count = pl.col("norm").pow(2), pl.col("count")
        rows = self.variables.group_by([*LAYER, "order", "step", "time"], maintain_order=True).agg(
            pl.len().alias("variables"),
            pl.when(count.is_not_null().all()).then(count.sum()).alias("count"),
            pl.when(squares.is_not_null().all()).then(squares.sum()).sqrt().alias("norm"),
            pl.when(pl.col("rms").is_not_null().all())
            .then((pl.col("rms").pow(2) * count.fill_null(1)).sum() / count.fill_null(1).sum())
            .sqrt()
            .alias("rms"),
            pl.when(pl.col("zero_share").is_not_null().all())
            .then((pl.col("zero_share") * count.fill_null(1)).sum() / count.fill_null(1).sum())
            .alias("zero_share"),
            pl.col("nan_count").sum(),
            pl.col("inf_count").sum(),
            odd.sum().alias("odd"),
            pl.col("min").min(),
            pl.col("max").max(),
            pl.col("tanh_share").mean(),
            pl.col("sigmoid_share").mean(),
        )
        # Where a layer's variables are not all recorded at the same steps, only whole ones can be compared.
        rows = rows.filter(pl.col("variables") == pl.col("variables").max().over(LAYER))
        is_fine = pl.col("odd") == 0
        has_rms = (pl.col("rms").is_not_null() | ~is_fine).all().over("run", "family")
        scale = pl.when(is_fine).then(pl.when(has_rms).then("rms").otherwise("norm"))
        return rows.with_columns(
            pl.when(scale.is_finite()).then(scale).alias("scale"),
            pl.when(is_fine).then(pl.col("norm")).alias("norm"),
        ).sort("run", "family", "order", "layer", maintain_order=True)

    def family(self, *names: str) -> pl.DataFrame:
        """Return the layers' rows of some families."""
        import polars as pl

        return self.layers.filter(pl.col("family").is_in(names))

    @cached_property
    def biases(self) -> pl.DataFrame:
        """The variables' rows of the gradients of biases."""
        import polars as pl

        names = self.variables["variable"].unique().to_list()
        return self.variables.filter(
            pl.col("family") == GRADIENTS, pl.col("variable").is_in(list(filter(is_bias, names)))
        )

    @cached_property
    def losses(self) -> pl.DataFrame:
        """The losses of trainings: ``run, family, tag, step, value``; what is not finite is missing."""
        import polars as pl

        losses = self.observations.scalars.filter(pl.col("family") == LOSS).sort("run", "tag", maintain_order=True)
        return losses.with_columns(pl.when(pl.col("value").is_finite()).then("value"))

    @cached_property
    def relative_gradients(self) -> pl.DataFrame:
        """The rows of gradients with ``relative``: their scale by that of the layer's weights, as of the nearest step.

        Where the weights are not recorded, or are all zero, they are taken to be 1.
        """
        import polars as pl

        gradients = self.family(GRADIENTS).with_row_index("row")
        weights = self.family(WEIGHTS).filter(pl.col("scale") > 0)
        weights = weights.select("run", "layer", "step", weight_norm="norm", weight_rms="rms").sort("step")
        joined = gradients.sort("step", maintain_order=True).join_asof(
            weights, on="step", by=["run", "layer"], strategy="nearest", check_sortedness=False
        )
        by_weights = pl.coalesce(pl.col("rms") / pl.col("weight_rms"), pl.col("norm") / pl.col("weight_norm"))
        is_known = pl.col("scale").is_not_null()
        relative = pl.when(is_known).then(pl.coalesce(by_weights, pl.col("scale")))
        return joined.with_columns(relative.alias("relative")).sort("row")

    @cached_property
    def learnt_runs(self) -> list[str]:
        """The runs in which a loss fell to a hundredth: gradients are meant to be small there."""
        import polars as pl

        levels = (
            self.losses.drop_nulls("value")
            .group_by("run", "tag")
            .agg(
                pl.col("value").head(self.steps).median().alias("first"),
                pl.col("value").tail(self.steps).median().alias("last"),
            )
        )
        fallen = levels.filter(pl.col("first") > 0, pl.col("last") <= LEARNT * pl.col("first"))
        return fallen["run"].unique().to_list()


#: How far a loss must have fallen for small gradients to be the end of a training, and not a fault.
LEARNT: Final = 0.01
