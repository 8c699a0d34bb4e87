"""Chains of layers, inferred from names, shapes and gradients.

A log has the order of layers, but not their connections: two heads of one trunk are adjacent, as are two layers of a
chain. In a chain, gradients change by moderate factors from layer to layer. After an abrupt change, layers are assumed
to be parallel, unless shapes or numbered names show that one follows the other.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.diagnosis.tag_families import GRADIENTS, WEIGHTS, is_bias, is_kernel
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Mapping


#: The columns that identify one step of a family; layers are compared within it.
STEP_KEYS: Final = ("run", "family", "step", "repeat")

#: If gradients of neighbouring layers differ by more than this factor, the layers may be in different chains.
_ABRUPT_FACTOR: Final = 100
_NUMBERED: Final = re.compile(r"(?P<stem>.*?)[_-]?(?P<number>\d*)")


class Shape(NamedTuple):
    """The shape of a layer's kernel; a convolution has the inputs of all positions of its kernel."""

    #: The number of inputs of each unit.
    inputs: float
    units: float


def with_chains(rows: pl.DataFrame, shapes: Mapping[tuple[str, str], Shape]) -> pl.DataFrame:
    """Return the rows of layers with the column ``chain``, the number of the layer's chain at this step.

    ``shapes`` has the known shapes by run and layer.
    """
    known = rows.filter(pl.col("scale") > 0).select(*STEP_KEYS, "order", "layer", "scale")
    known = known.with_columns(
        pl.col("layer", "scale").shift(1).over(STEP_KEYS, order_by="order").name.prefix("previous_")
    )
    pairs = known.select("run", "previous_layer", "layer").unique().drop_nulls()
    is_following = [
        follows(before, after, shapes.get((run, before)), shapes.get((run, after)))
        for run, before, after in pairs.iter_rows()
    ]
    pairs = pairs.with_columns(pl.Series("follows", is_following, pl.Boolean))
    change = (pl.col("scale") / pl.col("previous_scale")).log().abs()
    is_cut = ((change > math.log(_ABRUPT_FACTOR)) & ~pl.col("follows")).fill_null(value=False)
    known = known.join(pairs, ["run", "previous_layer", "layer"], "left").with_columns(
        is_cut.cast(pl.Int64).cum_sum().over(STEP_KEYS, order_by="order").alias("chain")
    )
    chained = rows.join(
        known.select(*STEP_KEYS, "layer", "chain"), [*STEP_KEYS, "layer"], "left", maintain_order="left"
    )
    # A layer without any gradient is in the chain of the layer after it.
    chain = pl.col("chain").backward_fill().forward_fill().over(STEP_KEYS, order_by="order")
    return chained.with_columns(chain.fill_null(0).alias("chain"))


def follows(before: str, after: str, shape_before: Shape | None = None, shape_after: Shape | None = None) -> bool:
    """Return whether layer ``after`` certainly gets its inputs from layer ``before``, which precedes it in the log."""
    if shape_before and shape_after:
        has_same_inputs = shape_after.inputs == shape_before.inputs
        if shape_after.inputs % shape_before.units or (has_same_inputs and shape_after.inputs != shape_before.units):
            return False
        if not has_same_inputs:
            return True
    return _has_next_number(before, after)


def _has_next_number(before: str, after: str) -> bool:
    """Return whether the first difference of two names is a larger number, as in ``conv_1`` and ``conv_2``."""
    parts = zip(re.split(r"[./]", before), re.split(r"[./]", after), strict=False)
    pair = next(((first, second) for first, second in parts if first != second), None)
    if pair is None:
        return False
    first, second = (_NUMBERED.fullmatch(part) for part in pair)
    if first is None or second is None:  # a name with a line break
        return False
    return first["stem"] == second["stem"] and int(first["number"] or 0) < int(second["number"] or 0)


def layer_shapes(variables: pl.DataFrame) -> dict[tuple[str, str], Shape]:
    """Return the shapes of layers with a kernel and a bias, by run and layer."""
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
