"""The index of a TensorFlow checkpoint, checked before TensorFlow reads it.

The index is a table of LevelDB with an entry for each variable. TensorFlow ends the process for some damaged entries
(seen with 2.21), and then no exception can be caught.

Format: tensorflow/core/util/tensor_bundle/tensor_bundle.cc, tensorflow/core/lib/io/table_format.txt.
"""

from __future__ import annotations

import itertools
import math
import struct
from typing import TYPE_CHECKING, Any, Final

from tb2csv.model_state.foreign_errors import FRAMEWORK, as_state_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOOT: Final = 48
_MAGIC: Final = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
#: Bytes after a block: whether it is compressed, which TensorFlow never does, and its checksum.
_TRAILER: Final = 5
_MAX_RANK: Final = 254
#: Types from here on are references to variables.
_FIRST_REFERENCE: Final = 101


def check_index(index: Path, path: Path) -> None:
    """Raise StateError if the index of the checkpoint at ``path`` is not sound."""
    what, advice = f"{path} is not a readable TensorFlow checkpoint", "save or fetch it again"
    with as_state_errors(what, advice, (OSError, ValueError, IndexError, struct.error)):
        entries = list(_entries(index.read_bytes()))
    from tensorflow.core.framework.types_pb2 import DataType
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

    dtypes = frozenset(each for each in DataType.values() if 0 < each < _FIRST_REFERENCE)
    with as_state_errors(what, advice, FRAMEWORK):
        header = BundleHeaderProto.FromString(entries[0][1] if entries and not entries[0][0] else b"")
        for key, value in entries:
            if key and not _is_sound(BundleEntryProto.FromString(value), dtypes, header.num_shards):
                message = f"the entry {key.decode('utf-8', 'replace')!r} of its index is damaged"
                raise ValueError(message)


def _is_sound(entry: Any, dtypes: frozenset[int], shards: int) -> bool:
    sizes = [dim.size for dim in entry.shape.dim]
    return (
        entry.dtype in dtypes
        and not entry.shape.unknown_rank
        and len(sizes) <= _MAX_RANK
        and min(sizes, default=0) >= 0
        and math.prod(size or 1 for size in sizes) < 1 << 63
        and 0 <= entry.shard_id < max(shards, 1)
        and min(entry.offset, entry.size) >= 0
    )


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table; raises ValueError, IndexError or struct.error if it is damaged."""
    if len(data) < _FOOT or data[-len(_MAGIC) :] != _MAGIC:
        message = "its index is cut off"
        raise ValueError(message)
    _, _, *handle = itertools.islice(_Numbers(data, len(data) - _FOOT), 4)
    end = 0
    for _, value in _block_entries(data, *handle):
        offset, size = itertools.islice(_Numbers(value, 0), 2)
        if offset < end:
            message = "blocks of its index overlap"
            raise ValueError(message)
        end = offset + size
        yield from _block_entries(data, offset, size)


def _block_entries(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if offset + size + _TRAILER > len(data) or data[offset + size]:
        message = "a block of its index is compressed or cut off"
        raise ValueError(message)
    block = data[offset : offset + size]
    (restarts,) = struct.unpack_from("<I", block, size - 4)
    block = block[: max(size - 4 * (restarts + 1), 0)]
    at, key = 0, b""
    while at < len(block):
        numbers = _Numbers(block, at)
        shared, added, length = itertools.islice(numbers, 3)
        at = numbers.at
        if shared > len(key) or at + added + length > len(block):
            message = "an entry of its index is cut off"
            raise ValueError(message)
        key = key[:shared] + block[at : at + added]
        yield key, block[at + added : at + added + length]
        at += added + length


class _Numbers:
    """The varints of a message from a position on."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def __iter__(self) -> _Numbers:
        return self

    def __next__(self) -> int:
        number = shift = 0
        while True:
            byte = self._data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number
            if shift > 63:
                message = "a number of its index does not end"
                raise ValueError(message)
