"""Files of ``numpy.savez``: arrays by name. Arrays of Python objects, which are pickles, are refused."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tb2csv.atomic_files import whole_file
from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import dtype_of_array
from tb2csv.model_state.tensors import ModelState, StateTensor, array_bytes, array_of_bytes, left_out_notes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.model_state.match_tensors import Restoration

_ENDING = ".npy"


class NpzFile:
    """An ``.npz`` file; an array is read when its bytes are requested."""

    def __init__(self, path: Path) -> None:
        """Find the arrays; raises StateError if the file is not such an archive, or an array has Python objects."""
        self._path = path
        tensors = []
        left_out: dict[str, str] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if member.filename.endswith(_ENDING):
                        with archive.open(member) as file:
                            tensors.append(self._tensor(member.filename, *_header(file)))
                    elif not member.is_dir():
                        left_out[member.filename] = "file"
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            message = f"{path} cannot be read as an .npz file ({error}); save the arrays anew."
            raise StateError(message) from error
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
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(member) as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            message = f"{member} in {self._path} is damaged: {error}"
            raise StateError(message) from error

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write the archive with new arrays in it, packed as they were, in the same order of axes."""
        with zipfile.ZipFile(self._path) as old, zipfile.ZipFile(place, "w") as new:
            for member in old.infolist():
                info = zipfile.ZipInfo(member.filename, member.date_time)
                info.compress_type = member.compress_type
                if not member.filename.endswith(_ENDING):
                    new.writestr(info, old.read(member))
                    continue
                array = self._read(member.filename)
                content = restoration.content(member.filename.removesuffix(_ENDING))
                if content is not None:
                    array = array_of_bytes(content, array)
                with new.open(info, "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)


def _header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return dtype and shape from the start of an array's file."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return dtype, shape
