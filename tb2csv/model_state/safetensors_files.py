"""safetensors files: a length, a JSON header with the offsets of tensors, and their bytes; they hold no code.

This module does not use the package safetensors, because its numpy interface lacks bfloat16 and the 8-bit floats and
holds a whole file in memory. The format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import shutil
import struct
from typing import TYPE_CHECKING, Any, Final

from tb2csv.atomic_files import whole_file
from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.match_tensors import Restoration

_LENGTH: Final = struct.Struct("<Q")
#: The format's own limit.
_LARGEST_HEADER: Final = 100_000_000
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

    def __init__(self, path: Path) -> None:
        """Read the header; raises StateError if it is not sound."""
        self._path = path
        self._places: dict[str, int] = {}
        tensors = []
        try:
            with path.open("rb") as file:
                (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
                header = json.loads(file.read(min(length, _LARGEST_HEADER)))
                first, end = file.tell(), path.stat().st_size
            for name, entry in header.items():
                if name != "__metadata__":
                    tensors.append(self._tensor(name, entry, first, end))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            message = f"{path} is not a readable safetensors file ({error}); save the tensors again."
            raise StateError(message) from error
        self.state = ModelState("safetensors", tuple(tensors), str(path))

    def _tensor(self, name: str, entry: dict[str, Any], first: int, end: int) -> StateTensor:
        if entry["dtype"] not in _DTYPES:
            message = f"{name!r} is of dtype {entry['dtype']}, which is not known"
            raise ValueError(message)
        dtype = _DTYPES[entry["dtype"]]
        shape = tuple(int(size) for size in entry["shape"])
        start, stop = (first + int(offset) for offset in entry["data_offsets"])
        size = math.prod(shape) * DTYPES[dtype].item_size
        if min(shape, default=0) < 0 or start < first or stop - start != size or stop > end:
            message = f"{name!r} takes {size} bytes and is given {stop - start}, up to {stop} of {end}"
            raise ValueError(message)
        self._places[name] = start
        layer, _, parameter = name.rpartition(".")
        return StateTensor(name, dtype, shape, lambda: self._read(start, size), layer=layer, parameter=parameter)

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
