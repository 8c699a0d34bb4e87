"""Find chains of layers by their names, shapes and gradients.

A log has the order of layers, but not their connections: two heads of one trunk are adjacent, as are two layers of a
chain. In a chain, gradients change by moderate factors from layer to layer. After an abrupt change, layers are assumed
to be parallel, unless shapes or numbered names show that one follows the other.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, WEIGHTS, is_bias, is_kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

#: What layers are compared within: one step of one run.
MOMENT: Final = ("run", "family", "step", "time")

#: Beyond this factor between two neighbouring layers, they need not be of one chain.
_ABRUPT: Final = 100
_NUMBERED: Final = re.compile(r"(?P<stem>.*?)[_-]?(?P<number>\d*)")


class Shape(NamedTuple):
    """The matrix of a layer, or its convolution with all places of the kernel together."""

    inputs: float
    units: float


def with_chains(rows: pl.DataFrame, shapes: Mapping[tuple[str, str], Shape]) -> pl.DataFrame:
    """Return the rows of layers with ``chain``, the number of the chain that a layer belongs to at its step.

    ``shapes`` are those of the layers that have one, by run and layer.
    """
    import polars as pl

    known = rows.filter(pl.col("scale") > 0).select(*MOMENT, "order", "layer", "scale")
    known = known.with_columns(
        pl.col("layer", "scale").shift(1).over(MOMENT, order_by="order").name.prefix("previous_")
    )
    pairs = known.select("run", "previous_layer", "layer").unique().drop_nulls()
    is_chain = [
        follows(before, after, shapes.get((run, before)), shapes.get((run, after)))
        for run, before, after in pairs.iter_rows()
    ]
    pairs = pairs.with_columns(pl.Series("follows", is_chain, pl.Boolean))
    change = (pl.col("scale") / pl.col("previous_scale")).log().abs()
    is_cut = ((change > math.log(_ABRUPT)) & ~pl.col("follows")).fill_null(value=False)
    known = known.join(pairs, ["run", "previous_layer", "layer"], "left").with_columns(
        is_cut.cast(pl.Int64).cum_sum().over(MOMENT, order_by="order").alias("chain")
    )
    chained = rows.join(known.select(*MOMENT, "layer", "chain"), [*MOMENT, "layer"], "left", maintain_order="left")
    # A layer without any gradient belongs to the one that comes after it.
    chain = pl.col("chain").backward_fill().forward_fill().over(MOMENT, order_by="order")
    return chained.with_columns(chain.fill_null(0).alias("chain"))


def follows(before: str, after: str, shape: Shape | None = None, next_shape: Shape | None = None) -> bool:
    """Return whether a layer certainly gets its inputs from the one before it in the log."""
    if shape and next_shape:
        has_same_inputs = next_shape.inputs == shape.inputs
        if next_shape.inputs % shape.units or (has_same_inputs and next_shape.inputs != shape.units):
            return False
        if not has_same_inputs:
            return True
    return _is_next(before, after)


def _is_next(before: str, after: str) -> bool:
    """Return whether two names differ first in a number that grows, as in ``conv_1`` and ``conv_2``."""
    parts = zip(re.split(r"[./]", before), re.split(r"[./]", after), strict=False)
    pair = next(((one, other) for one, other in parts if one != other), None)
    if pair is None:
        return False
    one, other = (_NUMBERED.fullmatch(part) for part in pair)
    if one is None or other is None:  # a name with a line break
        return False
    return one["stem"] == other["stem"] and int(one["number"] or 0) < int(other["number"] or 0)


def layer_shapes(variables: pl.DataFrame) -> dict[tuple[str, str], Shape]:
    """Return the shapes of the layers that have a kernel and a bias, by run and layer."""
    import polars as pl

    names = variables["variable"].unique().to_list()
    sizes = (
        variables.filter(pl.col("family").is_in((GRADIENTS, WEIGHTS)))
        .group_by("run", "layer")
        .agg(
            pl.col("count").filter(pl.col("variable").is_in([*filter(is_kernel, names)])).max().alias("kernel"),
            pl.col("count").filter(pl.col("variable").is_in([*filter(is_bias, names)])).max().alias("bias"),
        )
        .filter(pl.col("kernel") > 0, pl.col("bias") > 0)
    )
    return {
        (run, layer): Shape(kernel / bias, bias)
        for run, layer, kernel, bias in sizes.select("run", "layer", "kernel", "bias").iter_rows()
    }
