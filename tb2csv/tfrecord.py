"""TFRecord: the layout of a record in an event file, and its checksums.

    ┌────────────┬──────────────────────┬─────────────────────┬───────────────────────┐
    │ length u64 │ masked CRC-32C of it │ payload             │ masked CRC-32C of it  │   all little-endian
    └────────────┴──────────────────────┴─────────────────────┴───────────────────────┘
      8 bytes      4 bytes                length bytes          4 bytes

Format: tensorflow/core/lib/io/record_writer.h. The compiled scanner has its own checksums (``_crc32c.pxi``).
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from tb2csv.late_modules import np

    Bytes: TypeAlias = bytes | npt.NDArray[np.uint8]

_Part = TypeVar("_Part", bound="Bytes")

HEAD_SIZE: Final = 12
FOOT_SIZE: Final = 4
#: Added to each checksum, because checksums of data that contain checksums are weak.
CRC_MASK: Final = 0xA282EAD8

_HEAD: Final = struct.Struct("<QI")
_LENGTH: Final = struct.Struct("<Q")
_FOOT: Final = struct.Struct("<I")
_ALL_BITS: Final = 0xFFFFFFFF


def record(*payload: _Part) -> tuple[bytes | _Part, ...]:
    """Return the parts of the record with this payload, which is one part or several; none is copied."""
    return record_head(sum(map(len, payload))), *payload, _FOOT.pack(masked_crc(payload))


def record_head(length: int) -> bytes:
    """Return the first 12 bytes of a record whose payload has ``length`` bytes."""
    return _HEAD.pack(length, masked_crc([_LENGTH.pack(length)]))


def unpack_head(head: bytes) -> tuple[int, int]:
    """Return the length and the masked checksum in the first 12 bytes of a record; they may not match."""
    length, crc = _HEAD.unpack(head)
    return length, crc


@functools.lru_cache(maxsize=4096)
def payload_length(head: bytes) -> int | None:
    """Return the length in the first 12 bytes of a record, or None if its checksum does not match."""
    length, crc = unpack_head(head)
    return length if masked_crc([head[:8]]) == crc else None


def is_payload_sound(payload: Iterable[bytes], foot: bytes | memoryview) -> bool:
    """Return whether a payload, in one part or several, matches the last 4 bytes of its record."""
    return foot == _FOOT.pack(masked_crc(payload))


def masked_crc(parts: Iterable[Bytes]) -> int:
    """Return the masked CRC-32C of all parts together; each is needed only until the next one."""
    extend = _extend()
    crc = 0
    for part in parts:
        crc = extend(crc, part)
    return ((crc >> 15 | crc << 17) + CRC_MASK) & _ALL_BITS


def unmasked(crc: int) -> int:
    """Return the CRC-32C of a masked one."""
    rotated = (crc - CRC_MASK) & _ALL_BITS
    return (rotated >> 17 | rotated << 15) & _ALL_BITS


@functools.cache
def _extend() -> Callable[[int, Bytes], int]:
    import google_crc32c  # the compiled scanner does without it

    extend: Callable[[int, Bytes], int] = google_crc32c.extend
    return extend
