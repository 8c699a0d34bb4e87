"""The events of a folder, read by protobuf alone; TensorBoard's own loader imports TensorFlow if it is installed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def events(folder: Path) -> Iterator[Any]:
    """Yield the events of all files of a folder. A record is a length, 4 bytes, the event, and 4 bytes more."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, offset = path.read_bytes(), 0
        while offset < len(data):
            (size,) = struct.unpack_from("<Q", data, offset)
            yield Event.FromString(data[offset + 12 : offset + 12 + size])
            offset += size + 16


def summary_values(folder: Path) -> dict[str, Any]:
    """Return the summary values of a folder by their tags."""
    return {value.tag: value for event in events(folder) for value in event.summary.value}
