"""Views of the observations that rules read: variables, layers, chains of layers, and losses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.layer_chains import layer_shapes, with_chains
from tb2csv.analysis.diagnosis.loss_levels import loss_levels, median
from tb2csv.analysis.diagnosis.tag_families import (
    GRADIENTS,
    LAYER_ERRORS,
    LOSS,
    STATES,
    WEIGHTS,
    is_bias,
    is_competing_loss,
    is_kernel,
    is_key_bias,
)
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from tb2csv.analysis.diagnosis.layer_chains import Shape
    from tb2csv.analysis.diagnosis.loss_levels import LossLevels
    from tb2csv.analysis.diagnosis.observations import Observations
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: The default number of consecutive recorded steps that a problem must last.
DEFAULT_STEPS: Final = 3

#: Sources of statistics, the best first: exact, rounded to float32, estimated from buckets.
SOURCES: Final = ("tensor", "statistics", "histogram")

#: The columns that identify a layer.
LAYER_KEYS: Final = ("run", "family", "layer")
#: If the last level of a loss is at most this share of the first, the training is done.
LEARNT_RATIO: Final = 0.01
#: At this share of the size of its kernel's gradient, the gradient of a bias is a rounding error.
_ROUNDING_SHARE: Final = 1e-4
#: With at least this many layers, the errors of the last one are not compared with the others.
_MIN_LAYERS: Final = 3


@dataclass(frozen=True)
class Network:
    """The observations of all runs as rules read them.

    In frames, rows of a layer or variable are adjacent, in the order of the log.
    """

    observations: Observations
    #: The number of consecutive recorded steps that a problem must last.
    steps: int

    @cached_property
    def variables(self) -> pl.DataFrame:
        """A row for each variable and step, from the source that has the most steps.

        ``repeat`` numbers the rows of one step, which a restarted training may write again. The gradients of biases
        without effect are left out.
        """
        keys = [*LAYER_KEYS, "variable"]
        rank = pl.col("source").replace_strict({name: rank for rank, name in enumerate(SOURCES)}, return_dtype=pl.Int8)
        rows = self.observations.variables.filter(pl.col("family") != STATES).with_columns(
            rank.alias("rank"), pl.len().over(*keys, "source").alias("points")
        )
        best = rows.select(*keys, "source", "points", "rank").unique()
        best = best.sort("points", "rank", descending=[True, False]).unique(keys, keep="first").select(*keys, "source")
        chosen = rows.join(best, [*keys, "source"], "semi", nulls_equal=True)
        chosen = (
            chosen.with_columns(pl.col("order").min().over(LAYER_KEYS))
            .sort("run", "family", "order", "layer", "variable", maintain_order=True)
            .with_columns(pl.int_range(pl.len()).over(*keys, "step").alias("repeat"))
        )
        return chosen.join(_biases_without_effect(chosen), keys, "anti", maintain_order="left")

    @cached_property
    def shapes(self) -> dict[tuple[str, str], Shape]:
        """The shapes of the layers that have a kernel and a bias, by run and layer."""
        return layer_shapes(self.observations.variables)

    @cached_property
    def chains(self) -> pl.DataFrame:
        """The rows of ``layers`` for gradients and layer errors, with the column ``chain`` of ``with_chains``.

        The errors of the last layer are left out, because a softmax after it changes their size, unless fewer than two
        layers would remain to be compared.
        """
        rows = self.family(GRADIENTS, LAYER_ERRORS)
        family = ("run", "family")
        is_last = pl.col("order") == pl.col("order").max().over(family)
        has_others = pl.col("layer").n_unique().over(family) >= _MIN_LAYERS
        return with_chains(rows.filter(~(is_last & has_others & (pl.col("family") == LAYER_ERRORS))), self.shapes)

    @cached_property
    def layers(self) -> pl.DataFrame:
        """A row for each layer and step that combines its variables.

        Columns ``run, family, layer, order, step, repeat, count, norm, rms, scale, zero_share, nan_count, inf_count,
        min, max, tanh_share, sigmoid_share``. ``scale`` is the root mean square if it is known for the whole
        family, or else the norm; missing if a number is NaN or infinite.
        """
        not_finite = pl.col("nan_count") + pl.col("inf_count")
        squares, count = pl.col("norm").pow(2), pl.col("count")
        rows = self.variables.group_by([*LAYER_KEYS, "order", "step", "repeat"], maintain_order=True).agg(
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
            not_finite.sum().alias("not_finite"),
            pl.col("min").min(),
            pl.col("max").max(),
            pl.col("tanh_share").mean(),
            pl.col("sigmoid_share").mean(),
        )
        # If a layer's variables are recorded at different steps, only complete steps can be compared.
        rows = rows.filter(pl.col("variables") == pl.col("variables").max().over(LAYER_KEYS))
        is_finite = pl.col("not_finite") == 0
        has_rms = (pl.col("rms").is_not_null() | ~is_finite).all().over("run", "family")
        scale = pl.when(is_finite).then(pl.when(has_rms).then("rms").otherwise("norm"))
        return rows.with_columns(
            pl.when(scale.is_finite()).then(scale).alias("scale"),
            pl.when(is_finite).then(pl.col("norm")).alias("norm"),
        ).sort("run", "family", "order", "layer", maintain_order=True)

    def family(self, *names: str) -> pl.DataFrame:
        """Return the rows of ``layers`` for these families."""
        return self.layers.filter(pl.col("family").is_in(names))

    @cached_property
    def biases(self) -> pl.DataFrame:
        """The rows of ``variables`` for gradients of biases."""
        names = self.variables["variable"].unique().to_list()
        return self.variables.filter(
            pl.col("family") == GRADIENTS, pl.col("variable").is_in(list(filter(is_bias, names)))
        )

    @property
    def range_over_steps(self) -> pl.Expr:
        """An aggregation of a variable's rows: the largest range of any of its statistics over all steps."""
        numbers = ("norm", "mean", "std", "min", "max")
        return pl.max_horizontal((pl.col(name).max() - pl.col(name).min()).fill_null(0) for name in numbers)

    @cached_property
    def families(self) -> frozenset[str]:
        """The families with any recorded series."""
        of_layers = self.observations.variables["family"].unique().to_list()
        return frozenset((*of_layers, *(series.family for series in self.observations.scalars)))

    def scalars(self, family: str) -> list[ScalarSeries]:
        """Return the scalar series of a family."""
        return [series for series in self.observations.scalars if series.family == family]

    @cached_property
    def losses(self) -> list[ScalarSeries]:
        """The training losses."""
        return self.scalars(LOSS)

    @cached_property
    def loss_levels(self) -> list[LossLevels]:
        """The levels of losses that should fall and have more values than a problem must last."""
        falling = (series for series in self.losses if not is_competing_loss(series.run, series.tag))
        return [levels for series in falling if (levels := loss_levels(series, self.steps))]

    @cached_property
    def relative_gradients(self) -> pl.DataFrame:
        """The rows of ``layers`` for gradients, with the column ``relative``.

        It is the scale of the gradients divided by that of the weights at the nearest step. Weights that are not
        recorded or all zero count as 1.
        """
        gradients = self.family(GRADIENTS).with_row_index("row")
        weights = self._weights.select("run", "layer", "step", weight_norm="norm", weight_rms="rms").sort("step")
        joined = gradients.sort("step", maintain_order=True).join_asof(
            weights, on="step", by=["run", "layer"], strategy="nearest", check_sortedness=False
        )
        by_weights = pl.coalesce(pl.col("rms") / pl.col("weight_rms"), pl.col("norm") / pl.col("weight_norm"))
        is_known = pl.col("scale").is_not_null()
        relative = pl.when(is_known).then(pl.coalesce(by_weights, pl.col("scale")))
        return joined.with_columns(relative.alias("relative")).sort("row")

    def with_message(self, found: pl.DataFrame, recorded: str, other: str) -> pl.DataFrame:
        """Return findings about relative gradients with the message ``recorded`` if weights are known, or ``other``."""
        weights = self._weights.select("run", "layer", pl.lit(recorded).alias("message")).unique()
        return found.join(weights, ["run", "layer"], "left", maintain_order="left").with_columns(
            pl.col("message").fill_null(other)
        )

    @property
    def _weights(self) -> pl.DataFrame:
        """The rows of ``layers`` for weights that are not all zero."""
        return self.family(WEIGHTS).filter(pl.col("scale") > 0)

    @cached_property
    def learnt_runs(self) -> list[str]:
        """The runs whose loss fell to a hundredth; small gradients are normal at the end of these."""
        learnt = []
        for series in self.losses:
            value = series.finite()[1]
            if not value.size:
                continue
            first, last = median(value[: self.steps]), median(value[-self.steps :])
            if first > 0 and last <= LEARNT_RATIO * first:
                learnt.append(series.run)
        return list(dict.fromkeys(learnt))


def _biases_without_effect(variables: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of biases whose gradients are only rounding errors.

    A later operation, such as the softmax over the keys of an attention or a batch normalization, cancels such a bias.
    In exact arithmetic its gradient is zero, while that of its kernel is not.
    """
    gradients = variables.filter(pl.col("family") == GRADIENTS)
    names = gradients["variable"].unique().to_list()
    kernels, biases = (list(filter(is_kind, names)) for is_kind in (is_kernel, is_bias))
    size = pl.coalesce("rms", "norm")
    layer_step = ["run", "layer", "step", "repeat"]
    kernel_sizes = gradients.filter(pl.col("variable").is_in(kernels)).select(*layer_step, size.alias("kernel"))
    bias_rows = gradients.filter(pl.col("variable").is_in(biases)).join(kernel_sizes, layer_step, "left")
    keys = [*LAYER_KEYS, "variable"]
    share = pl.when(pl.col("kernel") > 0).then(size / pl.col("kernel")).median().alias("share")
    found = bias_rows.group_by(keys, maintain_order=True).agg(share)
    is_key = [is_key_bias(layer, variable) for layer, variable in found.select("layer", "variable").iter_rows()]
    return found.filter((pl.col("share") <= _ROUNDING_SHARE) | pl.Series(is_key, dtype=pl.Boolean)).select(keys)
