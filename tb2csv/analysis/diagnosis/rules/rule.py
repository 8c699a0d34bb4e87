"""Diagnosis rules, and helpers that turn consecutive hits into findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tb2csv.analysis.diagnosis.network import LAYER_KEYS
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy.typing as npt

    from tb2csv.analysis.diagnosis.network import Network

#: The columns of a rule's findings, in order.
FINDING_COLUMNS: Final = ("run", "family", "layer", "first_step", "last_step", "points", "observed", "value")
#: Optional column that overrides the rule's message.
MESSAGE: Final = "message"

#: Window, in recorded steps, for the running median.
LEVEL_WINDOW: Final = 25


@dataclass(frozen=True)
class Threshold:
    """A number that a rule compares with; users can override it."""

    default: float
    #: Description of the compared quantity, for help texts.
    meaning: str


@dataclass(frozen=True)
class Rule:
    """A test for one symptom of a training problem."""

    #: The name of the problem in findings.
    problem: str
    #: By name; the first one is reported with findings.
    thresholds: Mapping[str, Threshold]
    #: Returns a frame with FINDING_COLUMNS, and optionally MESSAGE, from a network and all thresholds by name.
    find: Callable[[Network, Mapping[str, float]], pl.DataFrame]
    #: The message of a finding. ``{value}`` becomes its number, ``{size}`` the absolute value,
    #: and ``{times}`` "once" or "3 times".
    message: str
    #: The families that the rule reads. It runs if the log has any of them.
    families: tuple[str, ...]


class ScalarFinding(NamedTuple):
    """A finding about a scalar: FINDING_COLUMNS, and optionally MESSAGE. ``layer`` is the tag."""

    run: str
    family: str
    layer: str
    first_step: int
    last_step: int
    points: int
    observed: int
    value: float
    message: str | None = None


def findings_frame(findings: Iterable[ScalarFinding]) -> pl.DataFrame:
    """Return findings about scalars as a frame with FINDING_COLUMNS and MESSAGE."""
    schema: dict[str, pl.DataType] = {
        **dict.fromkeys(FINDING_COLUMNS[:3], pl.String()),
        **dict.fromkeys(FINDING_COLUMNS[3:7], pl.Int64()),
        FINDING_COLUMNS[7]: pl.Float64(),
        MESSAGE: pl.String(),
    }
    return pl.DataFrame(list(findings), schema, orient="row")


def in_streaks(hit: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.bool_]:
    """Return a mask of hits that belong to a streak of at least ``steps``."""
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
) -> pl.DataFrame:
    """Return FINDING_COLUMNS for layers with at least ``steps`` consecutive hits.

    Rows of one layer must be adjacent, in the order of the log. A missing ``hit`` repeats that of the step before.
    ``points`` counts the hits in such streaks, ``observed`` all steps; ``value`` is the worst of the hits.
    """
    flagged = rows.with_columns(hit.alias("hit"), value.alias("value"), pl.len().over(LAYER_KEYS).alias("observed"))
    flagged = flagged.with_columns(pl.col("hit").forward_fill().over(LAYER_KEYS).fill_null(value=False))
    flagged = flagged.with_columns(pl.col("hit").rle_id().over(LAYER_KEYS).alias("streak"))
    long = flagged.filter(pl.col("hit")).filter(pl.len().over(*LAYER_KEYS, "streak") >= steps)
    # Steps without a number extend a streak but do not count as hits.
    long = long.filter(pl.col("value").is_not_null())
    return long.group_by(LAYER_KEYS, maintain_order=True).agg(
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.len().cast(pl.Int64).alias("points"),
        pl.col("observed").first().cast(pl.Int64),
        (pl.col("value").min() if worst == "min" else pl.col("value").max()).cast(pl.Float64).alias("value"),
    )
