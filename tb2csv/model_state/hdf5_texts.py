"""The lengths of texts of variable length in an HDF5 file, read from its bytes before libhdf5 reads the texts.

Such a text is stored as a descriptor of 16 bytes: a length, and the place of the bytes in a heap. libhdf5 takes memory
for the stated length, at most 4 GiB, before it compares it with the heap, and has no call that returns the length
alone. So the descriptors are read here: those of a dataset are its data, those of an attribute are in the header of its
object. A descriptor in a form that h5py does not write is refused.

Format: HDF5 File Format Specification, version 3, IV.A.1 (headers of objects), IV.A.2.m (attributes).
"""

from __future__ import annotations

import math
import struct
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import hdf5_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DESCRIPTOR: Final = np.dtype([("length", "<u4"), ("place", "V12")])
#: Bytes of an address and of a length in the file. Other sizes are for files of another age.
_SIZES: Final = (8, 8)
#: The types of messages in the header of an object.
_ATTRIBUTE: Final = 0x0C
_CONTINUATION: Final = 0x10
#: The flag of a message that is kept elsewhere.
_SHARED: Final = 0x02


class TextLengths:
    """The lengths of the texts in one open file."""

    def __init__(self, path: Path, file: Any, raw: IO[bytes]) -> None:
        """Look into a file of h5py, which is open for reading as ``raw`` as well."""
        self._path = path
        self._file = file
        self._raw = raw
        self._size = path.stat().st_size
        #: The attributes of the object that was looked at last, by its address.
        self._last: tuple[int, list[tuple[bytes, bytes]]] = (-1, [])

    def of_attribute(self, item: Any, name: str, count: int) -> int:
        """Return the bytes of the texts in an attribute of an object, which has ``count`` of them.

        Raises:
            StateError: a text is longer than the file, or its descriptor is in an unusual form.
        """
        import h5py

        with hdf5_errors(self._path):
            address = h5py.h5o.get_info(item.id).addr + self._file.userblock_size
            sizes = self._file.id.get_create_plist().get_sizes()
        if sizes != _SIZES:
            self._refuse_form(name)
        if self._last[0] != address:
            self._last = address, list(self._attributes(address, name))
        found = [data for other, data in self._last[1] if other == name.encode()]
        if not found or any(len(data) < count * _DESCRIPTOR.itemsize for data in found):
            self._refuse_form(name)
        return max(self._sum(data[: count * _DESCRIPTOR.itemsize], name) for data in found)

    def of_dataset(self, dataset: Any, place: str) -> int:
        """Return the bytes of the texts in a dataset.

        Raises:
            StateError: a text is longer than the file, or the descriptors are in an unusual form.
        """
        return sum(self._sum(part, place) for part in self._parts(dataset, place))

    def _parts(self, dataset: Any, place: str) -> Iterator[bytes]:
        """Yield the descriptors that are stored of a dataset."""
        import h5py

        with hdf5_errors(self._path):
            facts = dataset.id.get_create_plist()
            layout, offset = facts.get_layout(), dataset.id.get_offset()
            has_fill_value = facts.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
            has_filters = facts.get_nfilters() > 0
        if has_fill_value or has_filters or layout not in {h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED}:
            self._refuse_form(place)
        if layout == h5py.h5d.CONTIGUOUS:
            if offset is not None:
                yield self._read(offset, math.prod(dataset.shape) * _DESCRIPTOR.itemsize)
            return
        chunks: list[tuple[int, ...]] = []
        with hdf5_errors(self._path):
            dataset.id.chunk_iter(lambda chunk: chunks.append(chunk.chunk_offset))
        for each in chunks:
            with hdf5_errors(self._path):
                _, content = dataset.id.read_direct_chunk(each)
            yield content

    def _sum(self, descriptors: bytes, place: str) -> int:
        whole = len(descriptors) // _DESCRIPTOR.itemsize * _DESCRIPTOR.itemsize
        lengths = np.frombuffer(descriptors[:whole], _DESCRIPTOR)["length"]
        longest = int(lengths.max(initial=0))
        if longest > self._size:
            message = (
                f"{self._path} states that a text at {place!r} has {longest:,} bytes, which are more than the "
                f"{self._size:,} of the file; save or fetch the model again."
            )
            raise StateError(message)
        return int(lengths.sum(dtype=np.int64))

    def _attributes(self, address: int, name: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield the names and data of the attributes in the header at an address."""
        for kind, flags, content in self._messages(address):
            if kind != _ATTRIBUTE:
                continue
            version = content[0] if len(content) >= 8 else 0
            if flags & _SHARED or version not in {1, 2, 3}:
                self._refuse_form(name)
            sizes = struct.unpack_from("<HHH", content, 2)
            # Version 1 pads each part to 8 bytes, version 3 states the encoding of the name.
            ends = [size + (-size % 8 if version == 1 else 0) for size in sizes]
            start = 9 if version == 3 else 8
            yield content[start : start + sizes[0]].split(b"\0", 1)[0], content[start + sum(ends) :]

    def _messages(self, address: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield the types, flags and contents of the messages in the header of an object."""
        head = self._read(address, 16, 16 + 24)
        if head[:4] == b"OHDR":
            flags = head[5]
            start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            size = int.from_bytes(head[start : start + width], "little")
            form, around = ("<BHB" if not flags & 4 else "<BHBH"), 4
            waiting = [(address + start + width, size)]
        else:
            form, around = "<HHB3x", 0
            waiting = [(address + 16, int.from_bytes(head[8:12], "little"))]
        seen = 0
        while waiting:
            block = self._read(*waiting.pop())
            seen += len(block)
            if seen > self._size:  # blocks that continue in one another
                self._damaged()
            at = 0
            while at + struct.calcsize(form) <= len(block):
                kind, size, flags = struct.unpack_from(form, block, at)[:3]
                at += struct.calcsize(form)
                content = block[at : at + size]
                at += size
                if kind == _CONTINUATION and len(content) >= 16:
                    # A block of the newer format has a signature and a checksum around its messages.
                    place, length = struct.unpack_from("<QQ", content)
                    base = self._file.userblock_size
                    waiting.append((base + place + around, max(length - 2 * around, 0)))
                yield kind, flags, content

    def _read(self, offset: int, size: int, most: int = 0) -> bytes:
        """Return bytes of the file, at least ``size`` and at most ``most`` if that is more."""
        if offset + size > self._size:
            self._damaged()
        self._raw.seek(offset)
        return self._raw.read(max(size, most))

    def _damaged(self) -> NoReturn:
        message = f"{self._path} is not a readable HDF5 file (it refers to bytes after its end); fetch the model again."
        raise StateError(message)

    def _refuse_form(self, place: str) -> NoReturn:
        message = (
            f"{self._path} has texts of variable length in an unusual form at {place!r}, so their lengths cannot be "
            "checked; save the model anew with Keras."
        )
        raise StateError(message)
