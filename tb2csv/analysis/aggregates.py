"""Statistics of scalars across runs, one row per step: count, mean, deviation, min, median, max.

Within a run, the last value of a step is used. Runs may have different tags and steps: ``n`` is the number of runs with
a value at the step. ``alignment`` gives runs common steps, see alignment.py. Numbers are computed as float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.alignment import EXACT, Alignment, aligned
from tb2csv.analysis.bands import with_band
from tb2csv.errors import check_choice
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.time_series import Series, SeriesStats

#: The columns of an aggregate after its ``step``.
STATISTICS: Final = ("n", "mean", "std", "min", "median", "max")

#: How NaN is handled: ``keep`` makes the step's statistics NaN; ``omit`` drops the value, which lowers n.
NAN_POLICIES: Final = ("keep", "omit")


@dataclass(frozen=True, slots=True)
class AggregatedTag:
    """Facts about the values that the statistics of one tag were computed from."""

    tag: str
    #: The number of runs with the tag.
    runs: int
    steps: int
    #: The minimum and the maximum n of a step.
    least_n: int
    greatest_n: int
    #: The number of steps that some runs with the tag lack.
    partial_steps: int
    #: The number of values that a later one of the same run and step replaced.
    replaced: int
    #: The number of NaN among the other values.
    nan: int


class Aggregate(NamedTuple):
    """The statistics of some runs, sorted by series and step.

    ``frame`` has the columns ``series, step, wall_time`` and STATISTICS. ``series`` is an index of ``series`` and
    ``tags``. ``wall_time`` is the earliest of the step, in seconds since the epoch. ``std`` is that of a sample, which
    divides by n - 1; missing if n is 1. With a band, it also has the limits ``low`` and ``high``.
    """

    series: list[Series]
    tags: list[AggregatedTag]
    #: The type of each series' values on disk; float64 if the runs differ.
    dtypes: list[pl.DataType]
    frame: pl.DataFrame


def check_nan_policy(nan: str) -> None:
    """Raise OptionError if ``nan`` is not in NAN_POLICIES."""
    check_choice("treatment of NaN", nan, NAN_POLICIES)


def aggregate(
    runs: Iterable[Iterable[tuple[SeriesStats, pl.DataFrame]]],
    nan: str = "keep",
    *,
    alignment: Alignment = EXACT,
    band: str | None = None,
) -> Aggregate | None:
    """Return the statistics over runs, or None if they have no values.

    Args:
        runs: for each run its scalar series with their rows, ``wall_time, step, value``, in one part or in several.
            ``step`` may be a float64 of seconds.
        nan: one of NAN_POLICIES.
        alignment: how runs get common steps.
        band: the band whose limits to add; none by default.
    """
    collected = _collected(runs)
    if not collected.parts:
        return None
    everything = pl.concat(collected.parts, rechunk=False)
    values = last_of_steps(everything)
    counts = values.group_by("series").agg(
        pl.len(), pl.col("run").n_unique().alias("runs"), pl.col("value").is_nan().sum().alias("nan")
    )
    counts = counts.join(everything.group_by("series").agg(pl.len().alias("read")), "series")
    statistics = statistics_of(values, nan, alignment=alignment, band=band)
    tags = _tags(collected.series, counts, statistics)
    dtypes = [dtypes.pop() if len(dtypes) == 1 else pl.Float64() for dtypes in collected.dtypes]
    if alignment.method not in _KEEP_VALUES:
        dtypes = [pl.Float64() for _ in dtypes]
    return Aggregate(collected.series, tags, dtypes, statistics)


#: The alignments whose values are values of the log.
_KEEP_VALUES: Final = ("exact", "nearest")


def last_of_steps(values: pl.DataFrame) -> pl.DataFrame:
    """Return the last value of each step of each series and run."""
    return values.unique(["series", "run", "step"], keep="last", maintain_order=True)


def statistics_of(
    values: pl.DataFrame, nan: str = "keep", *, alignment: Alignment = EXACT, band: str | None = None
) -> pl.DataFrame:
    """Return the statistics of each series and step: ``series, step, wall_time``, STATISTICS, and the limits of a band.

    ``values`` has the columns ``series, run, wall_time, step, value``, with each step of a run at most once. The other
    arguments are those of ``aggregate``.
    """
    if nan == "omit":
        values = values.filter(pl.col("value").is_not_nan())
    values = aligned(values, alignment)
    statistics = _statistics(values)
    return with_band(statistics, values, band) if band else statistics


class _Collected(NamedTuple):
    """The rows of all runs. Columns ``series, run, wall_time, step, value``; ``series`` indexes the two lists."""

    series: list[Series]
    dtypes: list[set[pl.DataType]]
    parts: list[pl.DataFrame]


def _collected(runs: Iterable[Iterable[tuple[SeriesStats, pl.DataFrame]]]) -> _Collected:
    indices: dict[bytes, int] = {}
    collected = _Collected([], [], [])
    for run, rows in enumerate(runs):
        for stats, frame in rows:
            index = indices.setdefault(stats.series.tag_bytes, len(indices))
            if index == len(collected.series):
                collected.series.append(stats.series)
                collected.dtypes.append(set())
            collected.dtypes[index].add(frame.schema["value"])
            keys = (pl.lit(index, pl.UInt32).alias("series"), pl.lit(run, pl.UInt32).alias("run"))
            collected.parts.append(frame.select(*keys, "wall_time", "step", pl.col("value").cast(pl.Float64)))
    return collected


def _tags(series: list[Series], counts: pl.DataFrame, statistics: pl.DataFrame) -> list[AggregatedTag]:
    steps = (
        statistics.join(counts.select("series", "runs"), "series")
        .group_by("series")
        .agg(
            pl.len().alias("steps"),
            pl.col("n").min().alias("least_n"),
            pl.col("n").max().alias("greatest_n"),
            (pl.col("n") < pl.col("runs")).sum().alias("partial_steps"),
        )
    )
    facts = counts.join(steps, "series", "left").fill_null(0).sort("series")
    return [
        AggregatedTag(
            tag=each.tag,
            replaced=row["read"] - row["len"],
            **{name: row[name] for name in ("runs", "steps", "least_n", "greatest_n", "partial_steps", "nan")},
        )
        for each, row in zip(series, facts.iter_rows(named=True), strict=True)
    ]


def _statistics(values: pl.DataFrame) -> pl.DataFrame:
    """Return the statistics of each series and step."""
    value = pl.col("value")
    statistics = {
        "mean": value.mean(),
        "std": value.std(ddof=1),
        "min": value.min(),
        # polars' median of -inf and a number is NaN.
        "median": (value.quantile(0.5, "lower") + value.quantile(0.5, "higher")) / 2,
        "max": value.max(),
    }
    frame = (
        values.group_by("series", "step")
        .agg(
            pl.col("wall_time").min(),
            pl.len().cast(pl.Int64).alias("n"),
            value.is_nan().any().alias("has_nan"),
            *(expression.alias(name) for name, expression in statistics.items()),
        )
        .sort("series", "step")
    )
    # polars leaves NaN out of some of these, and sorts it last in others.
    std_is_nan = pl.col("has_nan") & (pl.col("n") > 1)
    nan = pl.lit(float("nan"))
    kept = [pl.when(pl.col("has_nan")).then(nan).otherwise(pl.col(name)).alias(name) for name in statistics]
    kept[1] = pl.when(std_is_nan).then(nan).otherwise(pl.col("std")).alias("std")
    return frame.with_columns(kept).select("series", "step", "wall_time", *STATISTICS)
