"""Tensors in HDF5 files, read and overwritten in place; links that lead out of a file are not followed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.tensors import Buffer, array_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tb2csv.model_state.tensors import StateTensor


#: Bytes of an attribute at most, as in Keras; HDF5 allows 64 KiB together with its description.
_MAX_ATTRIBUTE: Final = 64512


def open_file(path: Path, mode: str = "r") -> Any:
    """Return the open HDF5 file; raises StateError if it is not one."""
    import h5py

    try:
        return h5py.File(path, mode)
    except OSError as error:
        message = f"{path} is not a readable HDF5 file ({error}); give the file that Keras saved."
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


def dataset_dtype(dataset: Any, live: str = "") -> str:
    """Return the dtype's name; Keras stores bfloat16 as opaque bytes and says so in an attribute.

    ``live`` is that of the live model, for opaque bytes without the attribute. It may differ from the file's otherwise:
    Keras counts steps in int64 on TensorFlow, and in int32 on JAX and PyTorch.
    """
    name = str(dataset.attrs.get("dtype", dataset.dtype.name))
    if name in DTYPES and dataset.dtype.kind != "O":
        return name
    if dataset.dtype.kind in "OS":
        return "bytes"
    if live:
        return live
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


def attribute_texts(group: Any, name: str) -> list[str]:
    """Return the texts of an attribute, which Keras splits into ``name0``, ``name1`` … if they take over 64 KiB."""
    parts = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for part in parts for text in part]


def add_texts(group: Any, name: str, texts: list[str]) -> None:
    """Append to the texts of an attribute, in as many parts as HDF5 needs."""
    known = attribute_texts(group, name)
    for part in [each for each in group.attrs if re.fullmatch(rf"{name}\d*", each)]:
        del group.attrs[part]
    encoded = np.array([text.encode() for text in known + texts])
    count = -(-encoded.nbytes // _MAX_ATTRIBUTE)
    if count == 1:
        group.attrs[name] = encoded
        return
    for number, part in enumerate(np.array_split(encoded, count)):
        group.attrs[f"{name}{number}"] = part


def overwrite_datasets(path: Path, contents: Iterable[tuple[StateTensor, Buffer, Sequence[str]]]) -> None:
    """Put new values into the datasets of a file; each tensor has the names of its datasets, which are made if needed.

    Raises StateError if the file cannot be written.
    """
    with open_file(path, "r+") as file:
        for tensor, content, places in contents:
            for place in places:
                dataset = file[place] if place in file else _new_dataset(file, place, tensor)
                if dataset.dtype.kind in "OS":
                    strings = DTYPES["bytes"].strings
                    assert strings is not None
                    dataset[...] = strings(content).reshape(dataset.shape)
                elif dataset.size:
                    stored = dataset.dtype.newbyteorder("<") if dataset.dtype.kind in "iufc" else dataset.dtype
                    dataset[...] = np.frombuffer(content, stored).reshape(dataset.shape)


def _new_dataset(file: Any, place: str, tensor: StateTensor) -> Any:
    import ml_dtypes

    dataset = file.create_dataset(place, tensor.shape, np.dtype(getattr(ml_dtypes, tensor.dtype, tensor.dtype)))
    if tensor.dtype == "bfloat16":  # as Keras does it
        dataset.attrs["dtype"] = tensor.dtype
    return dataset
