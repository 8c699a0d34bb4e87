"""Read the observations of a network from its log: a row for each quantity and step; every run is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, STATISTICS, Quantity, TagFamilies
from tb2csv.analysis.diagnosis.tensor_statistics import SeriesMoments
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.selected_runs import read_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tb2csv.logdir import Logdir, Run
    from tb2csv.report import Report, RunReport, UndecodableEntry
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.selection import Selection


class Observations(NamedTuple):
    """What was read.

    ``variables`` has a row for each variable, or other tensor, and step; of several sources of one variable, all.
    Columns ``run, family, layer, variable, order, source, step, count, norm, rms, mean, std, min, max, zero_share,
    nan_count, inf_count, tanh_share, sigmoid_share``: ``order`` counts series as they appear in the log, ``source`` is
    ``tensor``, ``statistics`` or ``histogram``. NaN are in none of the others, and what is not known is missing.

    ``scalars`` has all scalars that are not statistics, run by run in the order of their first values.
    """

    variables: pl.DataFrame
    scalars: list[ScalarSeries]
    report: Report


_NUMBERS: Final = (
    "count",
    "norm",
    "rms",
    "mean",
    "std",
    "min",
    "max",
    "zero_share",
    "nan_count",
    "inf_count",
    "tanh_share",
    "sigmoid_share",
)


def observe(
    logdir: Logdir,
    families: TagFamilies,
    selection: Selection,
    *,
    workers: int | None = None,
    report_bytes: Callable[[int], None] = lambda _: None,
) -> Observations:
    """Read what ``selection`` asks for and ``families`` knows, of all runs."""

    def read(run: Run, report_bytes: Callable[[int], None]) -> _RunObservations:
        return _RunObservations(run, families, selection, report_bytes)

    found = read_runs(logdir, read, selection=selection, workers=workers, report_bytes=report_bytes)
    found.selected_series(run.reader.stats for run in found.results)
    return Observations(
        _variables(found.results),
        [series for run in found.results for series in run.scalars],
        found.report(run.report() for run in found.results),
    )


def _variables(runs: list[_RunObservations]) -> pl.DataFrame:
    import polars as pl

    schema: dict[str, pl.DataType] = {
        **dict.fromkeys(("run", "family", "layer", "variable"), pl.String()),
        "order": pl.Int64(),
        "source": pl.String(),
        "step": pl.Int64(),
        **dict.fromkeys(_NUMBERS, pl.Float64()),
    }
    parts = [part for run in runs for part in run.variables()]
    return pl.concat([pl.DataFrame(schema=schema), *parts], how="diagonal_relaxed").select(*schema)


class _RunObservations:
    """What one run says."""

    def __init__(
        self, run: Run, families: TagFamilies, selection: Selection, report_bytes: Callable[[int], None]
    ) -> None:
        self.reader = RunReader(run, selection=selection, chunk_size=DEFAULT_CHUNK_SIZE, report_bytes=report_bytes)
        self._families = families
        self._quantities: dict[int, Quantity | None] = {}
        self._moments: dict[int, SeriesMoments] = {}
        self._statistics: dict[int, list[pl.DataFrame]] = {}
        self._scalars: dict[str, ScalarSeries] = {}
        self._undecodable: list[UndecodableEntry] = []
        for grouping in map(self.reader.group, self.reader.scan()):
            for item in self.reader.decode_grouping(grouping, self._is_wanted):
                if isinstance(item, UndecodableValue):
                    self._undecodable.append(item.entry)
                else:
                    self._add(item)

    def _is_wanted(self, number: int) -> bool:
        if number not in self._quantities:
            stats = self.reader.stats.series[number]
            series = stats.series
            found = self._families.quantity(series.run, series.tag, series.kind) if stats.is_selected else None
            self._quantities[number] = found
        return self._quantities[number] is not None

    def _add(self, rows: Rows) -> None:
        import polars as pl

        is_of_scalars = rows.series[0].kind == "scalars"
        columns = {name: rows.part.frame[name].to_numpy() for name in ("step", "value")} if is_of_scalars else {}
        for place, series in enumerate(rows.series):
            start, stop = int(rows.bounds[place]), int(rows.bounds[place + 1])
            quantity = self._quantities[series.id]
            if quantity is None or start == stop:
                continue
            if series.kind != "scalars":
                self._moments_of(series.id, quantity).add(rows.part, start, stop)
            elif quantity.statistic:
                values = rows.part.frame[start:stop].select("step", pl.col("value").cast(pl.Float64))
                self._statistics.setdefault(series.id, []).append(values)
            else:
                self._series_of(quantity).add(columns["step"][start:stop], columns["value"][start:stop])

    def _series_of(self, quantity: Quantity) -> ScalarSeries:
        if quantity.layer not in self._scalars:
            self._scalars[quantity.layer] = ScalarSeries(self.reader.run.name, quantity.family, quantity.layer)
        return self._scalars[quantity.layer]

    def _moments_of(self, number: int, quantity: Quantity) -> SeriesMoments:
        if number not in self._moments:
            self._moments[number] = SeriesMoments(are_outputs=quantity.family == ACTIVATIONS)
        return self._moments[number]

    @property
    def scalars(self) -> list[ScalarSeries]:
        """The scalars of this run that are not statistics."""
        return list(self._scalars.values())

    def variables(self) -> list[pl.DataFrame]:
        """Return the rows of this run's variables, in parts."""
        parts = []
        for number, moments in self._moments.items():
            frame = moments.frame()
            if frame is not None:
                parts.append(self._named(number, frame))
        return parts + self._of_statistics()

    def _named(self, number: int, frame: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        quantity = self._quantities[number]
        assert quantity is not None
        return frame.with_columns(
            pl.lit(self.reader.run.name).alias("run"),
            pl.lit(quantity.family).alias("family"),
            pl.lit(quantity.layer).alias("layer"),
            pl.lit(quantity.variable).alias("variable"),
            pl.lit(number, pl.Int64).alias("order"),
        )

    def _of_statistics(self) -> list[pl.DataFrame]:
        """Return the rows that scalars of the seven statistics make together."""
        import polars as pl

        parts = []
        for number, values in self._statistics.items():
            quantity = self._quantities[number]
            assert quantity is not None
            frame = pl.concat(values).with_columns(pl.lit(quantity.statistic).alias("statistic"))
            # If a step was written twice, the first norm belongs to the first mean.
            parts.append(self._named(number, frame.with_columns(pl.int_range(pl.len()).over("step").alias("time"))))
        if not parts:
            return []
        keys = ["family", "layer", "variable"]
        rows = pl.concat(parts).with_columns(pl.col("order").min().over(keys))
        found = rows.group_by(["run", *keys, "order", "step", "time"], maintain_order=True).agg(
            pl.col("value").filter(pl.col("statistic") == name).first().alias(name) for name in STATISTICS
        )
        return [_with_size(found).with_columns(pl.lit("statistics").alias("source")).drop("time")]

    def report(self) -> RunReport:
        """Return the account of the run; nothing counts as written."""
        stats = self.reader.stats
        return stats.report(self._undecodable, values_filtered=stats.values_filtered)


def _with_size(statistics: pl.DataFrame) -> pl.DataFrame:
    """Return recorded statistics with what follows from them, and NaN only as a count."""
    import polars as pl

    number = {name: pl.col(name) for name in STATISTICS}
    is_odd = pl.any_horizontal(number[name].is_nan() for name in ("norm", "mean", "std", "min", "max"))
    nan_count = pl.coalesce(number["nan_count"], is_odd.cast(pl.Float64), pl.lit(0.0))
    # A norm may be infinite because squares overflow; then the greatest element is not.
    extremes = [number[name].is_infinite() for name in ("min", "max")]
    is_inf = pl.coalesce(pl.any_horizontal(extremes), number["norm"].is_infinite(), pl.lit(value=False))
    counted = statistics.with_columns(
        nan_count.alias("nan_count"), (is_inf & (nan_count == 0)).cast(pl.Float64).alias("inf_count")
    )
    cleaned = counted.with_columns(
        pl.when(number[name].is_finite()).then(number[name]).alias(name)
        for name in ("norm", "mean", "std", "min", "max")
    )
    rms = (number["mean"].pow(2) + number["std"].pow(2)).sqrt()
    elements = (number["norm"] / rms).pow(2)
    return cleaned.with_columns(
        rms.alias("rms"),
        # Equal at all steps; numbers that are neither large nor small give it best.
        pl.when(elements.is_finite())
        .then(elements)
        .median()
        .round()
        .over("family", "layer", "variable")
        .alias("count"),
    )
