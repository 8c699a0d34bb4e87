"""Event files with scalars, in which TensorBoard shows statistics."""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING, Final

from tb2csv.tfrecord import record

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The version in the first event of a file.
_FILE_VERSION: Final = "brain.Event:2"


def event_file_name(wall_time: float) -> str:
    """Return a name that TensorBoard recognises as an event file's; ``wall_time`` is that of its first event."""
    return f"events.out.tfevents.{max(0, int(_number(wall_time))):010d}.tb2csv"


def write_scalar_events(file: IO[bytes], scalars: Iterable[tuple[str, float, int, float]]) -> None:
    """Write an event for each scalar: its tag, wall time in seconds since the epoch, step, and value.

    They are written as ``simple_value``, which every version of TensorBoard reads, so values are rounded to float32.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    is_first = True
    for tag, wall_time, step, value in scalars:
        time = _number(wall_time)
        if is_first:
            file.writelines(record(Event(wall_time=time, file_version=_FILE_VERSION).SerializeToString()))
            is_first = False
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        file.writelines(record(Event(wall_time=time, step=step, summary=summary).SerializeToString()))


def _number(wall_time: float) -> float:
    return wall_time if math.isfinite(wall_time) else 0.0
