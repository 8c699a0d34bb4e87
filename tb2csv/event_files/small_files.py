"""Blocks of several small event files, each read whole.

A file of a hundred values takes less time to scan than the objects that a reader of its own needs. Only regular files
are read here: any other one is left to ``EventFileReader``, which accounts for every byte of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tb2csv.errors import DecodeError
from tb2csv.event_files import reference
from tb2csv.event_files.event_file import FINGERPRINT_SIZE, FileStats, Fingerprint
from tb2csv.event_files.values import ScanStatus, ValueBlock, ValueColumns
from tb2csv.tfrecord import FOOT_SIZE, HEAD_SIZE

if TYPE_CHECKING:
    from tb2csv.event_files.scanners import Scanner
    from tb2csv.logdir import EventFile

#: A value of a TensorFlow 2 scalar takes about 60 bytes.
_BYTES_PER_VALUE: Final = 48


class SmallFiles:
    """A block with the values of several small files, each read whole.

    Payload offsets count from the start of the block, and the files share the numbers of schemas.
    """

    def __init__(self, scanner: Scanner, capacity: int, limit: int) -> None:
        """Make room for ``capacity`` bytes of files, each of at most ``limit`` bytes."""
        self._scanner = scanner
        self._limit = limit
        self._buffer = np.empty(capacity, np.uint8).data
        self._end = 0
        self.schemas = scanner.schema_table()
        self.columns = ValueColumns()
        self.columns.reserve(capacity // _BYTES_PER_VALUE + 16)

    def clear(self) -> None:
        """Drop all files, but keep the memory."""
        self._end = 0
        self.columns.clear()
        self.schemas = self._scanner.schema_table()

    @property
    def is_full(self) -> bool:
        """Whether another small file may not fit in."""
        return len(self._buffer) - self._end < self._limit

    @property
    def block(self) -> ValueBlock:
        """The values of all files."""
        return ValueBlock(self.columns, self._buffer[: self._end], 0)

    def add(self, file: EventFile) -> FileStats | None:
        """Read a file and return its statistics, or None if it is not small and regular; then nothing is added.

        A regular file has complete and sound records, and neither session marks nor plugin contents
        in addition to payloads.
        """
        start, values = self._end, self.columns.size
        try:
            with file.open_stored(0) as source:  # a compressed file is not regular
                size = source.size
                buffer = self._buffer[start : start + size]
                if not 0 < size <= self._limit or source.read_into(0, buffer) < size:
                    return None
        except OSError:  # the next reader of the file reports the error
            return None
        records = self._scan(buffer)
        if records is None or self.columns.marks or self.columns.has_contents:
            self.columns.cut(values)
            return None
        self._end = start + size
        self.columns.payload_offset[values : self.columns.size] += start
        stats = FileStats(file.path, size, records, size, self.columns.size - values)
        stats.version = source.version
        stats.fingerprint = Fingerprint(bytes(buffer[:FINGERPRINT_SIZE]), bytes(buffer[-FINGERPRINT_SIZE:]))
        return stats

    def _scan(self, buffer: memoryview) -> int | None:
        """Scan the records of a file and return their number, or None if one is damaged or unfinished."""
        columns = self.columns
        total = position = 0
        while position < len(buffer):
            status, position, records = self._scanner.scan(buffer, position, 0, self.schemas, columns)
            total += records
            if status == ScanStatus.FULL:
                columns.reserve(2 * len(columns.schema_id) + 16)
            elif status == ScanStatus.IRREGULAR:
                payload = position + HEAD_SIZE
                stop = payload + int.from_bytes(buffer[position : position + 8], "little")
                try:
                    reference.read_event(bytes(buffer[payload:stop]), payload, self.schemas, columns)
                except DecodeError:
                    return None
                total += 1
                position = stop + FOOT_SIZE
            elif position < len(buffer):
                return None
        return total
