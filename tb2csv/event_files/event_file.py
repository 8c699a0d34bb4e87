"""Read one event file in chunks: blocks of summary values, and an account of every byte.

The scanner reads regular records. This module handles the record at which a scan stops: unfinished, irregular or
damaged. Memory is bounded by the chunk size or by the largest record, whichever is larger.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import LOST_FRAMING, MALFORMED_EVENT, UNREADABLE, Damage, DecodeError
from tb2csv.event_files import reference
from tb2csv.event_files.framing import (
    FAILED_CHECK_LIMIT,
    MAX_FRAME_SIZE,
    MAX_PAYLOAD_SIZE,
    ByteSource,
    SearchBudget,
    recover,
)
from tb2csv.event_files.not_event_files import HEAD_BYTES, reason_not_event_file
from tb2csv.event_files.scanners import default_scanner
from tb2csv.event_files.sound_records import sound_ranges
from tb2csv.event_files.unlisted_damage import MAX_LISTED, UnlistedDamage
from tb2csv.event_files.values import ScanStatus, SchemaTable, SessionMark, ValueBlock, ValueColumns
from tb2csv.late_modules import np
from tb2csv.tfrecord import FOOT_SIZE, HEAD_SIZE, is_payload_sound, payload_length, unpack_head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.event_files.scanners import Scanner
    from tb2csv.sources.source import Fault

#: Bytes of a file in memory at once. Smaller chunks append to every table more often.
DEFAULT_CHUNK_SIZE: Final = 64 << 20

#: Enough for the first values.
_SMALL_CHUNK_SIZE: Final = 1 << 16

#: A block ends after so many new schemas, and after some of them windows do not grow.
_MANY_SCHEMAS: Final = 1 << 16
_SOME_SCHEMAS: Final = 1 << 12

#: A TensorFlow 2 scalar takes about 60 bytes; denser events make the columns grow.
_BYTES_PER_VALUE: Final = 48

#: The number of bytes at the start of a file, and before the position up to which it was read, that identify it.
FINGERPRINT_SIZE: Final = 64


class Fingerprint(NamedTuple):
    """The bytes that identify a file that has been read up to some position; FINGERPRINT_SIZE bytes each, or fewer."""

    #: The first bytes of the file.
    first: bytes = b""
    #: The bytes before the position.
    last: bytes = b""


_NO_FINGERPRINT: Final = Fingerprint()


@dataclass(slots=True)
class FileStats:
    """Counts for one event file; ``bytes`` always equals record bytes + lost bytes + incomplete tail bytes.

    ``record_bytes`` counts complete frames that were read, ``lost_bytes`` the stretches that could not be read, and
    ``incomplete_tail_bytes`` an unfinished last record, which is normal in a log that is still being written.
    """

    path: str
    bytes: int = 0
    records: int = 0
    record_bytes: int = 0
    values: int = 0
    incomplete_tail_bytes: int = 0
    #: In the order of the bytes, at most MAX_LISTED and the reason why the file could not be read to its end.
    damage: list[Damage] = field(default_factory=list)
    #: What comes after the listed damage.
    unlisted: UnlistedDamage = field(default_factory=UnlistedDamage)
    #: The events without values, except a first one with the file's version: see ``first_event``.
    marks: list[SessionMark] = field(default_factory=list)
    #: The path of the file that this one is a copy of; empty if it is not a copy.
    copy_of: str = ""
    #: Why the file is not an event file, as a sentence; empty if it is one.
    not_events: str = ""
    fingerprint: Fingerprint = _NO_FINGERPRINT
    #: The size, modification time and number of the file when it was opened, as text; empty if they are not known.
    version: str = ""

    @property
    def left_out(self) -> bool:
        """Whether the file is left out, because it is a copy or not an event file."""
        return bool(self.copy_of or self.not_events)

    @property
    def damaged_records(self) -> int:
        """The number of damaged stretches; one that lost its framing may hold any number of records."""
        return len(self.damage) + self.unlisted.count

    @property
    def lost_bytes(self) -> int:
        """The number of bytes whose values are missing from the result."""
        listed = sum(damage.length for damage in self.damage if damage.lost) if self.damage else 0
        return listed + self.unlisted.lost_bytes

    def damaged_extents(self) -> Iterator[tuple[int, int, bool]]:
        """Yield offset and length of each damaged stretch in bytes, and whether its values are lost, in order."""
        unreadable = []
        for each in self.damage:
            if each.kind == UNREADABLE:
                unreadable.append((each.offset, each.length, each.lost))
            else:
                yield each.offset, each.length, each.lost
        yield from self.unlisted.extents()
        yield from unreadable


def add_fault(stats: FileStats, fault: Fault | None) -> None:
    """Add the bytes that are not accounted for as damage, unless all could be read."""
    if fault:
        rest = stats.bytes - stats.record_bytes - stats.lost_bytes - stats.incomplete_tail_bytes
        place = stats.path, stats.bytes - rest, rest
        stats.damage.append(Damage(*place, UNREADABLE, fault.detail, exceeds_limit=fault.exceeds_limit))


class EventFileReader:
    """Reads one event file from ``offset``; ``account`` is complete when ``blocks`` is exhausted."""

    def __init__(
        self,
        source: ByteSource,
        scanner: Scanner,
        schemas: SchemaTable,
        *,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        offset: int = 0,
        account: FileStats | None = None,
        is_unpacked: bool = False,
    ) -> None:
        """Prepare to read ``source``; nothing is read yet.

        ``schemas`` is the run's table of value schemas, to which new ones are added. ``account`` has the counts of the
        bytes before ``offset``, and reading continues it. ``is_unpacked`` is true if fewer bytes may be stored.
        """
        self._scan_buffer = scanner.scan
        self._source = source
        self._schemas = schemas
        self._chunk_size = max(chunk_size, HEAD_SIZE)
        self._effort = SearchBudget(FAILED_CHECK_LIMIT + source.size)
        self._stop = source.size
        self._stray: ValueBlock | None = None
        self._is_unpacked = is_unpacked
        # Used in turn, so that a block stays valid until the block after the next is requested.
        self._memory = [(np.empty(0, np.uint8), ValueColumns()) for _ in range(2)]
        #: Where the next record starts; after the last block, where to resume when the file has grown.
        self.offset = offset
        self.account = account or FileStats(source.path)
        self.account.bytes = source.size if account else source.size - offset
        self.account.incomplete_tail_bytes = 0

    def blocks(self) -> Iterator[ValueBlock]:
        """Yield the values of the file in file order, a chunk at a time.

        Memory is reused: a block is valid until the block after the next is requested.
        """
        wanted = self._chunk_size
        while self.offset < self._stop:
            block = self._next_block(min(wanted, self._source.size - self.offset))
            # If the next record is larger than the chunk, the next block holds the whole record.
            wanted = max(self._chunk_size, self._frame_size(block))
            self._take_fingerprint(block)
            yield from self._finished(block)
        self.account.not_events = "" if self.account.records else self._reason_not_event_file()

    def _take_fingerprint(self, block: ValueBlock) -> None:
        """Keep the first bytes of the file and those before the offset, from the block if it has them."""
        size = min(self.offset, FINGERPRINT_SIZE)
        first = self.account.fingerprint.first
        try:
            if len(first) < size:
                first = self._bytes_before(size, size, block)
            last = self._bytes_before(self.offset, size, block)
        except OSError:  # the next read fails again and is reported; without a fingerprint, the file counts as changed
            last = b""
        self.account.fingerprint = Fingerprint(first, last)

    def _bytes_before(self, offset: int, size: int, block: ValueBlock) -> bytes:
        start, stop = offset - size - block.base, offset - block.base
        if 0 <= start <= stop <= len(block.buffer):
            return bytes(block.buffer[start:stop])
        return self._source.read_at(offset - size, size)

    def _reason_not_event_file(self) -> str:
        """Return why a file without a sound record is not an event file; empty if it is a damaged event file."""
        is_named = "tfevents" in self._source.path.rpartition("/")[2]
        if self._has_sound_start() or (is_named and not self._source.size):
            return ""
        return reason_not_event_file(self._source.read_at(0, HEAD_BYTES), is_named=is_named)

    def _has_sound_start(self) -> bool:
        head = self._source.read_at(0, HEAD_SIZE)
        return len(head) == HEAD_SIZE and payload_length(head) is not None

    def _next_block(self, length: int) -> ValueBlock:
        """Read and scan the next ``length`` bytes, or fewer if a record needs a block of its own.

        Reading goes a window at a time. Bytes before the first payload are not needed after the scan, so windows of
        scalars reuse the same memory: touching fresh memory takes longer than scanning them. A block with very many new
        schemas is shorter, because each of them takes memory while the block is decoded.
        """
        buffer, columns = self._cleared_memory(length)
        first = base = self.offset
        end, window = first + length, self._source.window
        known = len(self._schemas)
        block = ValueBlock(columns, buffer[:0], base, self._is_unpacked)
        while self.offset < min(end, self._stop) and self._stray is None and len(self._schemas) < known + _MANY_SCHEMAS:
            start, stop, values_before = self.offset, min(self.offset + window, end), columns.size
            try:
                count = self._source.read_into(start, buffer[start - base : stop - base])
                block = ValueBlock(columns, buffer[: start - base + count], base, self._is_unpacked)
                self._scan(block)
            except OSError:
                if self.offset == first:
                    raise
                break  # keep what was scanned; the next read fails again and raises
            if self.offset <= block.end < stop:  # the file was truncated while it was read
                self._end_unfinished()
            if columns.has_contents or columns.payload_length[values_before : columns.size].any():
                window = length if len(self._schemas) < known + _SOME_SCHEMAS else window
            elif base == start:
                base = self.offset
            if self.offset < block.end:  # the last record goes on after the block
                needed = self._frame_size(block)
                if needed > end - self.offset:
                    break
                window = max(window, needed)
        return block

    def _cleared_memory(self, length: int) -> tuple[memoryview, ValueColumns]:
        buffer, columns = self._memory[0]
        if len(buffer) < length:
            buffer = np.empty(length, np.uint8)  # a bytearray would be zeroed
            self._memory[0] = buffer, columns
        columns.clear()
        if len(columns.schema_id) < length // _BYTES_PER_VALUE:
            columns.reserve(length // _BYTES_PER_VALUE + 16)
        return buffer.data, columns

    def _finished(self, block: ValueBlock) -> Iterator[ValueBlock]:
        if len(block):
            self._memory.reverse()
        for finished in (block, self._stray):
            if finished is None:
                continue
            values_before = self.account.values
            self.account.marks += [mark._replace(row=values_before + mark.row) for mark in finished.columns.marks]
            if len(finished):
                self.account.values += len(finished)
                yield finished
        self._stray = None

    def _frame_size(self, block: ValueBlock) -> int:
        """Return the size in bytes of the record at the offset, or of a head if the buffer does not hold the head."""
        head = block.buffer[self.offset - block.base :][:HEAD_SIZE]
        if len(head) < HEAD_SIZE:
            return HEAD_SIZE
        return HEAD_SIZE + int.from_bytes(head[:8], "little") + FOOT_SIZE

    def _scan(self, block: ValueBlock) -> None:
        """Scan a buffer up to the first record that is not complete in it; the offset may end up after the buffer."""
        while self.offset < min(block.end, self._stop):
            start = self.offset - block.base
            status, position, records = self._scan_buffer(block.buffer, start, block.base, self._schemas, block.columns)
            self.account.records += records
            self.account.record_bytes += position - start
            self.offset = block.base + position
            if status == ScanStatus.MORE:
                if self._frame_size(block) <= min(self._source.size - self.offset, MAX_FRAME_SIZE):
                    return
                self._recover(block)
            elif status == ScanStatus.FULL:
                block.columns.reserve(2 * len(block.columns.schema_id) + 16)
            elif status == ScanStatus.IRREGULAR:
                self._read_record(block, self._frame_size(block))
            else:
                self._recover(block)

    def _read_record(self, block: ValueBlock, frame_size: int) -> None:
        """Read the sound record at the offset, which is in the block, with the reference scanner, and move past it."""
        start = self.offset - block.base + HEAD_SIZE
        event = bytes(block.buffer[start : start + frame_size - HEAD_SIZE - FOOT_SIZE])
        try:
            reference.read_event(event, self.offset + HEAD_SIZE, self._schemas, block.columns)
        except DecodeError as error:
            self._add_damage(frame_size, MALFORMED_EVENT, str(error), lost=True)
        else:
            self.account.records += 1
            self.account.record_bytes += frame_size
        self.offset += frame_size

    def _recover(self, block: ValueBlock) -> None:
        """Move past the damaged record at the offset, or stop there if it is only unfinished."""
        recovery = recover(self._source, self.offset, self._effort)
        size = recovery.next_offset - self.offset
        if recovery.kind is None:
            self._end_unfinished()
        elif recovery.keep:
            # The payload is sound, so the record is read, from a block of its own if the buffer does not hold it.
            if recovery.next_offset > block.end:
                frame = memoryview(self._source.read_at(self.offset, size))
                block = self._stray = ValueBlock(ValueColumns(), frame, self.offset, self._is_unpacked)
            self._add_damage(size, recovery.kind, recovery.detail, lost=False)
            self._read_record(block, size)
        elif self._effort.left < 0:
            size = self._source.size - self.offset
            self._add_damage(size, LOST_FRAMING, "records claim one another's bytes again and again", lost=True)
            self.offset += size
        else:
            self._add_damage(size, recovery.kind, recovery.detail, lost=True)
            self.offset += size

    def _end_unfinished(self) -> None:
        self.account.incomplete_tail_bytes = self._source.size - self.offset
        self._stop = self.offset

    def _add_damage(self, length: int, kind: str, detail: str, *, lost: bool) -> None:
        if len(self.account.damage) < MAX_LISTED:
            self.account.damage.append(Damage(self._source.path, self.offset, length, kind, detail, lost))
        else:
            self.account.unlisted.add(self.offset, length, lost=lost)


class EventHead(NamedTuple):
    """An event without its values."""

    #: In seconds since the epoch; infinity if it is unknown.
    wall_time: float
    step: int
    #: The number in ``brain.Event:2``: -1 if the event has another version text, None if it has no version.
    version: float | None


#: The head of a file whose first event cannot be read.
NO_HEAD: Final = EventHead(math.inf, 0, None)

_VERSION_PREFIX: Final = "brain.Event:"


def first_event(source: ByteSource) -> EventHead:
    """Return a file's first event: its wall time in seconds since the epoch, its step, and the format's version.

    If the first record is damaged, they are those of the first sound one. An unknown wall time is infinity.
    """
    head = source.read_at(0, HEAD_SIZE)
    length = payload_length(head) if len(head) == HEAD_SIZE else None
    if length is not None and length <= MAX_PAYLOAD_SIZE:
        rest = source.read_at(HEAD_SIZE, length + FOOT_SIZE)
        payload, foot = rest[:length], rest[length:]
        if is_payload_sound([payload], foot):
            with contextlib.suppress(DecodeError):
                return _event_head(payload)
    scanner = default_scanner()
    reader = EventFileReader(source, scanner, scanner.schema_table(), chunk_size=_SMALL_CHUNK_SIZE)
    for _ in reader.blocks():
        start, stop, needs_head = next(sound_ranges(reader.account))
        if not needs_head:
            stop = start + HEAD_SIZE + unpack_head(source.read_at(start, HEAD_SIZE))[0] + FOOT_SIZE
        return _event_head(source.read_at(start + HEAD_SIZE, stop - FOOT_SIZE - start - HEAD_SIZE))
    return NO_HEAD


def _event_head(event: bytes) -> EventHead:
    """Return the head of an event; raise DecodeError if the bytes are not an event."""
    wall_time, step, text = default_scanner().read_head(event) or reference.read_head(event)
    version = None
    if text is not None:
        _, _, number = text.decode("utf-8", "replace").rpartition(_VERSION_PREFIX)
        try:
            version = float(number)
        except ValueError:
            version = -1.0
    return EventHead(math.inf if math.isnan(wall_time) else wall_time, step, version)
