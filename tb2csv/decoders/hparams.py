"""Hyperparameters: one table for the whole log directory, a row for each trial. Plugin ``hparams``.

What a trial is made of stands in several values, of several runs: its hyperparameters and its start in one, its end in
another, which metrics count in a third, and the metrics themselves are ordinary scalars. So the values of all runs are
gathered first. All of it is in the metadata; the tensor, where there is one, is empty.

Source: tensorboard/plugins/hparams/plugin_data.proto, api.proto and list_session_groups.py.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.decoders.decoder import Piece, Undecodable
from tb2csv.event_files.reference import read_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import polars as pl

    from tb2csv.decoders.decoder import DecodeOptions, Values
    from tb2csv.event_files.values import ValueForm

#: Up to this one, float32 has every integer.
_FLOAT32_INTEGERS: Final = 2**24
_FIXED: Final = ("run", "session_group", "status", "start_time", "end_time")


class HparamDecoder:
    """``wall_time, step, content``: the values as they are, to be gathered by ``trials``."""

    kind = "hparams"

    def signature(self, form: ValueForm, options: DecodeOptions) -> str | None:  # noqa: ARG002 - the interface's
        """Take every value of the plugin."""
        return "hparams"

    def decode(self, values: Values) -> Iterator[Piece | Undecodable]:
        """Yield one piece in the order of the log; a value whose metadata holds no HParamsPluginData is undecodable."""
        import polars as pl

        contents = []
        counts = np.zeros(len(values), np.int64)
        for row in values.log_order.tolist():  # which end belongs to which start is told by nothing else
            metadata = read_metadata(values.form(row).metadata)
            content = metadata[1] if metadata else b""
            if _parse(content) is None:
                yield Undecodable(row, f"the {len(content)} bytes of metadata are no HParamsPluginData", content)
            else:
                contents.append(content)
                counts[row] = 1
        rows = values.log_order[counts[values.log_order] > 0]
        columns = {
            "wall_time": values.wall_time[rows],
            "step": values.step[rows],
            "content": pl.Series(contents, dtype=pl.Binary),
        }
        yield Piece(pl.DataFrame(columns), 0, len(values), counts, is_gathered=True)


def trials(contents: Iterable[tuple[str, bytes]], last_scalars: Callable[[str], Mapping[str, float]]) -> pl.DataFrame:
    """Return the table of trials: ``run, session_group, status, start_time, end_time``, hyperparameters, metrics.

    ``contents`` are (run, serialized HParamsPluginData) in the order of the log; ``last_scalars`` gives the last value
    of each scalar tag of a run. Times are in seconds since the epoch. A metric is the last value of its series, in the
    run of the trial or in the run that the experiment's group names below it; where no experiment says which metrics
    count, every scalar of a trial's run does.

    A run that was started several times has a row for each start. Which of its scalars belong to which is not stored;
    their last values stand in its last row.
    """
    import polars as pl

    experiment = _Experiment()
    for run, content in contents:
        experiment.add(run, _parse(content))
    metric_infos = experiment.metrics or {("", tag): None for run in experiment.runs for tag in last_scalars(run)}
    rows = [(run, session) for run, sessions in experiment.runs.items() for session in sessions]
    columns: dict[str, pl.Series] = {"run": pl.Series([run for run, _ in rows], dtype=pl.String)}
    for name in _FIXED[1:]:
        dtype = pl.Float64 if name.endswith("_time") else pl.String
        columns[name] = pl.Series([session.fixed.get(name) for _, session in rows], dtype=dtype)
    for name in experiment.hparams:
        columns[_free(name, "hparam", columns)] = _typed([session.hparams.get(name) for _, session in rows])
    for group, tag in metric_infos:
        name = f"{group}/{tag}" if group else tag
        last = [
            last_scalars(_subrun(run, group)).get(tag) if session is experiment.runs[run][-1] else None
            for run, session in rows
        ]
        columns[_free(name, "metric", columns)] = _metric(last)
    return pl.DataFrame(columns)


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


def _metric(values: list[float | None]) -> pl.Series:
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


def _free(name: str, role: str, columns: Mapping[str, object]) -> str:
    """Return the column's name, with its role before it where another column has that name already."""
    while name in columns:
        name = f"{role}:{name}"
    return name


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


def _parse(content: bytes) -> Any | None:
    from google.protobuf import message
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        return HParamsPluginData.FromString(content)
    except message.DecodeError:
        return None
