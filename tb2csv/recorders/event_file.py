"""An event file that is written event by event; each event is written completely or not at all.

TensorFlow's own writer ignores a full disk (decision 0007), so these frames are written here: after a
failed write the file is cut back to its last whole record, and the caller gets the error.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from tb2csv.tfrecord import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tb2csv.tfrecord import Bytes

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


class EventFile:
    """A new event file in a folder; an earlier one is never opened."""

    def __init__(self, folder: Path) -> None:
        """Create the folder and the file in it, and write the record with the format's version.

        Raises OSError if that fails.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._descriptor = _create(folder)
        self._size = 0
        # Some file systems do not count links.
        self._has_links = os.fstat(self._descriptor).st_nlink > 0
        from tensorboard.compat.proto.event_pb2 import Event

        try:
            self.append(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        except OSError:
            self.close()
            raise

    def append(self, *parts: Bytes) -> None:
        """Write a serialized Event, in one part or several, as one record.

        A part may be an array of bytes, [n] of uint8, which is written without a copy.

        Raises OSError if the disk is full or the file was removed; then no part of the record is left.
        """
        pieces = record(*parts)
        frame_size = sum(map(len, pieces))
        try:
            _write_all(self._descriptor, pieces, frame_size)
        except BaseException:  # an interrupt as well
            os.ftruncate(self._descriptor, self._size)
            raise
        # On Linux and macOS the bytes of a removed file are lost without an error.
        if self._has_links and not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "the event file was removed", str(self.path))
        self._size += frame_size

    def sync(self) -> None:
        """Wait until the disk has all records. Raises OSError if that fails."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; nothing can be written afterwards."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _create(folder: Path) -> tuple[Path, int]:
    """Create a file under a free name that TensorBoard takes for an event file; return its path and descriptor."""
    start = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
    for number in itertools.count():
        path = folder / f"{start}.{number}.v2"
        try:
            return path, os.open(path, _CREATE, 0o666)
        except FileExistsError:
            continue
    raise AssertionError  # counting does not end


def _write_all(descriptor: int, pieces: Sequence[Bytes], size: int) -> None:
    """Write all parts without joining them, because a tensor may be large."""
    buffers: Any = pieces  # NumPy types arrays as buffers only from Python 3.12 on
    written = os.writev(descriptor, buffers) if hasattr(os, "writev") else 0
    if written < size:
        rest = memoryview(b"".join(buffers))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
