"""The table of trials: one row for each, with its hyperparameters and what its metrics came to.

What a trial is made of stands in several values, of several runs: its hyperparameters and its start in one, its end in
another, which metrics count in a third, and the metrics themselves are ordinary scalars. So the values of all runs are
gathered first.

Source: tensorboard/plugins/hparams/plugin_data.proto, api.proto and list_session_groups.py.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tb2csv.column_names import free_name
from tb2csv.decoders.hparams import parse
from tb2csv.errors import Tb2csvError
from tb2csv.selection import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    import polars as pl

    from tb2csv.runs.scalar_statistics import MetricSummary
    from tb2csv.selection import Selection

#: Gives, for a run, what each of its scalar tags came to.
MetricsOfRun: TypeAlias = "Callable[[str], Mapping[str, MetricSummary]]"

#: Up to this one, float32 has every integer.
_FLOAT32_INTEGERS: Final = 2**24

#: The columns that every table of trials begins with; ``duration`` ends it.
_FIXED: Final = ("run", "session_group", "status", "start_time", "end_time")


def trials(
    contents: Iterable[tuple[str, bytes]],
    metrics_of: MetricsOfRun,
    *,
    runs: Container[str] | None = None,
    selection: Selection | None = None,
) -> pl.DataFrame:
    """Return the table of trials: ``run, session_group, status, start_time, end_time``, and the rest of a trial.

    The rest is a column for each hyperparameter; for each metric its last value under the metric's own name, and the
    least and the greatest with their steps, as ``<metric>:min``, ``<metric>:min_step``, ``<metric>:max`` and
    ``<metric>:max_step``; and ``duration``. Times are in seconds since the epoch, the duration in seconds.

    ``contents`` are (run, serialized HParamsPluginData) in the order of the log. ``metrics_of`` is asked, more than
    once, for the runs of trials, and for those that the experiment's groups name below them; it may know nothing of a
    run. Where no experiment says which metrics count, every scalar of a trial's run does.

    ``runs`` are those that get rows, all where it is None; what only others have gets no column then. ``selection``
    says by tag which metrics get columns.

    A run that was started several times has a row for each start. Which of its scalars belong to which is not stored;
    they stand in its last row.

    Raises Tb2csvError where there are metrics but none is asked for; it names the nearest.
    """
    import polars as pl

    experiment = _Experiment()
    for run, content in contents:
        experiment.add(run, parse(content))
    all_rows = [(run, session) for run, sessions in experiment.runs.items() for session in sessions]
    rows = all_rows if runs is None else [(run, session) for run, session in all_rows if run in runs]
    metrics = _chosen_metrics(
        experiment.metrics or dict.fromkeys(("", tag) for run, _ in rows for tag in metrics_of(run)), selection
    )
    columns: dict[str, pl.Series] = {"run": pl.Series([run for run, _ in rows], dtype=pl.String)}
    for name in _FIXED[1:]:
        dtype = pl.Float64 if name.endswith("_time") else pl.String
        columns[name] = pl.Series([session.fixed.get(name) for _, session in rows], dtype=dtype)
    duration = columns["end_time"] - columns["start_time"]
    fixed = (*_FIXED, "duration")
    taken = set(fixed)
    for name in experiment.hparams:
        free = free_name(name, "hparam", taken)
        columns[free] = _typed([session.hparams.get(name) for _, session in rows])
        taken.add(free)
    for group, tag in metrics:
        found = [
            metrics_of(_subrun(run, group)).get(tag) if session is experiment.runs[run][-1] else None
            for run, session in rows
        ]
        for part, column in _metric(found).items():
            name = f"{group}/{tag}" if group else tag
            free = free_name(f"{name}:{part}" if part else name, "metric", taken)
            columns[free] = column
            taken.add(free)
    table = pl.DataFrame({**columns, "duration": duration})
    if len(rows) == len(all_rows):
        return table
    return table.select(name for name in table.columns if name in fixed or table[name].null_count() < len(rows))


def _chosen_metrics(metrics: Iterable[tuple[str, str]], selection: Selection | None) -> list[tuple[str, str]]:
    known = list(metrics)
    if selection is None:
        return known
    chosen = [(group, tag) for group, tag in known if selection.includes(tag, "scalars")]
    if known and not chosen:
        near = nearest(selection.tags, (tag for _, tag in known))
        message = f"No metric is asked for by --tag and --exclude-tag; the nearest are {near}."
        raise Tb2csvError(message)
    return chosen


@dataclass
class _Session:
    """One start of a run and one end, of which either may be missing."""

    start: bytes | None = None
    has_end: bool = False
    #: Cells of the columns that every table of trials has.
    fixed: dict[str, Any] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)


class _Experiment:
    """What the gathered values say together."""

    def __init__(self) -> None:
        self.runs: dict[str, list[_Session]] = {}  # none of the lists is empty
        self.hparams: dict[str, None] = {}  # names in order
        self.metrics: dict[tuple[str, str], None] = {}  # (group, tag) in order

    def add(self, run: str, data: Any) -> None:
        """Add one HParamsPluginData of a run."""
        which = data.WhichOneof("data")
        if which == "experiment":
            for info in data.experiment.hparam_infos:
                self.hparams.setdefault(info.name)
            self.metrics |= {(info.name.group, info.name.tag): None for info in data.experiment.metric_infos}
        elif which == "session_start_info":
            start = data.session_start_info
            session = self._started(run, start.SerializeToString(deterministic=True))
            session.fixed |= {"session_group": start.group_name or None, "start_time": start.start_time_secs or None}
            for name in sorted(start.hparams):
                self.hparams.setdefault(name)
                session.hparams[name] = _plain(start.hparams[name])
        elif which == "session_end_info":
            end = data.session_end_info
            session = self._ended(run)
            session.has_end = True
            session.fixed |= {"status": _status(end), "end_time": end.end_time_secs or None}

    def _started(self, run: str, start: bytes) -> _Session:
        """Return the session of a start: a new one, unless it repeats the last start or that is still missing."""
        sessions = self.runs.setdefault(run, [_Session()])
        if sessions[-1].start not in (None, start):
            sessions.append(_Session())
        sessions[-1].start = start
        return sessions[-1]

    def _ended(self, run: str) -> _Session:
        """Return the session of an end: the last one without any, or the last where all have ended."""
        sessions = self.runs.setdefault(run, [_Session()])
        return next((session for session in reversed(sessions) if not session.has_end), sessions[-1])


def _status(end: Any) -> str:
    """Return the name of an end's status; its number where it is one that a later TensorBoard may know."""
    known = type(end).DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number.get(end.status)
    return known.name.removeprefix("STATUS_").lower() if known else str(end.status)


def _metric(found: list[MetricSummary | None]) -> dict[str, pl.Series]:
    """Return the columns of a metric, by the ending of their names."""
    import polars as pl

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
    """Return a column of scalars, in the narrower type where that changes none: what is nearly always on disk.

    Integers of more digits than the narrower type would show, such as a number of bytes, keep them all.
    """
    import polars as pl

    column = pl.Series(values, dtype=pl.Float64)
    narrow = column.cast(pl.Float32)
    is_short = not any(_FLOAT32_INTEGERS < abs(value) < math.inf for value in values if value is not None)
    return narrow if is_short and narrow.cast(pl.Float64).equals(column) else column


def _subrun(run: str, group: str) -> str:
    if not group:
        return run
    return group if run == "." else f"{run}/{group}"


def _typed(values: list[Any]) -> pl.Series:
    """Return a column of booleans, numbers or text; of text as well where a hyperparameter is now this, now that."""
    import polars as pl

    types = {type(value) for value in values if value is not None}
    if types <= {bool}:
        return pl.Series(values, dtype=pl.Boolean if types else pl.String)
    if types == {float}:
        return pl.Series(values, dtype=pl.Float64)
    return pl.Series([None if value is None else _cell(value) for value in values], dtype=pl.String)


def _cell(value: float | str) -> str:  # or a bool
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """Return a google.protobuf.Value as a float, a bool or a string; lists and structures become JSON.

    That is JSON as Python has it, where a number may be ``NaN`` or ``Infinity``.
    """
    plain = _nested(value)
    return json.dumps(plain) if isinstance(plain, (list, dict)) else plain


def _nested(value: Any) -> Any:
    which = value.WhichOneof("kind")
    if which == "list_value":
        return [_nested(item) for item in value.list_value.values]
    if which == "struct_value":
        return {name: _nested(item) for name, item in sorted(value.struct_value.fields.items())}
    return None if which in (None, "null_value") else getattr(value, which)
