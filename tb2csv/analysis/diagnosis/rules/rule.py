"""What a rule is, and how it becomes findings: what is so at several steps running, and how bad it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from tb2csv.analysis.diagnosis.network import LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy.typing as npt
    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: The columns that a rule's findings have, in their order.
FOUND: Final = ("run", "family", "layer", "first_step", "last_step", "points", "observed", "value")
#: The column of a finding that has other words than its rule's; a rule need not have it.
MESSAGE: Final = "message"

#: Steps over which the median is taken that says at what level something was.
LEVEL_WINDOW: Final = 25


@dataclass(frozen=True)
class Threshold:
    """A number that a rule compares with; users may give another."""

    default: float
    #: What is compared with it, and how: the end of a sentence.
    meaning: str


@dataclass(frozen=True)
class Rule:
    """A sign of a fault."""

    #: What the fault is called.
    problem: str
    #: By name, the first of them the rule's own.
    thresholds: Mapping[str, Threshold]
    #: Returns FOUND, with MESSAGE or without; it is given the numbers of all thresholds, by their names.
    find: Callable[[Network, Mapping[str, float]], pl.DataFrame]
    #: What a finding says, with its number in the place of ``{value}``, and that without its sign of ``{size}``.
    message: str
    #: The families that the rule reads; without any of them, it is not called.
    families: tuple[str, ...]


class Found(NamedTuple):
    """A finding about a scalar: the columns FOUND, and the words if they are not those of the rule."""

    run: str
    family: str
    layer: str
    first_step: int
    last_step: int
    points: int
    observed: int
    value: float
    message: str | None = None


def found_frame(found: Iterable[Found]) -> pl.DataFrame:
    """Return findings about scalars as a frame: FOUND and MESSAGE."""
    import polars as pl

    schema: dict[str, pl.DataType] = {
        **dict.fromkeys(FOUND[:3], pl.String()),
        **dict.fromkeys(FOUND[3:7], pl.Int64()),
        FOUND[7]: pl.Float64(),
        MESSAGE: pl.String(),
    }
    return pl.DataFrame(list(found), schema, orient="row")


def in_streaks(hit: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.bool_]:
    """Return which values are hit as part of so many hits running."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hit, [False]])))
    starts, stops = edges[::2], edges[1::2]
    is_long = stops - starts >= steps
    change = np.zeros(hit.size + 1, np.int64)
    change[starts[is_long]] = 1
    change[stops[is_long]] = -1
    return np.cumsum(change[:-1]).astype(np.bool_)


def streaks(
    rows: pl.DataFrame,
    hit: pl.Expr,
    value: pl.Expr,
    steps: int,
    worst: Literal["min", "max"],
    keys: tuple[str, ...] = LAYER,
) -> pl.DataFrame:
    """Return FOUND for what is hit at so many steps running.

    Rows of one layer are adjacent, in the order of the log. A missing ``hit`` repeats the one of the step before.
    ``points`` are the steps that were hit so, of all that were ``observed``; ``value`` is the worst of them.
    """
    import polars as pl

    flagged = rows.with_columns(hit.alias("hit"), value.alias("value"), pl.len().over(keys).alias("observed"))
    flagged = flagged.with_columns(pl.col("hit").forward_fill().over(keys).fill_null(value=False))
    flagged = flagged.with_columns(pl.col("hit").rle_id().over(keys).alias("streak"))
    long = flagged.filter(pl.col("hit")).filter(pl.len().over(*keys, "streak") >= steps)
    # Steps at which there is no number make a streak longer, but are not counted among those that were hit.
    long = long.filter(pl.col("value").is_not_null())
    return long.group_by(keys, maintain_order=True).agg(
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.len().cast(pl.Int64).alias("points"),
        pl.col("observed").first().cast(pl.Int64),
        (pl.col("value").min() if worst == "min" else pl.col("value").max()).cast(pl.Float64).alias("value"),
    )
