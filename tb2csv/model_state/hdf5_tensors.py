"""Tensors in HDF5 files, read and overwritten in place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.foreign_errors import HDF5, as_state_errors, hdf5_errors
from tb2csv.model_state.hdf5_contents import open_hdf5
from tb2csv.model_state.tensors import Buffer, array_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.hdf5_contents import Dataset
    from tb2csv.model_state.tensors import StateTensor


#: The maximum bytes of an attribute, as in Keras; HDF5 allows 64 KiB together with its description.
_MAX_ATTRIBUTE: Final = 64512


def dataset_dtype(path: Path, dataset: Dataset, live: str = "") -> str:
    """Return the dtype's name; Keras stores bfloat16 as opaque bytes and says so in an attribute.

    ``live`` is that of the live model, for opaque bytes without the attribute. It may differ from the file's otherwise:
    Keras counts steps in int64 on TensorFlow, and in int32 on JAX and PyTorch.
    """
    stored = dataset.dtype
    if stored.kind in "OS":
        return "bytes"
    name = dataset.stated or stored.name
    if _holds(stored, name):
        return name
    if _holds(stored, live):
        return live
    message = (
        f"{path} has data of type {stored} at {dataset.path!r} and does not say what it means; give the .keras file, "
        "or the live model."
    )
    raise StateError(message)


def _holds(stored: np.dtype[Any], name: str) -> bool:
    """Return whether elements of a stored type are those of a dtype: the same numbers, or bytes of the same size."""
    if name not in DTYPES:
        return False
    return stored.name == name or (stored.kind == "V" and stored.itemsize == DTYPES[name].item_size)


def read_dataset(path: Path, dataset: Dataset) -> Buffer:
    """Return the little-endian bytes of a dataset, whose size is known to be within the limits."""
    with open_hdf5(path) as file, hdf5_errors(path):
        values = np.asarray(file[dataset.path][()], object if dataset.dtype.kind == "O" else None)
    return array_bytes(values) if values.size else b""


def add_texts(group: Any, name: str, known: list[str], texts: list[str]) -> None:
    """Append to the ``known`` texts of an attribute, in as many parts as HDF5 needs."""
    for part in [each for each in group.attrs if re.fullmatch(rf"{name}\d*", each)]:
        del group.attrs[part]
    encoded = np.array([text.encode() for text in known + texts])
    count = -(-encoded.nbytes // _MAX_ATTRIBUTE)
    if count == 1:
        group.attrs[name] = encoded
        return
    for number, part in enumerate(np.array_split(encoded, count)):
        group.attrs[f"{name}{number}"] = part


def overwrite_datasets(path: Path, contents: Iterable[tuple[StateTensor, Buffer, Sequence[str]]], origin: Path) -> None:
    """Put new values into the datasets of a file, a copy of ``origin``.

    Each tensor has the names of its datasets, which are made if needed. Raises StateError if the file cannot be
    written.
    """
    with open_hdf5(path, "r+") as file:
        for tensor, content, places in contents:
            for place in places:
                with write_errors(origin):
                    dataset = file[place] if place in file else _new_dataset(file, place, tensor)
                    dtype, shape = dataset.dtype, dataset.shape
                values = _values(content, dtype).reshape(shape)
                if values.size:
                    with write_errors(origin):
                        dataset[...] = values


def write_errors(origin: Path) -> AbstractContextManager[None]:
    """Return a context in which what h5py raises while a copy of ``origin`` is written becomes a StateError."""
    return as_state_errors(f"{origin} cannot be written again", "save the model anew, or make room on the disk", HDF5)


def _values(content: Buffer, dtype: np.dtype[Any]) -> Any:
    """Return the bytes of a tensor as elements of the type that a dataset has."""
    if dtype.kind in "OS":
        strings = DTYPES["bytes"].strings
        assert strings is not None
        return strings(content)
    return np.frombuffer(content, dtype.newbyteorder("<") if dtype.kind in "iufc" else dtype)


def _new_dataset(file: Any, place: str, tensor: StateTensor) -> Any:
    import ml_dtypes

    dataset = file.create_dataset(place, tensor.shape, np.dtype(getattr(ml_dtypes, tensor.dtype, tensor.dtype)))
    if tensor.dtype == "bfloat16":  # as Keras does it
        dataset.attrs["dtype"] = tensor.dtype
    return dataset
