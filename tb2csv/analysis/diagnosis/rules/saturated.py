"""Rules for saturated activations: outputs near the bounds of tanh or sigmoid, or a slope near zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.layer_chains import follows
from tb2csv.analysis.diagnosis.rules.rule import Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, GRADIENTS, WEIGHTS, is_bias, is_kernel
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tb2csv.analysis.diagnosis.network import Network

#: If the maximum is below this, outputs between 0 and 1 may be those of a ReLU and not of a sigmoid.
_NEAR_ONE: Final = 0.9
#: A layer with larger outputs has neither tanh nor sigmoid. The gradient of a kernel is that of its bias times the
#: inputs of the layer, so their ratio gives the size of the outputs of the layer before: 0.4 to 1.5 for tanh and
#: sigmoid, 2.3 and more for a ReLU with exploding weights.
_MAX_BOUNDED_OUTPUT: Final = 2
#: The columns that identify one step of a run.
_STEP: Final = ("run", "step", "repeat")


def _find_by_outputs(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    rows = network.family(ACTIVATIONS)
    # The outputs of the last layer of a classifier should be near 0 and 1.
    rows = rows.filter(
        (pl.col("order") < pl.col("order").max().over("run")) | (pl.col("layer").n_unique().over("run") == 1)
    )
    low, high = pl.col("min"), pl.col("max")
    is_tanh = (low < 0) & (low >= -1) & (high <= 1)
    is_sigmoid = (low >= 0) & (high >= _NEAR_ONE) & (high <= 1) & (pl.col("zero_share").fill_null(0) == 0)
    share = pl.when(is_tanh).then("tanh_share").when(is_sigmoid).then("sigmoid_share")
    hit = (share >= thresholds["saturated_outputs"]).fill_null(value=False)
    return streaks(rows, hit, share, network.steps, "max")


def _slopes(network: Network) -> pl.DataFrame:
    """Return the slope of the activation of each dense layer that feeds another dense layer.

    The gradient of a bias is that of its units' sums. So the gradients of two consecutive biases differ by the matrix
    of the later layer and by the slope of the activation between them. ``gain`` is the size of a layer's sums for
    inputs of size 1.
    """
    pairs = _with_kernel_norms(network, _bounded(_layer_pairs(network)))
    through = pl.col("next_bias_norm") * pl.col("next_weights") / pl.col("next_units").sqrt()
    gain = pl.col("own_weights") / pl.col("bias_count").sqrt()
    return pairs.with_columns((pl.col("bias_norm") / through).alias("slope"), gain.alias("gain"))


def _dense_layers(network: Network) -> pl.DataFrame:
    """Return the gradients of layers with a bias and a kernel: a row for each layer and step.

    ``position`` is the rank of a layer in its run.
    """
    gradients = network.variables.filter(pl.col("family") == GRADIENTS).with_columns(
        pl.col("order").rank("dense").over("run").cast(pl.Int64).alias("position")
    )
    names = gradients["variable"].unique().to_list()
    keys = [*_STEP, "family", "layer", "position"]

    def columns_of(role: str, is_role: Callable[[str], bool], *columns: str) -> pl.DataFrame:
        rows = gradients.filter(pl.col("variable").is_in(list(filter(is_role, names))))
        return rows.select(*keys, *(pl.col(name).alias(f"{role}_{name}") for name in columns))

    biases = columns_of("bias", is_bias, "count", "norm", "nan_count")
    return biases.join(columns_of("kernel", is_kernel, "count", "norm"), keys, "inner")


def _layer_pairs(network: Network) -> pl.DataFrame:
    """Return dense layers with columns ``next_…`` for the dense layer that each one feeds."""
    dense = _dense_layers(network)
    following = dense.select(
        *_STEP,
        pl.col("position") - 1,
        pl.col("layer").alias("next_layer"),
        pl.col("bias_norm").alias("next_bias_norm"),
        pl.col("bias_count").alias("next_units"),
        pl.col("kernel_count").alias("next_kernel_count"),
        pl.col("kernel_norm").alias("next_kernel_norm"),
    )
    # One dense layer feeds another if the matrix between them has a number for each pair of units.
    pairs = dense.join(following, [*_STEP, "position"], "inner").filter(
        pl.col("next_kernel_count") == pl.col("bias_count") * pl.col("next_units"), pl.col("next_bias_norm") > 0
    )
    # If layers have the same size, shapes are not enough: an attention's keys and values do not follow its queries.
    known = pairs.select("run", "layer", "next_layer").unique()
    is_next = [
        follows(layer, next_layer, network.shapes.get((run, layer)), network.shapes.get((run, next_layer)))
        for run, layer, next_layer in known.iter_rows()
    ]
    return pairs.join(known.filter(pl.Series(is_next, dtype=pl.Boolean)), ["run", "layer", "next_layer"], "semi")


def _bounded(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs whose first layer may have a bounded activation, by the size of its outputs."""
    outputs = pl.col("next_kernel_norm") / pl.col("next_bias_norm") / pl.col("bias_count").sqrt()
    return pairs.filter((outputs.median().over("run", "layer") <= _MAX_BOUNDED_OUTPUT).fill_null(value=True))


def _with_kernel_norms(network: Network, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return pairs with the norms of the kernels of both layers at the nearest step, in the order of the log."""
    weights = network.variables.filter(pl.col("family") == WEIGHTS)
    kernels = list(filter(is_kernel, weights["variable"].unique().to_list()))
    norms = weights.filter(pl.col("variable").is_in(kernels)).select("run", "layer", "step", "norm").sort("step")
    # The two joins need rows sorted by step.
    rows = pairs.sort("position", "layer", maintain_order=True).with_row_index("row").sort("step", maintain_order=True)
    for column, layer in (("own_weights", "layer"), ("next_weights", "next_layer")):
        rows = rows.join_asof(
            norms.rename({"norm": column, "layer": layer}),
            on="step",
            by=["run", layer],
            strategy="nearest",
            check_sortedness=False,
        )
    return rows.sort("row")


def _find_by_slope(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    slope = pl.col("slope")
    # A layer with slope 0 is dead.
    hit = (slope <= thresholds["saturated_slope"]) & (slope > 0)
    return streaks(_slopes(network), hit.fill_null(value=False), slope, network.steps, "min")


def _find_by_weights(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    is_flat = (pl.col("slope") <= thresholds["saturated_weights_slope"]) & (pl.col("slope") > 0)
    hit = (pl.col("gain") >= thresholds["saturated_weights"]) & is_flat
    return streaks(_slopes(network), hit.fill_null(value=False), pl.col("gain"), network.steps, "max")


SATURATED_OUTPUTS: Final = Rule(
    "saturated",
    {"saturated_outputs": Threshold(0.8, "share of a layer's outputs near the bounds of tanh or sigmoid (minimum)")},
    _find_by_outputs,
    "{value:.1%} of the outputs are near the bounds of the activation",
    (ACTIVATIONS,),
)

SATURATED_SLOPE: Final = Rule(
    "saturated",
    {"saturated_slope": Threshold(0.02, "slope of a layer's activation, as its gradients show it (maximum)")},
    _find_by_slope,
    "the slope of the activation is {value:.2g}: little of the gradient passes",
    (GRADIENTS,),
)

SATURATED_WEIGHTS: Final = Rule(
    "saturated",
    {
        "saturated_weights": Threshold(5, "sum that a unit makes of inputs of size 1, by its weights (minimum)"),
        "saturated_weights_slope": Threshold(0.3, "slope of the activation there (maximum)"),
    },
    _find_by_weights,
    "inputs of size 1 sum to {value:.2g}, at which the activation is flat",
    (GRADIENTS,),
)
