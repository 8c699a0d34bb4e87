"""Recovery from damage: the search for the next valid record. tfrecord.py describes the layout of records.

A frame with a sound length and a damaged payload is skipped if another frame can start after it.
If the length is damaged, the payload's checksum can prove the length, either as it is stored or as the length's own
checksum gives it: no two lengths below 4 GiB have the same checksum. If the payload is damaged as well, another frame
that follows one of these two shows where this one ends. Otherwise the bytes are searched for the next place at which a
frame can start. Each step moves forward, and a ``SearchBudget`` limits the bytes that are read without
moving, so that even a hostile file takes linear time.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tb2csv.errors import BAD_LENGTH_CRC, BAD_PAYLOAD_CRC, LOST_FRAMING
from tb2csv.late_modules import np
from tb2csv.tfrecord import (
    CRC_MASK,
    FOOT_SIZE,
    HEAD_SIZE,
    is_payload_sound,
    payload_length,
    unmasked,
    unpack_head,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

#: protobuf does not parse larger messages, so an Event has at most this size; a larger length is damage.
MAX_PAYLOAD_SIZE: Final = 2**31 - 1
MAX_FRAME_SIZE: Final = HEAD_SIZE + MAX_PAYLOAD_SIZE + FOOT_SIZE

#: Bytes that may be checked without success in one file; no accidental damage comes close to it.
FAILED_CHECK_LIMIT: Final = 1 << 30

#: A search reads a few bytes at first and then more and more, because the next frame is usually close.
_FIRST_SEARCH_BLOCK: Final = 256
_SEARCH_BLOCK: Final = 1 << 20
_ALL_BITS: Final = 0xFFFFFFFF
#: The masked checksum of the length 0.
_CRC_OF_ZERO: Final = 0x07980329


class ByteSource(Protocol):
    """The bytes of an event file; implemented by the files that ``sources.source.OpenFile`` describes."""

    path: str
    #: Size in bytes when the source was opened; bytes written later are not read.
    size: int
    #: How many bytes to read at a time if no more are needed at once.
    window: int

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` with the bytes from ``offset`` and return their number; fewer only at the source's end."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only at the source's end."""


@dataclass(slots=True, eq=False, repr=False)
class SearchBudget:
    """The number of bytes that may still be checked without success; below zero, the rest of the file is given up."""

    left: int

    def affords(self, size: int) -> bool:
        """Return whether ``size`` bytes may be checked, and if so, count them."""
        if size > self.left:
            return False
        self.left -= size
        return True


class Recovery(NamedTuple):
    """The result of a recovery: where to continue, and the kind of damage (None for an incomplete tail).

    ``keep`` is true if the record is sound except for its head.
    """

    next_offset: int
    kind: str | None
    detail: str
    keep: bool = False


def recover(source: ByteSource, offset: int, budget: SearchBudget) -> Recovery:
    """Decide what to do about the frame at ``offset``, which is damaged or incomplete."""
    remaining = source.size - offset
    head = source.read_at(offset, HEAD_SIZE)
    if len(head) < HEAD_SIZE:
        return Recovery(source.size, None, f"{remaining} bytes are left, too few for a record's head")
    length = payload_length(head)
    if length is None:
        return _recover_head(source, offset, budget)
    end = offset + HEAD_SIZE + length + FOOT_SIZE
    if length <= MAX_PAYLOAD_SIZE and end <= source.size:
        return _recover_payload(source, offset, end, budget)
    found = find_frame(source, offset + HEAD_SIZE, budget)
    if found < source.size or length > MAX_PAYLOAD_SIZE:
        return Recovery(found, LOST_FRAMING, f"a record claims {length} bytes, more than it can have")
    return Recovery(source.size, None, f"the last record has {remaining} of {HEAD_SIZE + length + FOOT_SIZE} bytes")


def is_sound_frame(source: ByteSource, offset: int) -> bool:
    """Return whether a complete record with sound checksums is at ``offset``."""
    head = source.read_at(offset, HEAD_SIZE)
    length = payload_length(head) if len(head) == HEAD_SIZE else None
    if length is None or length > MAX_PAYLOAD_SIZE:
        return False
    end = offset + HEAD_SIZE + length + FOOT_SIZE
    return end <= source.size and _is_sound_up_to(source, offset, end)


def _recover_payload(source: ByteSource, offset: int, end: int, budget: SearchBudget) -> Recovery:
    """Decide what to do about a complete frame whose head is sound and whose payload does not match its checksum."""
    found = find_frame(source, offset + HEAD_SIZE, budget, end)
    left = source.size - end
    is_followed = left == 0 or _has_sound_head(source, end) or _proven_end(source, end, budget) is not None
    # A payload may contain frames. They are records only if bytes of this frame are missing and later records have
    # taken their place.
    if found < end and (not is_followed or _is_chain(source, found, end)):
        budget.left -= end - found
    elif is_followed or left < HEAD_SIZE:
        detail = f"the payload of {end - offset - HEAD_SIZE - FOOT_SIZE} bytes does not match its checksum"
        if found < end:
            detail += f"; the record at byte {found}, which may be part of the payload, is not read"
        return Recovery(end, BAD_PAYLOAD_CRC, detail)
    else:
        found = find_frame(source, end, budget)
    return Recovery(found, LOST_FRAMING, "neither the payload's checksum nor the next record's head is sound")


def _recover_head(source: ByteSource, offset: int, budget: SearchBudget) -> Recovery:
    end = _proven_end(source, offset, budget)
    if end is None:
        found = find_frame(source, offset + 1, budget)
        known = _followed_end(source, offset)
        if known is not None and found < known:
            if not _is_chain(source, found, known):
                return Recovery(known, LOST_FRAMING, "neither a record's head nor its payload is sound")
            budget.left -= known - found
        stretch = found - offset
        # This frame may reach up to the next one; checking that reads no more bytes than are skipped.
        if not (HEAD_SIZE + FOOT_SIZE <= stretch <= MAX_FRAME_SIZE and _is_sound_up_to(source, offset, found)):
            return Recovery(found, LOST_FRAMING, "no record starts here")
        end = found
    return Recovery(end, BAD_LENGTH_CRC, "the length or its checksum is damaged, the payload is whole", keep=True)


def _proven_end(source: ByteSource, offset: int, budget: SearchBudget) -> int | None:
    """Return the end of the frame whose damaged head is at ``offset``, if the payload's checksum proves it."""
    for end in _claimed_ends(source, offset):
        length = end - offset - HEAD_SIZE - FOOT_SIZE
        if budget.affords(length) and _is_sound_up_to(source, offset, end):
            budget.left += length
            return end
    return None


def _followed_end(source: ByteSource, offset: int) -> int | None:
    """Return the end of the frame whose damaged head is at ``offset`` that another sound head follows, or None.

    The frame's payload may hold frames of its own, which are not records. The source's end counts as well. If both ends
    are followed, a damaged length points to a frame within the payload by chance; a damaged checksum hardly ever does,
    because the length that it gives is any number below 4 GiB.
    """
    ends = reversed(_claimed_ends(source, offset))
    return next((end for end in ends if end == source.size or _has_sound_head(source, end)), None)


def _claimed_ends(source: ByteSource, offset: int) -> list[int]:
    """Return where the frame with the damaged head at ``offset`` ends, by its length, then by the length's checksum."""
    head = source.read_at(offset, HEAD_SIZE)
    if len(head) < HEAD_SIZE:
        return []
    stored, crc = unpack_head(head)
    lengths = [length for length in (stored, _length_of_crc(crc)) if length <= MAX_PAYLOAD_SIZE]
    ends = [offset + HEAD_SIZE + length + FOOT_SIZE for length in lengths]
    return [end for end in ends if end <= source.size]


def _is_sound_up_to(source: ByteSource, offset: int, end: int) -> bool:
    """Return whether the payload of a frame from ``offset`` to ``end`` matches its checksum; it is read in parts."""
    payload_end = end - FOOT_SIZE

    def parts() -> Iterator[bytes]:
        for start in range(offset + HEAD_SIZE, payload_end, _SEARCH_BLOCK):
            yield source.read_at(start, min(_SEARCH_BLOCK, payload_end - start))

    return is_payload_sound(parts(), source.read_at(payload_end, FOOT_SIZE))


def _length_of_crc(masked: int) -> int:
    """Return the only length below 4 GiB that has this masked checksum."""
    state = unmasked(masked) ^ _ALL_BITS
    steps = _backward_steps()
    for _ in range(8):
        position, entry = steps[state >> 24]
        state = ((state ^ entry) << 8 | position) & _ALL_BITS
    return state ^ _ALL_BITS


@functools.cache
def _backward_steps() -> dict[int, tuple[int, int]]:
    """Return the position and the value of the table entry that produces each highest byte of a checksum."""
    return {entry >> 24: (position, entry) for position, entry in enumerate(_crc_table().tolist())}


def _has_sound_head(source: ByteSource, offset: int) -> bool:
    head = source.read_at(offset, HEAD_SIZE)
    return len(head) == HEAD_SIZE and payload_length(head) is not None


def _is_chain(source: ByteSource, offset: int, end: int) -> bool:
    """Return whether frames with sound heads fill the bytes from ``offset`` to exactly ``end``."""
    while offset < end:
        head = source.read_at(offset, HEAD_SIZE)
        length = payload_length(head) if len(head) == HEAD_SIZE else None
        if length is None:
            return False
        offset += HEAD_SIZE + length + FOOT_SIZE
    return offset == end


def find_frame(source: ByteSource, offset: int, budget: SearchBudget, stop: int | None = None) -> int:
    """Return the first offset, from ``offset`` on, at which a complete frame seems to start, or else ``stop``.

    A frame needs a sound head and an end within the source. At its end there must be another sound head or the end of
    the source, or else its payload must be sound. ``stop`` is the source's size by default.
    """
    stop = source.size if stop is None else stop
    size = _FIRST_SEARCH_BLOCK
    while offset < stop and source.size - offset >= HEAD_SIZE + FOOT_SIZE:
        block = source.read_at(offset, min(size, stop - offset) + HEAD_SIZE - 1)
        if len(block) < HEAD_SIZE:
            break
        for candidate in _sound_heads(block, source.size - offset):
            start = offset + candidate
            length = int.from_bytes(block[candidate : candidate + 8], "little")
            end = start + HEAD_SIZE + length + FOOT_SIZE
            if end > source.size:
                continue
            if source.size - end < HEAD_SIZE or _has_sound_head(source, end):
                return start
            if budget.affords(length) and _is_sound_up_to(source, start, end):
                budget.left += length
                return start
        offset += len(block) - HEAD_SIZE + 1
        size = min(2 * size, _SEARCH_BLOCK)
    return stop


def _sound_heads(block: bytes, remaining: int) -> list[int]:
    """Return the positions in ``block`` of all heads of frames whose checksum matches."""
    count = len(block) - HEAD_SIZE + 1
    # Overlapping views: lengths[i] is the eight bytes from i, crcs[i] the four bytes from i + 8.
    lengths = np.ndarray((count,), "<u8", block, 0, (1,))
    crcs = np.ndarray((count,), "<u4", block, 8, (1,))
    # A power failure leaves long stretches of zeros; they are not heads and must not be tried one by one.
    fitting = np.flatnonzero((lengths <= min(remaining, MAX_PAYLOAD_SIZE)) & ((lengths != 0) | (crcs == _CRC_OF_ZERO)))
    if not fitting.size:
        return []
    octets = np.frombuffer(block, np.uint8)
    table = _crc_table()
    crc = np.full(fitting.shape, 0xFFFFFFFF, np.uint32)
    for k in range(8):
        crc = table[(crc ^ octets[fitting + k]) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    masked = (crc >> 15 | crc << 17) + np.uint32(CRC_MASK)
    return [int(position) for position in fitting[masked == crcs[fitting]]]


@functools.cache
def _crc_table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table
