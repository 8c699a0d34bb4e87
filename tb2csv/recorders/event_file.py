"""An event file that is written event by event, each of them whole or not there.

TensorFlow's own writer says nothing when the disk is full (decision 0007), so these frames are written here: after a
failed write the file is cut back to its last whole record, and the caller gets the error.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from google_crc32c import value as crc32c

if TYPE_CHECKING:
    from pathlib import Path

_HEAD: Final = struct.Struct("<QI")
_FOOT: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<Q")
_CRC_MASK: Final = 0xA282EAD8
_ALL_BITS: Final = 0xFFFFFFFF

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


class EventFile:
    """A new event file in a folder; an earlier one is never opened."""

    def __init__(self, folder: Path) -> None:
        """Create the folder and the file in it, and write the record that tells the format's version.

        Raises OSError where that is not possible.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._descriptor = _create(folder)
        self._size = 0
        from tensorboard.compat.proto.event_pb2 import Event

        try:
            self.append(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        except OSError:
            self.close()
            raise

    def append(self, event: bytes) -> None:
        """Write a serialized Event as one record. Raises OSError, and then nothing of the record is left."""
        length = _LENGTH.pack(len(event))
        frame = b"".join((_HEAD.pack(len(event), _masked(length)), event, _FOOT.pack(_masked(event))))
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BaseException:  # an interrupt as well
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(frame)

    def close(self) -> None:
        """Close the file; nothing can be written any more."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _create(folder: Path) -> tuple[Path, int]:
    """Return a path that TensorBoard knows as an event file's and that was free, and the descriptor of the new file."""
    start = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
    for number in itertools.count():
        path = folder / f"{start}.{number}.v2"
        try:
            return path, os.open(path, _CREATE, 0o666)
        except FileExistsError:
            continue
    raise AssertionError  # counting does not end


def _masked(data: bytes) -> int:
    crc: int = crc32c(data)
    return ((crc >> 15 | crc << 17) + _CRC_MASK) & _ALL_BITS
