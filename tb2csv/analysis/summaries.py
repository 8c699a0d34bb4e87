"""``summary``: one row of statistics for each series of a log directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.analysis.wide_summaries import DEFAULT_STATISTICS, wide_summary
from tb2csv.display import displayed
from tb2csv.errors import check_whole_number
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.late_modules import np, pl
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.scalar_statistics import reduced, statistics_frame
from tb2csv.runs.selected_runs import read_runs
from tb2csv.selection import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.logdir import LogdirSource, Run
    from tb2csv.report import Report, UndecodableEntry
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.run_batch import RunBatch
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.runs.scalar_statistics import Reduced
    from tb2csv.selection import Patterns, Selection
    from tb2csv.time_series import Series, SeriesStats


@displayed()
class Summary(NamedTuple):
    """The result of ``summary``.

    ``table`` has the columns ``run, tag, kind, dtype, points, first_step, last_step, first, last, min, min_step, max,
    max_step, mean, nan_count, inf_count, points_per_second``. Only scalars have those from ``first`` to ``inf_count``.
    ``points_per_second`` is the number of points after the first, divided by the seconds from the first to the last;
    missing if that is zero.

    ``first``, ``last``, ``min`` and ``max`` have the type of the values on disk if all series have the same type; else
    they are float64, which is exact except for integers beyond 2**53. NaN are counted, and left out of min, max and
    mean; infinities are included. The step of an extreme is that of its first occurrence.
    """

    table: pl.DataFrame
    #: For each row the points of a curve, in the order of the files; None if it is not a scalar. Empty by default.
    curves: list[npt.NDArray[np.float64]]
    report: Report

    def wide(self, statistics: str | Sequence[str] = DEFAULT_STATISTICS) -> pl.DataFrame:
        """Return one row for each run that has scalars, with columns for some statistics of each scalar tag.

        ``last`` of a tag has the tag's own name, another statistic ``<tag>:<statistic>``.

        Args:
            statistics: one or more columns of ``table`` from ``points`` on, in the order of the columns.

        Raises:
            OptionError: a statistic is unknown.
            Tb2csvError: no series is a scalar.
        """
        return wide_summary(self.table, statistics)

    def _display(self) -> Iterator[object]:
        yield f"<Summary: {len(self.table):,} series>"
        yield self.table
        yield self.report


def summary(
    logdir: LogdirSource,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    kind: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    curve_points: int = 0,
    workers: int | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Return points, steps, first, last, min, max and mean of every tag: a row for each tag of a run.

    All values are read and none are kept, so memory does not grow with the log.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        kind: one or more names of kinds; None selects all kinds.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        curve_points: evenly spaced values to keep of each scalar series: at most this many, and at least half.
        workers: the number of runs to read at once; by default one per processor.
        chunk_size: the number of bytes of an event file to hold in memory at once.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read.
        OptionError: a kind is unknown.
        Tb2csvError: nothing matches.
    """
    check_whole_number("curve_points", curve_points, 0)
    selected = select(selection, run=run, tag=tag, kind=kind, exclude_run=exclude_run, exclude_tag=exclude_tag)

    def read(run: Run, report_bytes: Callable[[int], None]) -> _RunSummary:
        reader = RunReader(run, selection=selected, chunk_size=chunk_size, report_bytes=report_bytes)
        summary = _RunSummary(reader.stats)
        for item in reader.decode("scalars"):
            summary.add(item, curve_points)
        return summary

    def read_batch(batch: RunBatch, report_bytes: Callable[[int], None]) -> list[_RunSummary]:
        summaries = {run.run.name: _RunSummary(run.stats) for run in batch.runs}
        for item in batch.decode("scalars"):
            report_bytes(0)  # the callback may raise to cancel
            series = item.series if isinstance(item, UndecodableValue) else item.series[0]
            # The rows of several runs stay together; it does not matter which run has them, as each series has its own.
            summaries[series.run].add(item, curve_points)
        return list(summaries.values())

    found = read_runs(
        logdir,
        read,
        selection=selected,
        workers=workers,
        report_bytes=progress,
        read_batch=read_batch,
        chunk_size=chunk_size,
    )
    chosen = found.selected_series(run.stats for run in found.results)
    table = _table(chosen, [part for run in found.results for part in run.parts])
    curves: list[npt.NDArray[np.float64]] = []
    if curve_points:
        known = {series: curve.points for run in found.results for series, curve in run.curves.items()}
        no_curve = np.zeros(0)
        curves = [known.get(stats.series, no_curve) for stats in chosen]
    report = found.report(
        run.stats.report(run.undecodable, values_filtered=run.stats.values_filtered) for run in found.results
    )
    return Summary(table, curves, report)


#: Columns with an attribute of the same name in ``Series``.
_SERIES_COLUMNS: Final = ("run", "tag", "kind")
#: Columns with an attribute of the same name in ``SeriesStats``.
_STATS_COLUMNS: Final = ("points", "first_step", "last_step")


@dataclass(slots=True)
class _RunSummary:
    """The statistics of one run so far."""

    stats: RunStats
    parts: list[Reduced] = field(default_factory=list)
    curves: dict[Series, _Curve] = field(default_factory=dict)
    undecodable: list[UndecodableEntry] = field(default_factory=list)

    def add(self, item: Rows | UndecodableValue, curve_points: int) -> None:
        if isinstance(item, UndecodableValue):
            self.undecodable.append(item.entry)
            return
        part = reduced(item)
        if part is None:
            return
        self.parts.append(part)
        if curve_points:
            values = item.part.frame["value"].to_numpy()
            for i, series in enumerate(item.series):
                curve = self.curves.setdefault(series, _Curve(curve_points))
                curve.add(values[item.bounds[i] : item.bounds[i + 1]])


class _Curve:
    """Evenly spaced values of a series of unknown length: every n-th, with n doubled when needed."""

    __slots__ = ("_limit", "_seen", "_stride", "points")

    def __init__(self, limit: int) -> None:
        self.points = np.zeros(0)
        self._limit = limit
        self._stride = 1
        self._seen = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        first = -self._seen % self._stride
        # If many more values come than are kept, the stride grows before they are copied.
        while (len(self.points) + len(range(first, len(values), self._stride))) > self._limit:
            self.points = self.points[::2]
            self._stride *= 2
            first = -self._seen % self._stride
        self.points = np.concatenate((self.points, values[first :: self._stride].astype(np.float64)))
        self._seen += len(values)


def _table(chosen: list[SeriesStats], parts: list[Reduced]) -> pl.DataFrame:
    columns = pl.DataFrame(
        {
            **{
                name: pl.Series([getattr(stats.series, name) for stats in chosen], dtype=pl.String)
                for name in _SERIES_COLUMNS
            },
            **{name: pl.Series([getattr(stats, name) for stats in chosen], dtype=pl.Int64) for name in _STATS_COLUMNS},
            "seconds": pl.Series([stats.last_wall_time - stats.first_wall_time for stats in chosen], dtype=pl.Float64),
        }
    )
    scalars, statistics = statistics_frame(parts)
    # A left join leaves the rows of series without values empty.
    row_of = {series: row for row, series in enumerate(scalars)}
    row = pl.Series("row", [row_of.get(stats.series) for stats in chosen], dtype=pl.UInt32)
    joined = columns.with_columns(row).join(statistics.with_row_index("row"), "row", "left", maintain_order="left")
    seconds = pl.col("seconds")
    rate = pl.when(seconds > 0, seconds.is_finite()).then((pl.col("points") - 1) / seconds)
    return joined.select(
        *_SERIES_COLUMNS,
        "dtype",
        *_STATS_COLUMNS,
        *("first", "last", "min", "min_step", "max", "max_step", "mean", "nan_count", "inf_count"),
        rate.alias("points_per_second"),
    )


def with_short_numbers(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table of a Summary for writing, with the shortest text of a float32 in a float64 column.

    0.1 as a float32 is 0.10000000149011612 as a float64. The shortest text that reads back to the float32 is 0.1.
    """
    short = {
        name: pl.col(name).cast(pl.Float32).cast(pl.String).cast(pl.Float64)
        for name in ("first", "last", "min", "max")
        if table.schema[name] == pl.Float64
    }
    is_single = pl.col("dtype") == "float32"
    return table.with_columns(
        pl.when(is_single).then(number).otherwise(pl.col(name)).alias(name) for name, number in short.items()
    )
