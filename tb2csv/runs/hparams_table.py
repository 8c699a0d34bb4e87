"""The table of trials: one row for each, with its hyperparameters and the statistics of its metrics.

A trial is spread over values of several runs: one holds its hyperparameters and its start, another its end, and a third
the names of its metrics. The metrics themselves are ordinary scalars. So the values of all runs are gathered first.

Source: tensorboard/plugins/hparams/plugin_data.proto, api.proto and list_session_groups.py.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.column_names import free_name
from tb2csv.decoders.hparams import parse
from tb2csv.late_modules import pl
from tb2csv.messages import LISTED
from tb2csv.notes import Note
from tb2csv.runs.trial_metrics import Experiment, Metric, TrialMetrics

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from tb2csv.runs.run_metrics import MetricSummary
    from tb2csv.runs.trial_metrics import LogScalars
    from tb2csv.selection import Selection

#: float32 represents every integer up to this one.
_FLOAT32_INTEGERS: Final = 2**24

#: The first columns of every table of trials; ``duration`` is the last.
_FIXED: Final = ("run", "session_group", "status", "start_time", "end_time")

#: How many cells of hyperparameters any table may have, and for each value that is stored; logs of 200 studies with
#: their own hyperparameters do not reach that.
MAX_EMPTY_CELLS: Final = 1_000_000
MAX_CELLS_PER_VALUE: Final = 200

#: float64 represents every integer up to this one.
_FLOAT64_INTEGERS: Final = 2**53


class HparamsValue(NamedTuple):
    """One value of the hparams plugin."""

    run: str
    wall_time: float
    #: A serialized HParamsPluginData.
    content: bytes


class Trials(NamedTuple):
    """The table of trials, and notes on what it leaves out."""

    table: pl.DataFrame
    notes: list[Note]


def trials(
    values: Iterable[HparamsValue],
    scalars: LogScalars,
    *,
    runs: Container[str] | None = None,
    selection: Selection | None = None,
) -> Trials:
    """Return the table of trials, one row for each.

    The columns are ``run, session_group, status, start_time, end_time``; one for each hyperparameter; five for each
    metric; and ``duration``. A metric has its last value under its own name, and the minimum and the maximum with their
    steps as ``<metric>:min``, ``<metric>:min_step``, ``<metric>:max`` and ``<metric>:max_step``. Times are in seconds
    since the epoch, the duration in seconds.

    A run that was started several times has a row for each start. The log does not store which start a scalar belongs
    to, so its scalars are in the last row.

    Args:
        values: in the order of the log.
        scalars: of all runs of the log.
        runs: the runs that get rows; all if None. Columns that would be empty in these rows are left out.
        selection: the metrics that get columns, by tag. If it names tags, any scalar of a trial can be a metric. If
            None, these are the metrics that experiments name, and the scalars of trials without an experiment.

    Raises:
        Tb2csvError: no metric is selected; the error names similar ones.
    """
    log = TrialLog()
    for value in values:
        log.add(value, parse(value.content))
    all_rows = [(run, session) for run, sessions in log.runs.items() for session in sessions]
    rows = all_rows if runs is None else [(run, session) for run, session in all_rows if run in runs]
    chosen_runs = dict.fromkeys(run for run, _ in rows)
    metrics = TrialMetrics(log.started, chosen_runs, log.experiments, scalars, selection)
    columns: dict[str, pl.Series] = {"run": pl.Series([run for run, _ in rows], dtype=pl.String)}
    for name in _FIXED[1:]:
        dtype = pl.Float64 if name.endswith("_time") else pl.String
        columns[name] = pl.Series([session.fixed.get(name) for _, session in rows], dtype=dtype)
    duration = columns["end_time"] - columns["start_time"]
    fixed = (*_FIXED, "duration")
    taken = set(fixed)
    stored = [session.hparams for _, session in rows]
    present = set().union(*stored) if len(rows) < len(all_rows) else log.hparams
    names, left_out = shown_hparams([name for name in log.hparams if name in present], stored)
    for name in names:
        free = free_name(name, "hparam", taken)
        columns[free] = typed_column([session.hparams.get(name) for _, session in rows])
        taken.add(free)
    for metric in metrics.chosen:
        found = [metrics.find(run, metric) if session is log.runs[run][-1] else None for run, session in rows]
        for part, column in _metric(found).items():
            name = f"{metric.label}:{part}" if part else metric.label
            free = free_name(name, "metric", taken)
            columns[free] = column
            taken.add(free)
    table = pl.DataFrame({**columns, "duration": duration})
    if len(rows) < len(all_rows):
        # By number, because polars would take a name such as * for a pattern.
        kept = (column.name in fixed or column.null_count() < len(rows) for column in table)
        table = table.select(pl.nth(number) for number, is_kept in enumerate(kept) if is_kept)
    return Trials(table, left_out + metrics.notes)


def shown_hparams(names: list[str], rows: list[dict[str, Any]]) -> tuple[list[str], list[Note]]:
    """Return the hyperparameters that get columns, in order, and a note if there are others.

    If each trial has hyperparameters of its own, the table has the square of the cells that the log has. Then those
    that most trials have get columns.
    """
    counts = Counter(name for row in rows for name in row)
    limit = max(MAX_EMPTY_CELLS, MAX_CELLS_PER_VALUE * counts.total())
    if len(names) * len(rows) <= limit:
        return names, []
    common = sorted(names, key=lambda name: -counts[name])[: limit // len(rows)]
    shown = set(common)
    left_out = [name for name in names if name not in shown]
    return [name for name in names if name in shown], [
        Note("hparams_left_out", count=len(left_out), details={"names": tuple(left_out[:LISTED])})
    ]


@dataclass(slots=True, eq=False, repr=False)
class Session:
    """One start and one end of a run; either may be missing."""

    start: bytes | None = None
    has_end: bool = False
    #: Cells of the columns that every table of trials has.
    fixed: dict[str, Any] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)


class TrialLog:
    """The trials and experiments of a log, assembled from its values."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Session]] = {}  # none of the lists is empty
        self.started: dict[str, float] = {}  # by run, the wall time of the last start; -inf without one
        self.hparams: dict[str, None] = {}  # names in order
        self.experiments: list[Experiment] = []

    def add(self, value: HparamsValue, data: Any) -> None:
        """Add the message of a value."""
        run = value.run
        which = data.WhichOneof("data")
        if which == "experiment":
            for info in data.experiment.hparam_infos:
                self.hparams.setdefault(info.name)
            names = (info.name for info in data.experiment.metric_infos)
            metrics = [Metric(name.group.removesuffix("/"), name.tag) for name in names]
            self.experiments.append(Experiment(run, metrics))
        elif which == "session_start_info":
            start = data.session_start_info
            session = self._started(run, start.SerializeToString(deterministic=True))
            self.started[run] = max(self.started[run], value.wall_time)
            session.fixed |= {"session_group": start.group_name or None, "start_time": start.start_time_secs or None}
            for name in sorted(start.hparams):
                self.hparams.setdefault(name)
                session.hparams[name] = _plain(start.hparams[name])
        elif which == "session_end_info":
            end = data.session_end_info
            session = self._ended(run)
            session.has_end = True
            session.fixed |= {"status": _status(end), "end_time": end.end_time_secs or None}

    def _sessions(self, run: str) -> list[Session]:
        self.started.setdefault(run, -math.inf)
        return self.runs.setdefault(run, [Session()])

    def _started(self, run: str, start: bytes) -> Session:
        """Return the session of a start: a new one, unless the last session has the same start or none."""
        sessions = self._sessions(run)
        if sessions[-1].start not in (None, start):
            sessions.append(Session())
        sessions[-1].start = start
        return sessions[-1]

    def _ended(self, run: str) -> Session:
        """Return the session of an end: the last one without an end, or the last one if all have ended."""
        sessions = self._sessions(run)
        return next((session for session in reversed(sessions) if not session.has_end), sessions[-1])


def _status(end: Any) -> str:
    """Return the name of a status; its number if it has no name, as in the log of a later TensorBoard."""
    known = type(end).DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number.get(end.status)
    return known.name.removeprefix("STATUS_").lower() if known else str(end.status)


def _metric(found: list[MetricSummary | None]) -> dict[str, pl.Series]:
    """Return the columns of a metric, by the suffix of their names."""

    def cells(name: str) -> list[Any]:
        return [getattr(each, name) if each else None for each in found]

    return {
        "": _scalars(cells("last")),
        "min": _scalars(cells("min")),
        "min_step": pl.Series(cells("min_step"), dtype=pl.Int64),
        "max": _scalars(cells("max")),
        "max_step": pl.Series(cells("max_step"), dtype=pl.Int64),
    }


def _scalars(values: list[float | None]) -> pl.Series:
    """Return a column of float32 if that changes no scalar, else of float64; nearly all logs store float32.

    Integers above 2**24, such as a number of bytes, stay float64 and so keep all their digits in text.
    """
    column = pl.Series(values, dtype=pl.Float64)
    narrow = column.cast(pl.Float32)
    is_short = not any(_FLOAT32_INTEGERS < abs(value) < math.inf for value in values if value is not None)
    return narrow if is_short and narrow.cast(pl.Float64).equals(column) else column


def typed_column(values: list[Any]) -> pl.Series:
    """Return a column of truth values, numbers or text.

    Every number is a double on disk. A column of whole numbers becomes integers. A hyperparameter that has values of
    several types becomes text.
    """
    known = [value for value in values if value is not None]
    types = {type(value) for value in known}
    if types <= {bool}:
        return pl.Series(values, dtype=pl.Boolean if types else pl.String)
    if types == {float}:
        if all(map(_is_whole, known)):
            return pl.Series([None if value is None else int(value) for value in values], dtype=pl.Int64)
        return pl.Series(values, dtype=pl.Float64)
    return pl.Series([None if value is None else _cell(value) for value in values], dtype=pl.String)


def _is_whole(number: float) -> bool:
    """Return whether a double holds an integer exactly; -0.0 does not count."""
    is_integer = number.is_integer() and abs(number) <= _FLOAT64_INTEGERS
    return is_integer and (number != 0 or math.copysign(1, number) > 0)


def _cell(value: float | str) -> str:  # or a bool
    return str(value).lower() if isinstance(value, bool) else str(_number(value))


def _number(value: Any) -> Any:
    """Return a whole number as an integer, and anything else as it is."""
    return int(value) if isinstance(value, float) and _is_whole(value) else value


def _plain(value: Any) -> Any:
    """Return a google.protobuf.Value as a float, a bool or a string; lists and structures become JSON.

    As in the ``json`` module, numbers may be ``NaN`` or ``Infinity``.
    """
    plain = _nested(value)
    return json.dumps(plain) if isinstance(plain, (list, dict)) else plain


def _nested(value: Any) -> Any:
    which = value.WhichOneof("kind")
    if which == "list_value":
        return [_number(_nested(item)) for item in value.list_value.values]
    if which == "struct_value":
        return {name: _number(_nested(item)) for name, item in sorted(value.struct_value.fields.items())}
    return None if which in (None, "null_value") else getattr(value, which)
