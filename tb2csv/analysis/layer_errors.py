"""``layer_errors``: a wide table with a row for each batch and layer, or each sample of it, and a column for each unit.

Layer errors are tensors with tags ``layer_errors/<layer>``, as ``tb2csv.recorders`` writes them: [sample, unit], or
[unit] if they were summed over the batch. A run is read once for the shapes of its tensors, and again for their
elements, in ranges of steps that fit in memory.
"""

from __future__ import annotations

import functools
import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.decoders import DecodeOptions
from tb2csv.display import count, displayed
from tb2csv.errors import LogdirError, OptionError, Tb2csvError
from tb2csv.late_modules import np, pl
from tb2csv.messages import Function, Option, advice
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.row_selection import RowSelection
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.scanned_run import ScannedRun
from tb2csv.runs.selected_runs import read_runs
from tb2csv.selection import raise_no_match, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.logdir import LogdirSource, Run
    from tb2csv.report import Report, RunReport, UndecodableEntry
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.selection import Patterns, Selection
    from tb2csv.time_series import Series

#: The prefix of the tags, before the layer.
LAYER_ERRORS: Final = "layer_errors/"
#: The tag of the scalar with the epoch of a batch.
EPOCH_TAG: Final = "batch/epoch"

#: What has a row, the default first: a sample of a batch in a layer, or the mean of all samples of the batch.
PER: Final = ("sample", "batch")

#: The maximum number of cells in memory, unless a single step has more.
_CELLS: Final = 1 << 24


class _Shape(NamedTuple):
    """The shape of the errors of one step of one layer in the table."""

    #: The number of samples of the batch; None if the errors are sums.
    samples: int | None
    units: int

    @classmethod
    def of(cls, text: str) -> _Shape:
        """Return the shape of a tensor whose sizes are separated by commas."""
        sizes = [int(size) for size in text.split(",") if size]
        if len(sizes) > 1:
            return cls(sizes[0], math.prod(sizes[1:]))
        return cls(None, math.prod(sizes))

    @property
    def rows(self) -> int:
        return 1 if self.samples is None else self.samples


@dataclass(slots=True)
class _RunErrors:
    """The layer errors of one run without their elements, from the first reading."""

    scanned: ScannedRun
    min_step: int | None
    max_step: int | None
    #: The step of each tensor.
    steps: list[npt.NDArray[np.int64]] = field(default_factory=list)
    #: The number of rows of each tensor.
    rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    shapes: set[_Shape] = field(default_factory=set)
    dtypes: set[str] = field(default_factory=set)
    epochs: list[pl.DataFrame] = field(default_factory=list)
    undecodable: list[UndecodableEntry] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.scanned.run.name

    def read_shapes(self, is_wanted: Callable[[Series], bool]) -> None:
        """Read the shapes of the tensors at each step, and the epochs of the batches."""

        def is_read(series: Series) -> bool:
            return is_wanted(series) or _is_epoch(series)

        for item in self.scanned.decode(is_read, RowSelection(self.min_step, self.max_step)):
            if isinstance(item, UndecodableValue):
                self.undecodable.append(item.entry)
            elif _is_epoch(item.series[0]):
                self.epochs.append(item.part.frame.select("step", epoch="value"))
            else:
                self._add_shapes(item.part.frame)

    def _add_shapes(self, frame: pl.DataFrame) -> None:
        shapes = {text: _Shape.of(text) for text in frame["shape"].unique()}
        self.shapes |= set(shapes.values())
        self.dtypes |= set(frame["dtype"].unique())
        self.steps.append(frame["step"].to_numpy())
        self.rows.append(np.array([shapes[text].rows for text in frame["shape"]], np.int64))

    def windows(self, width: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of steps, both ends included, whose rows fit in memory."""
        if not self.steps:
            return
        steps, rows = np.concatenate(self.steps), np.concatenate(self.rows)
        known, number = np.unique(steps, return_inverse=True)
        cells = np.cumsum(np.bincount(number, rows)) * max(width, 1)
        window = (cells / _CELLS).astype(np.int64)
        begins = np.flatnonzero(np.diff(window, prepend=-1))
        ends = np.append(begins[1:], len(known)) - 1
        yield from zip(known[begins].tolist(), known[ends].tolist(), strict=True)

    def report(self) -> RunReport:
        """Return the report of the run; nothing counts as written."""
        return self.scanned.stats.report(self.undecodable)


@displayed(is_brief=True)
class LayerErrorTable:
    """The wide table; ``schema`` is available at once, and ``pieces`` reads the rows.

    Columns: ``run`` if several runs have layer errors; ``epoch``, missing if the log does not have it; ``batch``, which
    is the step; ``layer``; ``sample``, the number of a sample in its batch, if errors have samples and rows are not per
    batch, and missing if they are sums; ``error_0`` … for each unit of the widest layer, missing after a layer's last
    unit. Rows are in the order of runs, batches, layers as they appear in the log, and samples.
    """

    def __init__(
        self, runs: Sequence[_RunErrors], is_wanted: Callable[[Series], bool], per: str, report: Report
    ) -> None:
        """Make the table of the layer errors of these runs; ``per`` is one of PER."""
        self.report = report
        self._is_mean = per == "batch"
        self._runs = [run for run in runs if run.steps]
        self._is_wanted = is_wanted
        shapes = set().union(*(run.shapes for run in self._runs))
        self._width = max(shape.units for shape in shapes)
        dtypes = set().union(*(run.dtypes for run in self._runs))
        if any(name.startswith("complex") for name in dtypes):
            raise Tb2csvError(
                "Complex layer errors have no wide table",
                advice("{} writes their real and imaginary parts", Function("convert")),
            )
        if self._is_mean and any(shape.samples is None for shape in shapes):
            raise Tb2csvError(
                "Layer errors that were summed over the samples of a batch have no mean",
                advice("leave out {}", Option("per", per)),
                advice("select other layers with {}", "tag"),
            )
        has_samples = not self._is_mean and any(shape.samples is not None for shape in shapes)
        number = pl.Float32 if dtypes == {"float32"} else pl.Float64
        epochs = [frame["epoch"] for run in self._runs for frame in run.epochs]
        is_whole = all(bool((column == column.floor()).all()) for column in epochs)
        columns: dict[str, type[pl.DataType]] = {
            **({"run": pl.String} if len(self._runs) > 1 else {}),
            "epoch": pl.Int64 if is_whole else pl.Float64,
            "batch": pl.Int64,
            "layer": pl.String,
            **({"sample": pl.Int64} if has_samples else {}),
        }
        self.schema = pl.Schema(columns | {f"error_{unit}": number for unit in range(self._width)})

    @property
    def table(self) -> pl.DataFrame:
        """All rows in one frame; they are read anew each time, and held in memory at once."""
        return pl.concat([self.schema.to_frame(), *self.pieces()])

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return ``table`` as an Arrow C stream, which pyarrow, DuckDB, pandas and others read without copies."""
        return self.table.__arrow_c_stream__(requested_schema)

    def _display(self) -> Iterator[object]:
        runs = ", ".join(repr(run.name) for run in self._runs)
        yield f"<LayerErrorTable of {runs}: {count(len(self.schema), 'column')}, units up to {self._width:,}>"
        yield self.report

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield the rows, some steps of a run at a time."""
        for run in self._runs:
            epochs = None
            if run.epochs:
                # A batch that was recorded again after a restart has its last epoch.
                epochs = pl.concat(run.epochs, how="vertical_relaxed").unique("step", keep="last", maintain_order=True)
            for first, last in run.windows(self._width):
                frame = self._rows(run, first, last)
                if epochs is None:
                    frame = frame.with_columns(pl.lit(None).alias("epoch"))
                else:
                    frame = frame.join(epochs, left_on="batch", right_on="step", how="left", maintain_order="left")
                yield _fitted(frame, self.schema)

    def _rows(self, run: _RunErrors, first: int, last: int) -> pl.DataFrame:
        """Return the rows of some steps, without their epochs."""
        found: list[_Tensor] = []
        for item in run.scanned.decode(self._is_wanted, RowSelection(first, last)):
            if not isinstance(item, UndecodableValue):
                found += filter(None, map(_mean, _tensors(item))) if self._is_mean else _tensors(item)
        found.sort(
            key=lambda each: (each.step, each.series.id)
        )  # stable: errors of one step and layer stay in the order of the log
        by_width: dict[tuple[int, str], list[tuple[int, _Tensor]]] = {}
        for order, each in enumerate(found):
            by_width.setdefault((each.shape.units, each.array.dtype.name), []).append((order, each))
        parts = [_rows_of_width(units, tensors) for (units, _), tensors in by_width.items()]
        rows = pl.concat(parts, how="diagonal_relaxed").sort("order", maintain_order=True)
        return rows.with_columns(pl.lit(run.name).alias("run"))


def layer_errors(
    logdir: LogdirSource,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    per: str = PER[0],
    min_step: int | None = None,
    max_step: int | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> LayerErrorTable:
    """Return the layer errors of a log directory as one wide table.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        per: ``sample`` for a row for each sample of a batch in a layer, or ``batch`` for the mean over its samples.
        min_step: the first batch.
        max_step: the last batch.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read, or no layer errors in it.
        OptionError: ``per`` is neither.
        Tb2csvError: nothing is selected, errors are complex numbers, or they have no mean because they are sums.
    """
    if per not in PER:
        message = f"Layer errors have a row per {' or '.join(PER)}, not per {per!r}."
        raise OptionError(message)
    selected = select(selection, run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)

    def is_wanted(series: Series) -> bool:
        is_tensor = series.kind == "tensors" and series.tag.startswith(LAYER_ERRORS)
        return is_tensor and selected.includes(series.tag, series.kind)

    def read(run: Run, report_bytes: Callable[[int], None]) -> _RunErrors:
        options = DecodeOptions(tensors="npy", limits=run.limits)
        scanned = ScannedRun(run, new_reader=functools.partial(RunReader, options=options))
        scanned.refresh(report_bytes=report_bytes)
        errors = _RunErrors(scanned, min_step, max_step)
        if any(is_wanted(stats.series) for stats in scanned.stats.series):
            errors.read_shapes(is_wanted)
        return errors

    found = read_runs(logdir, read, selection=selected, workers=workers, report_bytes=progress)
    runs = found.results
    if not any(run.steps for run in runs):
        series = [stats.series for run in runs for stats in run.scanned.stats.series]
        recorded = [each for each in series if each.kind == "tensors" and each.tag.startswith(LAYER_ERRORS)]
        if recorded and not any(selected.includes(each.tag, each.kind) for each in recorded):
            raise_no_match(selected, recorded)
        message = (
            f"{found.logdir.path} has no selected layer errors: "
            f"they are tensors with tags {LAYER_ERRORS}<layer>; "
            "record them with TrainingRecorder(layer_errors_every=…) or record_layer_errors."
        )
        raise LogdirError(message)
    return LayerErrorTable(runs, is_wanted, per, found.report(run.report() for run in runs))


class _Tensor(NamedTuple):
    """The errors of one layer at one step."""

    step: int
    series: Series
    layer: str
    shape: _Shape
    array: npt.NDArray[Any]


def _fitted(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return the columns of ``schema``, null if the frame lacks them; as columns, because there are many."""
    missing = {dtype: pl.Series([None], dtype=dtype).new_from_index(0, len(frame)) for dtype in set(schema.values())}
    known = set(frame.columns)
    return pl.DataFrame(
        [
            frame.get_column(name).cast(dtype) if name in known else missing[dtype].alias(name)
            for name, dtype in schema.items()
        ]
    )


def _is_epoch(series: Series) -> bool:
    return series.kind == "scalars" and series.tag == EPOCH_TAG


def _tensors(rows: Rows) -> Iterator[_Tensor]:
    """Yield the tensors of rows in the layout ``npy``, in which each tensor has a row and a file."""
    frame = rows.part.frame
    steps, shapes = frame["step"].to_list(), frame["shape"].to_list()
    series_indices = np.repeat(np.arange(len(rows.series)), np.diff(rows.bounds)).tolist()
    for step, shape, series_index, file in zip(steps, shapes, series_indices, rows.part.files, strict=True):
        series = rows.series[series_index]
        layer = series.tag.removeprefix(LAYER_ERRORS)
        array = np.load(io.BytesIO(file.data), allow_pickle=False)
        yield _Tensor(step, series, layer, _Shape.of(shape), array)


def _mean(tensor: _Tensor) -> _Tensor | None:
    """Return the mean of a tensor over its samples, computed in float64; None if there are none."""
    samples, units = tensor.shape
    if not samples:
        return None
    mean = tensor.array.reshape(samples, units).mean(axis=0, dtype=np.float64)
    return tensor._replace(shape=_Shape(None, units), array=mean)


def _rows_of_width(units: int, tensors: list[tuple[int, _Tensor]]) -> pl.DataFrame:
    """Return the rows of tensors of one width, with their ``order`` among all rows."""
    counts = [each.shape.rows for _, each in tensors]
    samples = [range(each.shape.samples) if each.shape.samples is not None else (None,) for _, each in tensors]
    names = pl.DataFrame(
        {
            "order": pl.Series([order for order, _ in tensors], dtype=pl.Int64),
            "batch": pl.Series([each.step for _, each in tensors], dtype=pl.Int64),
            "layer": pl.Series([each.layer for _, each in tensors], dtype=pl.String),
        }
    )
    tensor_indices = pl.Series(np.repeat(np.arange(len(tensors)), counts))
    sample = pl.Series("sample", [number for numbers in samples for number in numbers], dtype=pl.Int64)
    flat = np.concatenate([each.array.reshape(each.shape.rows, units) for _, each in tensors])
    numbers = flat.astype(np.float32) if flat.dtype == np.float16 else flat
    columns = [pl.Series(f"error_{unit}", np.ascontiguousarray(numbers[:, unit])) for unit in range(units)]
    return names[tensor_indices].hstack([sample, *columns])
