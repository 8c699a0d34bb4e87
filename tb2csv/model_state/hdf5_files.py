"""HDF5 files of models: tensors in datasets, which are read in place and overwritten in a copy of the file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from tb2csv.atomic_files import whole_file
from tb2csv.model_state.hdf5_contents import read_contents
from tb2csv.model_state.hdf5_tensors import dataset_dtype, overwrite_datasets, read_dataset
from tb2csv.model_state.tensors import ModelState, StateTensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.hdf5_contents import Dataset, Group
    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import Buffer
    from tb2csv.size_limits import SizeLimits


class Source(NamedTuple):
    """An HDF5 file and what is in it; ``keeper`` keeps the file on disk, such as the owner of a temporary folder."""

    path: Path
    root: Group
    keeper: object = None

    @classmethod
    def of(cls, path: Path, limits: SizeLimits, stored: int | None = None, keeper: object = None) -> Source:
        """Return a file with what is in it; raises StateError if it is damaged, has links, or declares too much."""
        return cls(path, read_contents(path, limits, stored), keeper)


class Place(NamedTuple):
    """The location of a dataset: its file, and its name in the file."""

    file: Path
    name: str


class StoredTensor(NamedTuple):
    """A tensor and the locations of its datasets; all of them are written."""

    tensor: StateTensor
    places: tuple[Place, ...]
    #: Whether the file does not have it yet.
    is_new: bool = False


class Hdf5File:
    """A model file whose tensors are HDF5 datasets."""

    def __init__(self, path: Path, stored: Sequence[StoredTensor], notes: Sequence[str] = ()) -> None:
        """Hold the tensors of a file."""
        self._path = path
        self._hold(stored, notes)

    def _hold(self, stored: Sequence[StoredTensor], notes: Sequence[str]) -> None:
        self._stored = list(stored)
        self.state = ModelState("keras", tuple(each.tensor for each in stored), str(self._path), tuple(notes))

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Copy the file and overwrite its datasets."""
        self._write_copy(self._path, place, restoration)

    def _write_copy(self, source: Path, target: Path, restoration: Restoration) -> None:
        shutil.copyfile(source, target)
        overwrite_datasets(target, self._contents(source, restoration), self._path)

    def _contents(self, source: Path, restoration: Restoration) -> Iterator[tuple[StateTensor, Buffer, Sequence[str]]]:
        for tensor, places, is_new in self._stored:
            names = [place.name for place in places if place.file == source]
            content = restoration.content(tensor.name) if names else None
            if content is None and names and is_new:
                content = tensor.content()  # a slot that the state lacks begins as the framework makes it
            if content is not None:
                yield tensor, content, names


def dataset_tensor(source: Source, dataset: Dataset, name: str, live: str = "", **facts: Any) -> StateTensor:
    """Return the tensor in a dataset.

    ``live`` is the dtype of the live model's variable, for a dataset that does not say its own; ``facts`` are further
    fields of StateTensor.
    """
    dtype = dataset_dtype(source.path, dataset, live)

    def read() -> Buffer:
        return read_dataset(source.path, dataset)

    return StateTensor(name, dtype, dataset.shape, read, **facts)
