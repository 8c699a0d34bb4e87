"""Hyperparameters: one table for the whole log directory, a row for each trial. Plugin ``hparams``.

What a trial is made of stands in several values, of several runs: its hyperparameters and its start in one, its end in
another, which metrics count in a third, and the metrics themselves are ordinary scalars. So the values of all runs are
gathered first. All of it is in the metadata; the tensor, where there is one, is empty.

Source: tensorboard/plugins/hparams/plugin_data.proto, api.proto and list_session_groups.py.
"""

from __future__ import annotations

import math
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
        """Yield one piece; a value whose metadata holds no HParamsPluginData is undecodable."""
        import polars as pl

        contents = []
        counts = np.zeros(len(values), np.int64)
        for row in range(len(values)):
            metadata = read_metadata(values.form(row).metadata)
            content = metadata[1] if metadata else b""
            if _parse(content) is None:
                yield Undecodable(row, f"the {len(content)} bytes of metadata are no HParamsPluginData")
            else:
                contents.append(content)
                counts[row] = 1
        rows = counts.astype(bool)
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
    """
    import polars as pl

    experiment = _Experiment()
    for run, content in contents:
        experiment.add(run, _parse(content))
    rows, hparams, metric_infos = experiment.sessions, experiment.hparams, experiment.metrics
    if not metric_infos:
        metric_infos = {("", tag): None for run in rows for tag in last_scalars(run)}
    columns: dict[str, pl.Series] = {"run": pl.Series(list(rows), dtype=pl.String)}
    for name in _FIXED[1:]:
        dtype = pl.Float64 if name.endswith("_time") else pl.String
        columns[name] = pl.Series([row.get(name) for row in rows.values()], dtype=dtype)
    for name, values in hparams.items():
        columns[_free(name, "hparam", columns)] = _typed([values.get(run) for run in rows])
    for group, tag in metric_infos:
        name = f"{group}/{tag}" if group else tag
        last = [last_scalars(_subrun(run, group)).get(tag) for run in rows]
        columns[_free(name, "metric", columns)] = _metric(last)
    return pl.DataFrame(columns)


class _Experiment:
    """What the gathered values say together."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}  # by run
        self.hparams: dict[str, dict[str, Any]] = {}  # by name, then by run
        self.metrics: dict[tuple[str, str], None] = {}  # (group, tag) in order

    def add(self, run: str, data: Any) -> None:
        """Add one HParamsPluginData of a run."""
        which = data.WhichOneof("data")
        if which == "experiment":
            for info in data.experiment.hparam_infos:
                self.hparams.setdefault(info.name, {})
            self.metrics |= {(info.name.group, info.name.tag): None for info in data.experiment.metric_infos}
        elif which == "session_start_info":
            start = data.session_start_info
            session = self.sessions.setdefault(run, {})
            session |= {"session_group": start.group_name or None, "start_time": start.start_time_secs or None}
            for name in sorted(start.hparams):
                self.hparams.setdefault(name, {})[run] = _plain(start.hparams[name])
        elif which == "session_end_info":
            end = data.session_end_info
            status = type(end).DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number[end.status].name
            session = self.sessions.setdefault(run, {})
            session |= {"status": status.removeprefix("STATUS_").lower(), "end_time": end.end_time_secs or None}


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
    """Return a google.protobuf.Value as a float, a bool or a string."""
    which = value.WhichOneof("kind")
    if which in ("number_value", "bool_value", "string_value"):
        return getattr(value, which)
    if which in ("list_value", "struct_value"):
        from google.protobuf import json_format

        return json_format.MessageToJson(value, indent=None)
    return None


def _parse(content: bytes) -> Any | None:
    from google.protobuf import message
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        return HParamsPluginData.FromString(content)
    except message.DecodeError:
        return None
