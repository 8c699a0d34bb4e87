"""What a log says of a network: a row for each quantity and step, for which every run is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.diagnosis.moments import SeriesMoments
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, LOSS, SCALARS, STATISTICS, Quantity, TagFamilies
from tb2csv.decoders import load_polars
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.executors import map_runs
from tb2csv.report import Report, RunReport, UndecodableEntry
from tb2csv.runs.run_reader import RunReader, UndecodableValue

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tb2csv.logdir import Logdir, Run
    from tb2csv.runs.run_reader import Rows
    from tb2csv.selection import Selection


class Observations(NamedTuple):
    """What was read.

    ``variables`` has a row for each variable, or other tensor, and step; of several sources of one variable, all.
    Columns ``run, family, layer, variable, order, source, step, count, norm, rms, mean, std, min, max, zero_share,
    nan_count, inf_count, tanh_share, sigmoid_share``: ``order`` counts series as they appear in the log, ``source`` is
    ``tensor``, ``statistics`` or ``histogram``. NaN are in none of the others, and what is not known is missing.

    ``scalars`` has ``run, family, tag, step, value``: losses, and of all other scalars those that are not finite.
    """

    variables: pl.DataFrame
    scalars: pl.DataFrame
    #: ``run, tag, points`` of all scalars that are no statistics.
    scalar_points: pl.DataFrame
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
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Observations:
    """Read what ``selection`` asks for and ``families`` knows, of all runs."""
    import polars as pl

    def read(run: Run, passed: Callable[[int], None]) -> _RunObservations:
        return _RunObservations(run, families, selection, passed)

    runs = map_runs(read, selection.choose_runs(logdir), workers=workers, on_bytes=on_bytes, meanwhile=load_polars)
    everything = [account for run in runs for account in run.reader.series if account.points]
    if everything and not any(account.is_selected for account in everything):
        selection.refuse_nothing(account.series for account in everything)
    return Observations(
        pl.concat([run.variables() for run in runs]),
        pl.concat([run.scalars() for run in runs]),
        pl.concat([run.scalar_points() for run in runs]),
        Report([run.report() for run in runs], logdir.damage),
    )


class _RunObservations:
    """What one run says."""

    def __init__(self, run: Run, families: TagFamilies, selection: Selection, passed: Callable[[int], None]) -> None:
        self.reader = RunReader(run, selection=selection, chunk_size=DEFAULT_CHUNK_SIZE, on_bytes=passed)
        self._families = families
        self._quantities: dict[int, Quantity | None] = {}
        self._moments: dict[int, SeriesMoments] = {}
        self._values: dict[int, list[pl.DataFrame]] = {}
        self._undecodable: list[UndecodableEntry] = []
        numbers: dict[int, int] = {}
        for grouping in map(self.reader.group, self.reader.scan()):
            numbers |= {id(self.reader.series[number]): number for number in grouping.present}
            for item in self.reader.decode_grouping(grouping, self._is_wanted):
                if isinstance(item, UndecodableValue):
                    entry = UndecodableEntry(item.series.run, item.series.tag, item.step, item.detail)
                    self._undecodable.append(entry)
                else:
                    self._add(item, [numbers[id(account)] for account in item.series])

    def _is_wanted(self, number: int) -> bool:
        account = self.reader.series[number]
        if number not in self._quantities:
            series = account.series
            is_asked = account.is_selected
            found = self._families.quantity(series.run, series.tag, series.kind) if is_asked else None
            self._quantities[number] = found
        return self._quantities[number] is not None

    def _add(self, rows: Rows, numbers: list[int]) -> None:
        import polars as pl

        for place, number in enumerate(numbers):
            start, stop = int(rows.bounds[place]), int(rows.bounds[place + 1])
            quantity = self._quantities[number]
            if quantity is None or start == stop:
                continue
            if rows.series[place].series.kind == "scalars":
                values = rows.piece.frame[start:stop].select("step", pl.col("value").cast(pl.Float64))
                if quantity.family == SCALARS:
                    values = values.filter(~pl.col("value").is_finite())
                self._values.setdefault(number, []).append(values)
            else:
                self._moments_of(number, quantity).add(rows.piece, start, stop)

    def _moments_of(self, number: int, quantity: Quantity) -> SeriesMoments:
        if number not in self._moments:
            self._moments[number] = SeriesMoments(are_outputs=quantity.family == ACTIVATIONS)
        return self._moments[number]

    def variables(self) -> pl.DataFrame:
        """Return the rows of this run's variables."""
        import polars as pl

        parts = []
        for number, moments in self._moments.items():
            frame = moments.frame()
            if frame is not None:
                parts.append(self._named(number, frame))
        parts += self._statistics()
        schema = dict.fromkeys(("run", "family", "layer", "variable"), pl.String)
        empty = pl.DataFrame(
            schema=schema
            | {"order": pl.Int64, "source": pl.String, "step": pl.Int64}
            | dict.fromkeys(_NUMBERS, pl.Float64)
        )
        return pl.concat([empty, *parts], how="diagonal_relaxed").select(empty.columns)

    def _named(self, number: int, frame: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        quantity = self._quantities[number]
        assert quantity is not None  # noqa: S101 - it was wanted
        return frame.with_columns(
            pl.lit(self.reader.run.name).alias("run"),
            pl.lit(quantity.family).alias("family"),
            pl.lit(quantity.layer).alias("layer"),
            pl.lit(quantity.variable).alias("variable"),
            pl.lit(number, pl.Int64).alias("order"),
        )

    def _statistics(self) -> list[pl.DataFrame]:
        """Return the rows that scalars of the seven statistics make together."""
        import polars as pl

        parts = []
        for number, values in self._values.items():
            quantity = self._quantities[number]
            if quantity is not None and quantity.statistic:
                frame = pl.concat(values).with_columns(pl.lit(quantity.statistic).alias("statistic"))
                # Where a step was written twice, the first norm belongs to the first mean.
                parts.append(self._named(number, frame.with_columns(pl.int_range(pl.len()).over("step").alias("time"))))
        if not parts:
            return []
        keys = ["family", "layer", "variable"]
        rows = pl.concat(parts).with_columns(pl.col("order").min().over(keys))
        found = rows.group_by(["run", *keys, "order", "step", "time"], maintain_order=True).agg(
            pl.col("value").filter(pl.col("statistic") == name).first().alias(name) for name in STATISTICS
        )
        return [_with_size(found).with_columns(pl.lit("statistics").alias("source")).drop("time")]

    def scalars(self) -> pl.DataFrame:
        """Return losses, and what is not finite of other scalars."""
        import polars as pl

        parts = []
        for number, values in self._values.items():
            quantity = self._quantities[number]
            if quantity is not None and not quantity.statistic:
                named = self._named(number, pl.concat(values)).rename({"layer": "tag"})
                parts.append(named.select("run", "family", "tag", "step", "value"))
        schema = {"run": pl.String, "family": pl.String, "tag": pl.String, "step": pl.Int64, "value": pl.Float64}
        return pl.concat([pl.DataFrame(schema=schema), *parts])

    def scalar_points(self) -> pl.DataFrame:
        """Return how many values each scalar has."""
        import polars as pl

        rows = [
            (self.reader.run.name, account.series.tag, account.points)
            for number, account in enumerate(self.reader.series)
            if (quantity := self._quantities.get(number)) and quantity.family in {LOSS, SCALARS}
        ]
        return pl.DataFrame(rows, {"run": pl.String, "tag": pl.String, "points": pl.Int64}, orient="row")

    def report(self) -> RunReport:
        """Return the account of the run; nothing counts as written."""
        return RunReport(
            self.reader.run.name,
            values_read=self.reader.values_read,
            values_filtered=self.reader.values_filtered,
            values_undecodable=len(self._undecodable),
            sources=self.reader.files,
            undecodable=self._undecodable,
            empty=self.reader.empty,
        )


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
        # The same at every step; there it is known best where the numbers are neither large nor small.
        pl.when(elements.is_finite())
        .then(elements)
        .median()
        .round()
        .over("family", "layer", "variable")
        .alias("count"),
    )
