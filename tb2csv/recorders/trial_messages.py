"""Messages of TensorBoard's plugin ``hparams`` about one trial: its hyperparameters, metrics and end."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The largest integer up to which a float64 holds every integer.
_EXACT: Final = 2**53


def trial_value(value: Any) -> bool | float | str | None:
    """Return a hyperparameter as TensorBoard keeps it, or None if it cannot.

    TensorBoard has float64 for numbers, so that an integer it would round becomes text.
    """
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        number = int(value)
        return float(number) if abs(number) <= _EXACT else str(number)
    return float(value) if isinstance(value, numbers.Real) else None


def trial_start(values: Mapping[str, bool | float | str], wall_time: float) -> bytes:
    """Return a serialized Summary that begins a trial; trials with the same values are one group."""
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    serialized: bytes = hparams_pb(dict(values), start_time_secs=wall_time).SerializeToString()
    return serialized


def trial_end(wall_time: float, *, has_failed: bool) -> bytes:
    """Return a serialized Summary that ends a trial."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    status = api_pb2.Status.Value("STATUS_FAILURE" if has_failed else "STATUS_SUCCESS")
    end = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=wall_time))
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(end),
        tensor=metadata.NULL_TENSOR,
    )
    serialized: bytes = Summary(value=[value]).SerializeToString()
    return serialized
