"""Per-layer quantities and losses of a network, extracted from its runs in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, STATISTICS, Quantity, TagFamilies
from tb2csv.analysis.diagnosis.tensor_statistics import TensorStatistics
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.late_modules import pl
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.selected_runs import read_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from tb2csv.decoders import TablePart
    from tb2csv.logdir import Logdir, Run
    from tb2csv.report import Report, RunReport, UndecodableEntry
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.run_batch import RunBatch
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.selection import Selection
    from tb2csv.time_series import Series


class Observations(NamedTuple):
    """Observed quantities.

    ``variables`` has a row for each variable, or other tensor, and step; if a variable has several sources, a row for
    each. Columns ``run, family, layer, variable, order, source, step, count, norm, rms, mean, std, min, max,
    zero_share, nan_count, inf_count, tanh_share, sigmoid_share``: ``order`` counts series as they appear in the log,
    ``source`` is ``tensor``, ``statistics`` or ``histogram``. NaN are counted in ``nan_count`` and left out of all
    other columns; unknown statistics are missing.

    ``scalars`` has all scalars that are not statistics, run by run in the order of their first values.
    """

    variables: pl.DataFrame
    scalars: list[ScalarSeries]
    report: Report


#: The columns of ``variables`` with statistics.
_STATISTICS: Final = (
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
    """Read the selected series of every run that belong to a known family."""

    def read(run: Run, report_bytes: Callable[[int], None]) -> _RunObservations:
        reader = RunReader(run, selection=selection, chunk_size=DEFAULT_CHUNK_SIZE, report_bytes=report_bytes)
        found = _RunObservations(reader.stats, families)
        for grouping in map(reader.group, reader.scan()):
            for item in reader.decode_grouping(grouping, found.has_quantity):
                _add({run.name: found}, item)
        return found

    def read_batch(batch: RunBatch, report_bytes: Callable[[int], None]) -> list[_RunObservations]:
        found = {run.run.name: _RunObservations(run.stats, families) for run in batch.runs}
        for item in batch.decode(is_wanted=lambda series: found[series.run].has_quantity(series.id)):
            report_bytes(0)  # the callback may raise to cancel
            _add(found, item)
        return list(found.values())

    found = read_runs(
        logdir, read, selection=selection, workers=workers, report_bytes=report_bytes, read_batch=read_batch
    )
    found.selected_series(run.stats for run in found.results)
    return Observations(
        _variables_frame(found.results),
        [series for run in found.results for series in run.scalars],
        found.report(run.report() for run in found.results),
    )


def _variables_frame(runs: list[_RunObservations]) -> pl.DataFrame:
    schema: dict[str, pl.DataType] = {
        **dict.fromkeys(("run", "family", "layer", "variable"), pl.String()),
        "order": pl.Int64(),
        "source": pl.String(),
        "step": pl.Int64(),
        **dict.fromkeys(_STATISTICS, pl.Float64()),
    }
    parts = [part for run in runs for part in run.variables()]
    return pl.concat([pl.DataFrame(schema=schema), *parts], how="diagonal_relaxed").select(*schema)


def _add(found: Mapping[str, _RunObservations], item: Rows | UndecodableValue) -> None:
    """Add the rows of one or more runs to what was found in them so far."""
    if isinstance(item, UndecodableValue):
        found[item.series.run].undecodable.append(item.entry)
        return
    is_scalars = item.series[0].kind == "scalars"
    columns = [item.part.frame[name].to_numpy() for name in ("step", "value")] if is_scalars else None
    bounds = item.bounds.tolist()
    for series, start, stop in zip(item.series, bounds, bounds[1:], strict=False):
        if start < stop:
            found[series.run].add(series, item.part, columns, start, stop)


class _RunObservations:
    """Observations of one run."""

    def __init__(self, stats: RunStats, families: TagFamilies) -> None:
        self.stats = stats
        self.undecodable: list[UndecodableEntry] = []
        self._families = families
        self._quantities: dict[int, Quantity | None] = {}
        self._tensors: dict[int, TensorStatistics] = {}
        self._statistics: dict[int, list[pl.DataFrame]] = {}
        self._scalars: dict[str, ScalarSeries] = {}

    def has_quantity(self, series_id: int) -> bool:
        """Return whether a series is selected and belongs to a known family."""
        if series_id not in self._quantities:
            stats = self.stats.series[series_id]
            series = stats.series
            found = self._families.quantity(series.run, series.tag, series.kind) if stats.is_selected else None
            self._quantities[series_id] = found
        return self._quantities[series_id] is not None

    def add(
        self, series: Series, part: TablePart, columns: list[npt.NDArray[Any]] | None, start: int, stop: int
    ) -> None:
        """Add rows of a series: those of the part from ``start`` up to ``stop``; ``columns`` has scalars as arrays."""
        quantity = self._quantities[series.id]
        assert quantity is not None
        if columns is None:
            self._tensor_statistics(series.id, quantity).add(part, start, stop)
        elif quantity.statistic:
            values = part.frame[start:stop].select("step", pl.col("value").cast(pl.Float64))
            self._statistics.setdefault(series.id, []).append(values)
        else:
            step, value = columns
            self._scalar_series(quantity).add(step[start:stop], value[start:stop])

    def _scalar_series(self, quantity: Quantity) -> ScalarSeries:
        if quantity.layer not in self._scalars:
            self._scalars[quantity.layer] = ScalarSeries(self.stats.run, quantity.family, quantity.layer)
        return self._scalars[quantity.layer]

    def _tensor_statistics(self, series_id: int, quantity: Quantity) -> TensorStatistics:
        if series_id not in self._tensors:
            self._tensors[series_id] = TensorStatistics(are_outputs=quantity.family == ACTIVATIONS)
        return self._tensors[series_id]

    @property
    def scalars(self) -> list[ScalarSeries]:
        """The scalars of this run that are not statistics."""
        return list(self._scalars.values())

    def variables(self) -> list[pl.DataFrame]:
        """Return the rows of this run's variables, in parts."""
        parts = []
        for series_id, statistics in self._tensors.items():
            frame = statistics.frame()
            if frame is not None:
                parts.append(self._with_keys(series_id, frame))
        return parts + self._statistics_rows()

    def _with_keys(self, series_id: int, frame: pl.DataFrame) -> pl.DataFrame:
        quantity = self._quantities[series_id]
        assert quantity is not None
        return frame.with_columns(
            pl.lit(self.stats.run).alias("run"),
            pl.lit(quantity.family).alias("family"),
            pl.lit(quantity.layer).alias("layer"),
            pl.lit(quantity.variable).alias("variable"),
            pl.lit(series_id, pl.Int64).alias("order"),
        )

    def _statistics_rows(self) -> list[pl.DataFrame]:
        """Return the rows of variables whose statistics were logged as scalars: a row for each step."""
        parts = []
        for series_id, values in self._statistics.items():
            quantity = self._quantities[series_id]
            assert quantity is not None
            frame = pl.concat(values).with_columns(pl.lit(quantity.statistic).alias("statistic"))
            # If a step was written twice, the first norm belongs to the first mean.
            parts.append(
                self._with_keys(series_id, frame.with_columns(pl.int_range(pl.len()).over("step").alias("repeat")))
            )
        if not parts:
            return []
        keys = ["family", "layer", "variable"]
        rows = pl.concat(parts).with_columns(pl.col("order").min().over(keys))
        found = rows.group_by(["run", *keys, "order", "step", "repeat"], maintain_order=True).agg(
            pl.col("value").filter(pl.col("statistic") == name).first().alias(name) for name in STATISTICS
        )
        return [_with_derived(found).with_columns(pl.lit("statistics").alias("source")).drop("repeat")]

    def report(self) -> RunReport:
        """Return the report of the run; nothing counts as written."""
        return self.stats.report(self.undecodable, values_filtered=self.stats.values_filtered)


def _with_derived(statistics: pl.DataFrame) -> pl.DataFrame:
    """Return logged statistics with ``rms`` and ``count`` derived from them; NaN and infinity become counts."""
    number = {name: pl.col(name) for name in STATISTICS}
    has_nan = pl.any_horizontal(number[name].is_nan() for name in ("norm", "mean", "std", "min", "max"))
    nan_count = pl.coalesce(number["nan_count"], has_nan.cast(pl.Float64), pl.lit(0.0))
    # A norm may be infinite because squares overflow; then the largest element is not.
    extremes = [number[name].is_infinite() for name in ("min", "max")]
    has_inf = pl.coalesce(pl.any_horizontal(extremes), number["norm"].is_infinite(), pl.lit(value=False))
    counted = statistics.with_columns(
        nan_count.alias("nan_count"), (has_inf & (nan_count == 0)).cast(pl.Float64).alias("inf_count")
    )
    cleaned = counted.with_columns(
        pl.when(number[name].is_finite()).then(number[name]).alias(name)
        for name in ("norm", "mean", "std", "min", "max")
    )
    rms = (number["mean"].pow(2) + number["std"].pow(2)).sqrt()
    elements = (number["norm"] / rms).pow(2)
    return cleaned.with_columns(
        rms.alias("rms"),
        # The same at all steps. The median avoids steps whose numbers are too large or too small to derive it from.
        pl.when(elements.is_finite())
        .then(elements)
        .median()
        .round()
        .over("family", "layer", "variable")
        .alias("count"),
    )
