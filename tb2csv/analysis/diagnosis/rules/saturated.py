"""Layers with a saturated activation: outputs at its bounds, or a slope near zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.layer_chains import follows
from tb2csv.analysis.diagnosis.rules.rule import Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, GRADIENTS, WEIGHTS, is_bias, is_kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: The outputs of a sigmoid come near to 1; those of a ReLU that only look like it end somewhere.
_NEAR_ONE: Final = 0.9
#: A layer with larger outputs has no tanh and no sigmoid. The gradient of a kernel is that of its bias times the inputs
#: of the layer, so that their ratio gives the outputs of the layer before: 0.4 to 1.5 for tanh and sigmoid,
#: 2.3 and more for a ReLU with weights that let it explode.
_BOUNDED: Final = 2


def _find_by_outputs(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    rows = network.family(ACTIVATIONS)
    # The last layer of a classifier is meant to give numbers near 0 and 1.
    rows = rows.filter(
        (pl.col("order") < pl.col("order").max().over("run")) | (pl.col("layer").n_unique().over("run") == 1)
    )
    least, greatest = pl.col("min"), pl.col("max")
    is_tanh = (least < 0) & (least >= -1) & (greatest <= 1)
    is_sigmoid = (least >= 0) & (greatest >= _NEAR_ONE) & (greatest <= 1) & (pl.col("zero_share").fill_null(0) == 0)
    share = pl.when(is_tanh).then("tanh_share").when(is_sigmoid).then("sigmoid_share")
    hit = (share >= thresholds["saturated_outputs"]).fill_null(value=False)
    return streaks(rows, hit, share, network.steps, "max")


def _slopes(network: Network) -> pl.DataFrame:
    """Return the slope of the activation of each dense layer that feeds another dense layer.

    The gradient of a bias is that of its units' sums. So the gradients of two biases differ by the matrix of the later
    layer and by the slope of the activation before it. ``gain`` is the size of the layer's sums for inputs of size 1.
    """
    import polars as pl

    variables = network.variables.filter(pl.col("family") == GRADIENTS)
    names = variables["variable"].unique().to_list()
    is_of = {
        "bias": pl.col("variable").is_in(list(filter(is_bias, names))),
        "kernel": pl.col("variable").is_in(list(filter(is_kernel, names))),
    }
    place = pl.col("order").rank("dense").over("run").cast(pl.Int64).alias("place")
    placed = variables.with_columns(place)
    moment = ["run", "step", "time"]

    def of(role: str, *columns: str) -> pl.DataFrame:
        renamed = {name: f"{role}_{name}" for name in columns}
        return placed.filter(is_of[role]).select(*moment, "family", "layer", "place", *columns).rename(renamed)

    dense = of("bias", "count", "norm", "nan_count").join(
        of("kernel", "count", "norm"), [*moment, "family", "layer", "place"], "inner"
    )
    behind = dense.select(
        *moment,
        pl.col("place") - 1,
        pl.col("layer").alias("behind"),
        pl.col("bias_norm").alias("behind_norm"),
        pl.col("bias_count").alias("behind_units"),
        pl.col("kernel_count").alias("behind_kernel"),
        pl.col("kernel_norm").alias("behind_kernel_norm"),
    )
    # One dense layer feeds another if the matrix between them has a number for each pair of units.
    pairs = dense.join(behind, [*moment, "place"], "inner").filter(
        pl.col("behind_kernel") == pl.col("bias_count") * pl.col("behind_units"), pl.col("behind_norm") > 0
    )
    # Of layers of one size the shapes do not show it: the keys and values of an attention are not its queries' next.
    known = pairs.select("run", "layer", "behind").unique()
    is_next = [
        follows(layer, behind, network.shapes.get((run, layer)), network.shapes.get((run, behind)))
        for run, layer, behind in known.iter_rows()
    ]
    pairs = pairs.join(known.filter(pl.Series(is_next, dtype=pl.Boolean)), ["run", "layer", "behind"], "semi")
    outputs = pl.col("behind_kernel_norm") / pl.col("behind_norm") / pl.col("bias_count").sqrt()
    pairs = pairs.filter((outputs.median().over("run", "layer") <= _BOUNDED).fill_null(value=True))
    weights = network.variables.filter(pl.col("family") == WEIGHTS)
    kernels = list(filter(is_kernel, weights["variable"].unique().to_list()))
    sizes = weights.filter(pl.col("variable").is_in(kernels)).select("run", "layer", "step", "norm").sort("step")
    # In the order of the steps for the two joins, in that of the log afterwards.
    pairs = (
        pairs.sort("place", "layer", maintain_order=True)
        .with_row_index("row")
        .sort("step", maintain_order=True)
        .join_asof(
            sizes.rename({"norm": "own"}), on="step", by=["run", "layer"], strategy="nearest", check_sortedness=False
        )
    )
    pairs = pairs.join_asof(
        sizes.rename({"norm": "next", "layer": "behind"}),
        on="step",
        by=["run", "behind"],
        strategy="nearest",
        check_sortedness=False,
    )
    through = pl.col("behind_norm") * pl.col("next") / pl.col("behind_units").sqrt()
    return pairs.with_columns(
        (pl.col("bias_norm") / through).alias("slope"), (pl.col("own") / pl.col("bias_count").sqrt()).alias("gain")
    ).sort("row")


def _find_by_slope(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    slope = pl.col("slope")
    # A layer with slope 0 is dead.
    hit = (slope <= thresholds["saturated_slope"]) & (slope > 0)
    return streaks(_slopes(network), hit.fill_null(value=False), slope, network.steps, "min")


def _find_by_weights(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

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
