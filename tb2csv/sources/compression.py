"""Compressed data: recognised by its first bytes, and unpacked part by part within a limit.

Data that unpacks to much more than its own size may be made to fill a disk. Scalars stay far below the limit, because
each record has a time, a step and checksums, which do not compress. Large tensors of zeros reach it with Zstandard.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

from tb2csv.errors import MissingExtraError
from tb2csv.sources.source import ExpansionError
from tb2csv.tfrecord import HEAD_SIZE, payload_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.size_limits import SizeLimits

#: The number of bytes that show whether a file is compressed.
SHOWN_BY: Final = HEAD_SIZE

_READ: Final = 64 << 10
_PART: Final = 1 << 20
_ZSTD_PIECE: Final = 1 << 10


class PackedDataError(Exception):
    """Compressed data is damaged or cut off; ``str`` gives the end of a sentence."""


class Stream(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most ``size``; none at the end."""


class Unpack(Protocol):
    """Unpacks a stream."""

    def __call__(self, packed: Stream) -> Iterator[bytes]:
        """Yield the unpacked bytes in parts of some megabytes at most.

        Raises:
            PackedDataError: the data is damaged or cut off; what comes before has been yielded.
            MissingExtraError: a package is missing.
        """


def _gzip_parts(packed: Stream) -> Iterator[bytes]:
    """Unpack gzip members, which may follow one another, with zeros in between."""
    data = packed.read(_READ)
    while data:
        member = zlib.decompressobj(wbits=31)
        while True:
            before = member.copy()
            try:
                part = member.decompress(data, _PART)
            except zlib.error:
                yield from _before_error(before, data)
                message = "its gzip data is damaged"
                raise PackedDataError(message) from None
            if part:
                yield part
            if member.eof:
                break
            data = member.unconsumed_tail or packed.read(_READ)
            if not data:
                message = "its gzip data is cut off"
                raise PackedDataError(message)
        data = member.unused_data.lstrip(b"\0")
        while not data and (more := packed.read(_READ)):
            data = more.lstrip(b"\0")


def _before_error(member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yield what comes before the damage: zlib drops it if it gets all of the data in one call."""
    for place in range(len(data)):
        rest = data[place : place + 1]
        while rest:
            try:
                part = member.decompress(rest, _PART)
            except zlib.error:
                return
            if part:
                yield part
            rest = member.unconsumed_tail


def _zstd_parts(packed: Stream) -> Iterator[bytes]:
    """Unpack Zstandard frames, which may follow one another."""
    try:
        import zstandard
    except ImportError:
        what = "A file that is compressed with Zstandard"
        raise MissingExtraError(what, "zstandard", "zst") from None
    context = zstandard.ZstdDecompressor()
    data = packed.read(_READ)
    while data:
        frame = context.decompressobj()
        while not frame.eof:
            # Unlike zlib, all that some bytes unpack to comes at once: 32 MB at most from so few.
            taken, data = data[:_ZSTD_PIECE], data[_ZSTD_PIECE:] or packed.read(_READ)
            try:
                part = frame.decompress(taken)
            except zstandard.ZstdError:
                message = "its Zstandard data is damaged"
                raise PackedDataError(message) from None
            if part:
                yield part
            if not data and not frame.eof:
                message = "its Zstandard data is cut off"
                raise PackedDataError(message)
        data = frame.unused_data + data


#: How to unpack data, by its first bytes.
_FORMATS: Final[dict[bytes, Unpack]] = {b"\x1f\x8b\x08": _gzip_parts, b"\x28\xb5\x2f\xfd": _zstd_parts}

#: The endings of the names of compressed files.
PACKED_ENDINGS: Final = (".gz", ".zst")


def unpacking_of(head: bytes) -> Unpack | None:
    """Return how to unpack a file with these first SHOWN_BY bytes, or None if it is not compressed.

    A record may begin with the same bytes, and then has a sound head.
    """
    if head[:1] not in {b"\x1f", b"\x28"}:
        return None
    if len(head) >= HEAD_SIZE and payload_length(head[:HEAD_SIZE]) is not None:
        return None
    return next((unpack for start, unpack in _FORMATS.items() if head.startswith(start)), None)


def unpacked_parts(unpack: Unpack, packed: Stream, size: int, limits: SizeLimits) -> Iterator[bytes]:
    """Yield the unpacked bytes of ``packed``, of which ``size`` bytes are stored.

    Raises:
        PackedDataError: the data is damaged or cut off.
        ExpansionError: the data unpacks to more than the limit.
        MissingExtraError: a package is missing.
    """
    left = limits.events(size)
    for part in unpack(packed):
        yield part[:left]
        left -= len(part)
        if left < 0:
            raise ExpansionError.of(limits)


class ForwardStream:
    """The bytes of an open file, from its start."""

    def __init__(self, file: _Readable) -> None:
        """Read ``file``."""
        self._file = file
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most ``size``; none at the end."""
        buffer = bytearray(size)
        count = self._file.read_into(self._position, memoryview(buffer))
        self._position += count
        return bytes(buffer[:count])


class _Readable(Protocol):
    def read_into(self, offset: int, buffer: memoryview) -> int: ...
