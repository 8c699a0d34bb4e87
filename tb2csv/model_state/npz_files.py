"""Files of ``numpy.savez``: arrays by name. Arrays of Python objects, which are pickles, are refused."""

from __future__ import annotations

import functools
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tb2csv.atomic_files import whole_file
from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import dtype_of_array
from tb2csv.model_state.npy_headers import npy_errors, npy_header
from tb2csv.model_state.tensors import ModelState, StateTensor, array_bytes, array_of_bytes, left_out_notes
from tb2csv.model_state.zip_archives import ZipArchive

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.size_limits import SizeLimits

_ENDING = ".npy"


class NpzFile:
    """An ``.npz`` file; an array is read when its bytes are requested."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Find the arrays; raises StateError if the file is not such an archive, or an array has Python objects."""
        self._path = path
        self._archive = ZipArchive(path, limits, kind="an .npz file")
        tensors = []
        left_out: dict[str, str] = {}
        for member in self._archive.members:
            if member.filename.endswith(_ENDING):
                with self._archive.open(member.filename) as file:
                    dtype, shape = npy_header(file, member.file_size, f"{member.filename} in {path}")
                tensors.append(self._tensor(member.filename, dtype, shape))
            elif not member.is_dir():
                left_out[member.filename] = "file"
        notes = left_out_notes(str(path), left_out)
        self.state = ModelState("numpy", tuple(tensors), str(path), notes, left_out)

    def _tensor(self, member: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> StateTensor:
        name = member.removesuffix(_ENDING)
        if dtype.hasobject:
            message = f"{self._path} holds Python objects in {name!r}, a pickle, which is not read; save numbers only."
            raise StateError(message)
        known = dtype_of_array(name, np.empty(0, dtype))
        return StateTensor(name, known, shape, lambda: array_bytes(self._read(member)), parameter=name)

    def _read(self, member: str) -> npt.NDArray[Any]:
        with self._archive.open(member) as file, npy_errors(f"{member} in {self._path}"):
            return np.lib.format.read_array(file, allow_pickle=False)

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write the archive with new arrays in it, packed as they were, in the same order of axes."""

        def write_array(name: str, file: IO[bytes]) -> None:
            array = self._read(name)
            content = restoration.content(name.removesuffix(_ENDING))
            array = array if content is None else array_of_bytes(content, array)
            np.lib.format.write_array(file, array, allow_pickle=False)

        arrays = [each.filename for each in self._archive.members if each.filename.endswith(_ENDING)]
        self._archive.write_copy(place, {name: functools.partial(write_array, name) for name in arrays})
