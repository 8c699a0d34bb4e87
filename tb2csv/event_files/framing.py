"""TFRecord frames: their layout, their checksums, and how to find the next sound one after a damaged stretch.

    ┌────────────┬──────────────────────┬─────────────────────┬───────────────────────┐
    │ length u64 │ masked CRC-32C of it │ payload             │ masked CRC-32C of it  │   all little-endian
    └────────────┴──────────────────────┴─────────────────────┴───────────────────────┘
      8 bytes      4 bytes                length bytes          4 bytes

Format: tensorflow/core/lib/io/record_writer.h. Strategy on damage: a frame whose length is sound but whose payload is
not is stepped over, provided that a frame can start right behind it; otherwise the bytes are searched for the next
place where one can. Every step goes forward and costs no more than the bytes it passes, so that no file, however
hostile, takes more than time linear in its size.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from tb2csv.errors import BAD_LENGTH_CRC, BAD_PAYLOAD_CRC, LOST_FRAMING

if TYPE_CHECKING:
    import numpy.typing as npt

HEAD_SIZE: Final = 12
FOOT_SIZE: Final = 4
_HEAD: Final = struct.Struct("<QI")
_FOOT: Final = struct.Struct("<I")

#: An Event cannot be larger, for protobuf does not parse more; a length beyond it is no length.
MAX_PAYLOAD_SIZE: Final = 2**31 - 1
MAX_FRAME_SIZE: Final = HEAD_SIZE + MAX_PAYLOAD_SIZE + FOOT_SIZE

_SEARCH_BLOCK: Final = 1 << 20


class ByteSource(Protocol):
    """Where the bytes of an event file come from."""

    path: str
    #: Size in bytes when the source was opened; what is written later is not read.
    size: int

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on and return how many bytes there were; fewer only where the source ends."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer only where the source ends."""


class Recovery(NamedTuple):
    """What became of the bytes at which a scan stopped: where to go on, and the damage (``None`` for a mere tail).

    ``keep`` says that the record is sound but for its length's checksum; ``wasted`` counts the bytes beyond
    ``next_offset`` that had to be summed up to find out.
    """

    next_offset: int
    kind: str | None
    detail: str
    keep: bool = False
    wasted: int = 0


def masked_crc(data: bytes | memoryview) -> int:
    """Return the CRC-32C of ``data``, masked as TFRecord demands."""
    import google_crc32c

    crc: int = google_crc32c.value(bytes(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame_length(head: bytes | memoryview) -> int | None:
    """Return the payload length that a frame's first 12 bytes give, or None where its checksum says otherwise."""
    length: int
    length, crc = _HEAD.unpack_from(head)
    return length if masked_crc(head[:8]) == crc else None


def is_payload_sound(payload_and_foot: bytes | memoryview) -> bool:
    """Say whether a payload matches the checksum behind it."""
    crc: int = _FOOT.unpack_from(payload_and_foot, len(payload_and_foot) - FOOT_SIZE)[0]
    return masked_crc(payload_and_foot[:-FOOT_SIZE]) == crc


def recover(source: ByteSource, offset: int) -> Recovery:
    """Decide about the frame at ``offset``, which is damaged or not whole."""
    remaining = source.size - offset
    head = source.read_at(offset, HEAD_SIZE)
    if len(head) < HEAD_SIZE:
        return Recovery(source.size, None, f"{remaining} bytes are left, too few for a record's head")
    length = frame_length(head)
    if length is None:
        return _recover_length(source, offset)
    end = offset + HEAD_SIZE + length + FOOT_SIZE
    if length <= MAX_PAYLOAD_SIZE and end <= source.size:
        # What stopped the scan can then only be the payload's checksum.
        if _can_start(source, end):
            return Recovery(end, BAD_PAYLOAD_CRC, f"the payload of {length} bytes does not match its checksum")
        found = find_frame(source, offset + 1)
        detail = "neither the payload's checksum nor the next record's head is sound"
        return Recovery(found, LOST_FRAMING, detail, wasted=max(0, end - found))
    found = find_frame(source, offset + HEAD_SIZE)
    if found < source.size:
        return Recovery(found, LOST_FRAMING, f"a record claims {length} bytes, more than it can have")
    return Recovery(source.size, None, f"the last record has {remaining} of {HEAD_SIZE + length + FOOT_SIZE} bytes")


def _recover_length(source: ByteSource, offset: int) -> Recovery:
    found = find_frame(source, offset + 1)
    stretch = found - offset
    if HEAD_SIZE + FOOT_SIZE <= stretch <= MAX_FRAME_SIZE:
        # Up to the next frame there may be just this one, with nothing but its head damaged: the payload's checksum
        # proves it. No more bytes are summed up for that than are passed.
        frame = source.read_at(offset, stretch)
        if len(frame) == stretch and is_payload_sound(memoryview(frame)[HEAD_SIZE:]):
            detail = "the length or its checksum is damaged, the payload is whole"
            return Recovery(found, BAD_LENGTH_CRC, detail, keep=True)
    return Recovery(found, LOST_FRAMING, f"no record starts here, {stretch} bytes were skipped")


def _can_start(source: ByteSource, offset: int) -> bool:
    """Say whether a frame can start at ``offset``: a sound head stands there, or the source ends before one could."""
    head = source.read_at(offset, HEAD_SIZE)
    return len(head) < HEAD_SIZE or frame_length(head) is not None


def find_frame(source: ByteSource, offset: int) -> int:
    """Return the first offset from ``offset`` on where a whole frame seems to start, or the source's size.

    It takes a sound head, an end within the source, and at that end another sound head or the end of the source.
    """
    while source.size - offset >= HEAD_SIZE + FOOT_SIZE:
        block = source.read_at(offset, _SEARCH_BLOCK + HEAD_SIZE - 1)
        if len(block) < HEAD_SIZE:
            break
        for candidate in _sound_heads(block, source.size - offset):
            end = (
                offset + candidate + HEAD_SIZE + int.from_bytes(block[candidate : candidate + 8], "little") + FOOT_SIZE
            )
            if end == source.size or (end < source.size and _can_start(source, end)):
                return offset + candidate
        offset += len(block) - HEAD_SIZE + 1
    return source.size


def _sound_heads(block: bytes, remaining: int) -> list[int]:
    """Return the positions in ``block`` of every 12 bytes that could be the head of a frame, checksum included."""
    count = len(block) - HEAD_SIZE + 1
    # Overlapping views: lengths[i] are the eight bytes from i on, crcs[i] the four from i + 8 on.
    lengths = np.ndarray((count,), "<u8", block, 0, (1,))
    crcs = np.ndarray((count,), "<u4", block, 8, (1,))
    fitting = np.flatnonzero(lengths <= min(remaining, MAX_PAYLOAD_SIZE))
    if not fitting.size:
        return []
    octets = np.frombuffer(block, np.uint8)
    table = _crc_table()
    crc = np.full(fitting.shape, 0xFFFFFFFF, np.uint32)
    for k in range(8):
        crc = table[(crc ^ octets[fitting + k]) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    masked = (crc >> 15 | crc << 17) + np.uint32(0xA282EAD8)
    return [int(position) for position in fitting[masked == crcs[fitting]]]


@functools.cache
def _crc_table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table
