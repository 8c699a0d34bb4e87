"""Blocks of several small event files, each read whole.

A file of a hundred values takes less time to scan than the objects that a reader of its own needs. Only regular files
are read here: any other one is left to ``EventFileReader``, which accounts for every byte of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.errors import DecodeError
from tb2csv.event_files import reference
from tb2csv.event_files.event_file import FINGERPRINT_SIZE, FileStats, Fingerprint
from tb2csv.event_files.values import ScanStatus, ValueBlock, ValueColumns
from tb2csv.file_batches import file_batches
from tb2csv.late_modules import np
from tb2csv.sources.local_files import local_version
from tb2csv.tfrecord import FOOT_SIZE, HEAD_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    def block(self) -> ValueBlock:
        """The values of all files."""
        return ValueBlock(self.columns, self._buffer[: self._end], 0)

    def read(self, files: Sequence[EventFile]) -> Iterator[FileStats | None]:
        """Read local files and yield their statistics, in order, until another one may not fit in.

        It is None for a file that is not small and regular, of which nothing is added. A regular file has complete and
        sound records, and neither session marks nor plugin contents in addition to payloads. The values of a file are
        the last ones when it is yielded.
        """
        first = self._end
        located = file_batches().read_files([file.location for file in files], self._buffer[first:], self._limit)
        for file, found in zip(files, located, strict=False):  # the last files may not fit in
            if found is None:  # the next reader of the file reports an error
                yield None
                continue
            start, size, changed, number = found
            self._end = first + start + size
            yield self._add(file, first + start, size, local_version(size, changed, number).text)

    def _add(self, file: EventFile, start: int, size: int, version: str) -> FileStats | None:
        """Scan a file in the buffer and return its statistics, or None if it is not regular."""
        values, buffer = self.columns.size, self._buffer[start : start + size]
        records = self._scan(buffer)  # a compressed file is not regular
        if records is None or self.columns.marks or self.columns.has_contents:
            self.columns.cut(values)
            return None
        self.columns.payload_offset[values : self.columns.size] += start
        stats = FileStats(file.path, size, records, size, self.columns.size - values)
        stats.version = version
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
