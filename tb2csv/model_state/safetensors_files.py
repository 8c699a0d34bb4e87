"""safetensors files: a length, a JSON header with the offsets of tensors, and their bytes; they hold no code.

This module does not use the package safetensors, because its numpy interface lacks bfloat16 and the 8-bit floats and
holds a whole file in memory. The format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import functools
import math
import shutil
import struct
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tb2csv.atomic_files import whole_file
from tb2csv.errors import StateError
from tb2csv.model_state.descriptions import parsed
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.tensors import MAX_DIMENSIONS, Buffer, ModelState, StateTensor
from tb2csv.plain_data import COUNT, ListOf, fits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.size_limits import SizeLimits

_LENGTH: Final = struct.Struct("<Q")
#: The format's own limit.
_LARGEST_HEADER: Final = 100_000_000
_METADATA: Final = "__metadata__"
#: The members of the entry of a tensor that are read.
_ENTRY: Final = {"dtype": str, "shape": ListOf(COUNT), "data_offsets": (COUNT, COUNT)}
_ADVICE: Final = "save the tensors again"
_DTYPES: Final = {
    "BOOL": "bool",
    **{
        f"{letter}{bits}": f"{word}{bits}" for letter, word in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
    },
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "C64": "complex64",
}


class SafetensorsFile:
    """A ``.safetensors`` file; a tensor is read when its bytes are requested."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Read the header; raises StateError if it is not sound. Such a file is never larger than it is on the disk."""
        self._path = path
        self._failure = f"{path} is not a readable safetensors file"
        self._places: dict[str, int] = {}
        with as_state_errors(self._failure, _ADVICE, (OSError, struct.error)), path.open("rb") as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            text = file.read(min(length, _LARGEST_HEADER))
            first, size = file.tell(), path.stat().st_size - file.tell()
        header = parsed(text, self._failure, _ADVICE)
        if not isinstance(header, dict):
            self._refuse("its header is not a JSON object")
        tensors = [self._tensor(name, entry, first, size) for name, entry in header.items() if name != _METADATA]
        self._refuse_shared_bytes(tensors)
        self.state = ModelState("safetensors", tuple(tensors), str(path))

    def _tensor(self, name: str, entry: Any, first: int, size: int) -> StateTensor:
        """Return a tensor by its entry in the header, of which ``size`` bytes follow from ``first`` on."""
        known: dict[str, Any] = {key: entry.get(key) for key in _ENTRY} if isinstance(entry, dict) else {}
        if not fits(known, _ENTRY) or len(known["shape"]) > MAX_DIMENSIONS:
            self._refuse(f"the entry of {name!r} has no dtype, shape and data_offsets of the expected types")
        if known["dtype"] not in _DTYPES:
            self._refuse(f"{name!r} is of dtype {known['dtype']}, which is not known")
        dtype = _DTYPES[known["dtype"]]
        shape = tuple(known["shape"])
        start, stop = known["data_offsets"]
        needed = math.prod(shape) * DTYPES[dtype].item_size
        if stop - start != needed or stop > size:
            self._refuse(f"{name!r} takes {needed} bytes and is given {stop - start}, up to {stop} of {size}")
        self._places[name] = first + start
        layer, _, parameter = name.rpartition(".")
        read = functools.partial(self._read, first + start, needed)
        return StateTensor(name, dtype, shape, read, layer=layer, parameter=parameter)

    def _refuse_shared_bytes(self, tensors: list[StateTensor]) -> None:
        """Refuse bytes that belong to several tensors: a small file would have any amount of data."""
        end, last = 0, ""
        for start, name, size in sorted(
            (self._places[each.name], each.name, each.size * DTYPES[each.dtype].item_size) for each in tensors
        ):
            if size and start < end:
                self._refuse(f"{last!r} and {name!r} have bytes in common")
            if size:
                end, last = start + size, name

    def _refuse(self, reason: str) -> NoReturn:
        message = f"{self._failure} ({reason}); {_ADVICE}."
        raise StateError(message)

    def _read(self, start: int, size: int) -> Buffer:
        content = bytearray(size)
        with self._path.open("rb") as file:
            file.seek(start)
            file.readinto(content)
        return content

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Copy the file and overwrite the bytes of its tensors."""
        shutil.copyfile(self._path, place)
        with place.open("r+b") as file:
            for name, start in self._places.items():
                content = restoration.content(name)
                if content is not None:
                    file.seek(start)
                    file.write(content)
