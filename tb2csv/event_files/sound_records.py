"""The sound records of an event file, copied with correct checksums and without the damaged bytes between them.

The bytes of a file are records, damaged stretches and an unfinished tail. So the sound records are what the damage of
its statistics leaves. A record whose head is damaged, but whose payload is proven, gets a new head; all other bytes are
those of the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.tfrecord import FOOT_SIZE, HEAD_SIZE, record_head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.event_files.framing import ByteSource

_BLOCK: Final = 4 << 20


class SoundRange(NamedTuple):
    """Bytes of a file from ``start`` to ``stop``: sound records, or one record of which only the head is damaged."""

    start: int
    stop: int
    needs_head: bool = False


def sound_ranges(stats: FileStats) -> Iterator[SoundRange]:
    """Yield the ranges of a file that has been read, in order, whose values are in the result."""
    position = 0
    kept: SoundRange | None = None
    for offset, length, lost in stats.damaged_extents():
        stop = offset + length
        if lost and kept and kept.start == offset:  # the payload is whole, and is not an event
            kept = None
        if kept:
            yield kept
            kept = None
        if position < offset:
            yield SoundRange(position, offset)
        if not lost:
            kept = SoundRange(offset, stop, needs_head=True)
        position = max(position, stop)
    if kept:
        yield kept
    end = stats.bytes - stats.incomplete_tail_bytes
    if position < end:
        yield SoundRange(position, end)


def sound_bytes(source: ByteSource, stats: FileStats) -> Iterator[bytes]:
    """Yield the sound records of a file in parts of a few megabytes; ``stats`` is what reading all of it gave.

    Raises:
        OSError: it cannot be read.
    """
    for start, stop, needs_head in sound_ranges(stats):
        position = start
        if needs_head:
            yield record_head(stop - start - HEAD_SIZE - FOOT_SIZE)
            position += HEAD_SIZE
        while position < stop:
            part = source.read_at(position, min(_BLOCK, stop - position))
            if not part:
                break  # it was truncated: the copy is shorter than its records
            yield part
            position += len(part)
