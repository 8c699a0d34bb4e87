"""Tensors in HDF5 files, read and overwritten in place; links that lead out of a file are not followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.tensors import Buffer, array_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tb2csv.model_state.matching import Restoration


def open_file(path: Path, mode: str = "r") -> Any:
    """Return the open HDF5 file; raises StateError where it is none."""
    import h5py

    try:
        return h5py.File(path, mode)
    except OSError as error:
        message = f"{path} is no HDF5 file that can be read ({error}); give the file that Keras saved."
        raise StateError(message) from error


def datasets(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the datasets below a group with their paths in it; raises StateError for those that lie elsewhere."""
    import h5py

    for name in group:
        link = group.get(name, getlink=True)
        place = f"{path}{name}"
        if isinstance(link, h5py.ExternalLink | h5py.SoftLink):
            message = f"{group.file.filename} has a link at {place!r}, which is not followed; save the model anew."
            raise StateError(message)
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from datasets(item, f"{place}/")
        elif item.external or item.is_virtual:
            message = f"{group.file.filename} has data in another file at {place!r}; save the model anew."
            raise StateError(message)
        else:
            yield place, item


def dataset_dtype(dataset: Any) -> str:
    """Return the dtype's name; Keras stores bfloat16 as opaque bytes and says so in an attribute."""
    name = str(dataset.attrs.get("dtype", dataset.dtype.name))
    if name in DTYPES and dataset.dtype.kind != "O":
        return name
    if dataset.dtype.kind in "OS":
        return "bytes"
    message = (
        f"{dataset.file.filename} has data of type {dataset.dtype} at {dataset.name!r} and does not say what it means; "
        "give the .keras file, or the live model."
    )
    raise StateError(message)


def read_dataset(path: Path, place: str) -> Buffer:
    """Return the little-endian bytes of a dataset."""
    with open_file(path) as file:
        dataset = file[place]
        if dataset.dtype.kind in "OS":
            return array_bytes(np.asarray(dataset[()]))
        values = np.empty(dataset.shape, dataset.dtype)
        if values.size:
            dataset.read_direct(values)
        return array_bytes(values)


def overwrite_datasets(path: Path, restoration: Restoration, places: Mapping[str, str]) -> None:
    """Put new values into the datasets of a file, by the names of tensors that ``places`` gives."""
    with open_file(path, "r+") as file:
        for name, place in places.items():
            content = restoration.content(name)
            if content is None:
                continue
            dataset = file[place]
            if dataset.dtype.kind in "OS":
                strings = DTYPES["bytes"].strings
                assert strings is not None  # noqa: S101 - a dtype of text has it
                dataset[...] = strings(content).reshape(dataset.shape)
            elif dataset.size:
                stored = dataset.dtype.newbyteorder("<") if dataset.dtype.kind in "iufc" else dataset.dtype
                dataset[...] = np.frombuffer(content, stored).reshape(dataset.shape)
