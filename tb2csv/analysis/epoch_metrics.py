"""``metrics``: the scalars of each epoch, with a row for each epoch and a column for each metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.column_names import free_name
from tb2csv.concat_frames import joined
from tb2csv.dataframes import scan
from tb2csv.display import count, displayed
from tb2csv.errors import NameNotFoundError
from tb2csv.late_modules import pl
from tb2csv.layouts.table_paths import SCALARS, with_variant
from tb2csv.messages import advice, listed
from tb2csv.notes import Note
from tb2csv.selection import Selection, select
from tb2csv.wide_frames import all_steps, check_cells, one_for_each_step, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.logdir import LogdirSource
    from tb2csv.report import Report
    from tb2csv.scanned_logdir import Chosen
    from tb2csv.selection import Patterns
    from tb2csv.time_series import Series
    from tb2csv.wide_frames import StepValues

#: The prefixes of metrics in tags: those of tb2csv's recorders, and of Keras' TensorBoard callback.
_OF_RECORDERS: Final = "epoch/"
_OF_KERAS: Final = "epoch_"
#: The prefixes of metrics by the last part of the name of a run of Keras' TensorBoard callback.
_RUNS_OF_KERAS: Final = {"train": "", "validation": "val_"}
_VALIDATION: Final = "val_"
#: These columns are the last ones.
_LEARNING_RATE: Final = "learning_rate"

_EPOCH: Final = "epoch"
_RUN: Final = "run"


@displayed()
class EpochMetrics(NamedTuple):
    """The result of ``metrics``.

    ``table`` has the columns ``run``, if the metrics are of several runs; ``epoch``; and one for each metric, ``loss``
    first, then those of the validation with the prefix ``val_``, then learning rates. A metric that a run or an epoch
    lacks is null.
    """

    table: pl.DataFrame
    #: What is not in the table, and why.
    notes: list[Note]
    report: Report

    def _display(self) -> Iterator[object]:
        yield f"<EpochMetrics: {count(len(self.table), 'row')}>"
        yield self.table
        yield self.notes
        yield self.report


class _Metric(NamedTuple):
    """A series as a column of the table: the run and the name that it has there, and its own."""

    run: str
    label: str
    own_run: str
    own_tag: str

    @classmethod
    def of(cls, series: Series) -> _Metric:
        """Return the metric that a series is."""
        own_tag = with_variant(series.tag, series.variant)
        run, label = series.run, own_tag
        if own_tag.startswith(_OF_RECORDERS):
            label = own_tag.removeprefix(_OF_RECORDERS)
        elif own_tag.startswith(_OF_KERAS):
            label = own_tag.removeprefix(_OF_KERAS)
            above, _, name = run.rpartition("/")
            if name in _RUNS_OF_KERAS:
                run, label = above or ".", _RUNS_OF_KERAS[name] + label
        return cls(run, label or own_tag, series.run, own_tag)


def _place(column: str) -> tuple[bool, bool, bool]:
    """Return the sort key of a column."""
    metric = column.removeprefix(_VALIDATION)
    return metric.startswith(_LEARNING_RATE), column.startswith(_VALIDATION), metric != "loss"


def metrics(
    logdir: LogdirSource,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> EpochMetrics:
    """Return the scalars of each epoch side by side: ``epoch, loss, accuracy, val_loss, …``.

    The step of these scalars is the epoch. By default they are those with tags ``epoch/<metric>``, as tb2csv's
    recorders write them, and ``epoch_<metric>``, as Keras' TensorBoard callback does; its runs ``train`` and
    ``validation`` are one run here. If an epoch was recorded again, as after a restart, the last value is kept.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags of scalars whose step is the epoch. The column of a tag without a known
            prefix is the tag.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually. Its kinds are not used.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read, or no run matches.
        NameNotFoundError: no scalar has such a tag.
        Tb2csvError: types of one metric do not fit into one column.
    """
    chosen = select(selection, run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)
    selected = Selection(chosen.runs, chosen.tags, (SCALARS,), chosen.exclude_runs, chosen.exclude_tags)
    scanned = scan(logdir, workers=workers, progress=progress)
    scalars = scanned.choose(selected)
    if not chosen.tags:
        scalars = _of_known_writers(scalars)
    found: dict[_Metric, list[pl.DataFrame]] = {}
    for each, series in scalars:
        for stats, frame in scanned.rows_of(each, series):
            found.setdefault(_Metric.of(stats.series), []).append(frame)
    by_run: dict[str, dict[_Metric, pl.DataFrame]] = {}
    for metric, frames in sorted(found.items(), key=lambda item: _place(item[0].label)):
        by_run.setdefault(metric.run, {})[metric] = pl.concat(frames)
    tables, notes = [], []
    for name in sorted(by_run):
        table, left_out = _side_by_side(by_run[name])
        tables.append(table if len(by_run) == 1 else table.insert_column(0, pl.lit(name).alias(_RUN)))
        if left_out:
            notes.append(Note("duplicates_left_out", name, count=left_out, details={"kept": "last"}))
    table = joined(tables, "the table of metrics")
    leading = [name for name in (_RUN, _EPOCH) if name in table.columns]
    others = sorted((name for name in table.columns if name not in leading), key=_place)
    return EpochMetrics(table.select(*leading, *others), notes, scanned.report)


def _of_known_writers(scalars: Chosen) -> Chosen:
    """Return the scalars whose tags show that their step is the epoch."""
    known = [
        (run, [stats for stats in series if stats.series.tag.startswith((_OF_RECORDERS, _OF_KERAS))])
        for run, series in scalars
    ]
    if not any(series for _, series in known):
        tags = dict.fromkeys(repr(stats.series.tag) for _, series in scalars for stats in series)
        known_names = f"{_OF_RECORDERS}<metric> or {_OF_KERAS}<metric>"
        fact = f"No tag is {known_names}, so the steps of {listed(tags)} may not be epochs"
        raise NameNotFoundError(fact, advice("choose tags with {}", "tag"))
    return known


def _side_by_side(metrics: dict[_Metric, pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """Return the table of one run, and the number of values that a later one of the same epoch replaces."""
    values: dict[str, StepValues] = {}
    left_out = 0
    for metric, rows in metrics.items():
        name = free_name(metric.label, metric.own_run, {_RUN, _EPOCH, *values})
        values[name], repeated = one_for_each_step(rows, metric.own_run, metric.own_tag, "last")
        left_out += repeated
    series = list(values.values())
    epochs = all_steps(series)
    check_cells(len(epochs) * len(series), sum(len(each.steps) for each in series), advice("select fewer tags"))
    _, _, cells = side_by_side(series, list(values), epochs)
    return pl.DataFrame([pl.Series(_EPOCH, epochs), *cells]), left_out
