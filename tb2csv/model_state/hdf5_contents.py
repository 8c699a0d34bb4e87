"""The groups and datasets of an HDF5 file, found by the only walk through it: each object once, and no link followed.

A soft or external link, external storage and a virtual dataset all lead to data elsewhere, and hard links can make a
graph with more paths than any memory holds. No model file has any of them, so they are refused. What is found is plain
data: readers of models look names up in it and never in the file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import hdf5_errors
from tb2csv.model_state.hdf5_texts import TextLengths
from tb2csv.plain_data import is_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tb2csv.size_limits import SizeLimits

#: The attributes that Keras writes and that are read here; long lists of names are in several, which have numbers.
_ATTRIBUTES: Final = re.compile(
    r"(layer_names|weight_names)\d*|model_config|training_config|keras_version|name|dtype", re.ASCII
)
#: The maximum depth of groups. Models of models of Keras have about twenty.
_DEEPEST: Final = 200
#: Bytes in memory for each text of variable length.
_TEXT_OVERHEAD: Final = 64


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset: its path in the file, and what is known without reading it."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    #: The dtype that Keras states in an attribute; empty if it does not.
    stated: str = ""


@dataclass(slots=True)
class Group:
    """A group, the texts of its attributes, and what is below it by name, in the order of the file."""

    path: str = ""
    texts: dict[str, list[str]] = field(default_factory=dict)
    members: dict[str, Group | Dataset] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return the text of an attribute; empty if it is missing."""
        return next(iter(self.texts.get(name, ())), "")

    def listed(self, name: str) -> list[str]:
        """Return the texts of an attribute, which Keras splits into ``name0``, ``name1`` … if they take over 64 KiB."""
        parts = [self.texts[name]] if name in self.texts else []
        while f"{name}{len(parts)}" in self.texts:
            parts.append(self.texts[f"{name}{len(parts)}"])
        return [text for part in parts for text in part]

    def group(self, path: str) -> Group | None:
        """Return the group at a path; None if there is none."""
        found: Group | Dataset | None = self
        for name in path.split("/"):
            found = found.members.get(name) if isinstance(found, Group) else None
        return found if isinstance(found, Group) else None

    def datasets(self) -> Iterator[tuple[str, Dataset]]:
        """Yield the datasets below the group, with their paths in it."""
        start = len(self.path) + 1 if self.path else 0
        waiting: list[Group | Dataset] = [self]
        while waiting:
            found = waiting.pop()
            if isinstance(found, Group):
                waiting += reversed(found.members.values())
            else:
                yield found.path[start:], found


def open_hdf5(path: Path, mode: str = "r") -> Any:
    """Return the open HDF5 file; raises StateError if it is not one."""
    import h5py

    with hdf5_errors(path):
        return h5py.File(path, mode)


def read_contents(path: Path, limits: SizeLimits, stored: int | None = None) -> Group:
    """Return the root of the groups and datasets in a file.

    Args:
        path: the file.
        limits: limits of its data, which are compared with ``stored``.
        stored: the bytes of the file that was given, if this one was unpacked from it.

    Raises:
        StateError: the file is damaged, has links or data elsewhere, or declares too much data.
    """
    with open_hdf5(path) as file, path.open("rb") as raw:
        texts = TextLengths(path, file, raw)
        return _Walk(path, limits, path.stat().st_size if stored is None else stored, texts).contents(file)


class _Walk:
    """One walk through a file."""

    def __init__(self, path: Path, limits: SizeLimits, stored: int, texts: TextLengths) -> None:
        self._path = path
        self._limits = limits
        self._stored = stored
        self._text_lengths = texts
        self._size = 0
        #: The paths of the objects that were visited, by their places in the file.
        self._met: dict[Any, str] = {}

    def contents(self, file: Any) -> Group:
        """Return the root of an open file."""
        with hdf5_errors(self._path):
            item = file["/"]
        self._meet(item.id, "/")
        root = Group("", self._texts(item))
        waiting = [(root, item, 1)]
        while waiting:
            group, item, depth = waiting.pop()
            if depth > _DEEPEST:
                self._refuse(f"nests groups deeper than {_DEEPEST} levels")
            for name, below, opened in self._members(group, item):
                group.members[name] = below
                if isinstance(below, Group):
                    waiting.append((below, opened, depth + 1))
        return root

    def _members(self, group: Group, item: Any) -> Iterator[tuple[str, Group | Dataset, Any]]:
        """Yield the names of the members of a group, these members, and the open objects of h5py."""
        import h5py

        with hdf5_errors(self._path):
            encoded = list(item.id)
        for raw in encoded:
            with hdf5_errors(self._path):
                name, link = raw.decode(), item.id.links.get_info(raw).type
            path = f"{group.path}/{name}" if group.path else name
            if link != h5py.h5l.TYPE_HARD:
                self._refuse(f"has a link at {path!r}, which is not followed")
            with hdf5_errors(self._path):
                found = h5py.h5o.open(item.id, raw)
            self._meet(found, path)
            if isinstance(found, h5py.h5g.GroupID):
                opened = h5py.Group(found)
                yield name, Group(path, self._texts(opened)), opened
            elif isinstance(found, h5py.h5d.DatasetID):
                opened = h5py.Dataset(found)
                yield name, self._dataset(opened, path), opened
            # What is left is a named type, which has no data.

    def _meet(self, identity: Any, path: str) -> None:
        """Refuse an object that was visited under another path."""
        import h5py

        with hdf5_errors(self._path):
            info = h5py.h5o.get_info(identity)
        other = self._met.setdefault((info.fileno, info.addr), path)
        if other != path:
            self._refuse(f"has one object at two places, {other!r} and {path!r}")

    def _dataset(self, dataset: Any, path: str) -> Dataset:
        import h5py

        with hdf5_errors(self._path):
            is_elsewhere = bool(dataset.external) or dataset.is_virtual
            dtype, shape, chunks = dataset.dtype, dataset.shape, dataset.chunks
        if is_elsewhere:
            self._refuse(f"has data in another file at {path!r}")
        if shape is None:
            self._refuse(f"has data without a shape at {path!r}")
        if dtype.hasobject and h5py.check_string_dtype(dtype) is None:
            self._refuse(f"has references or lists at {path!r}")
        item_size = _TEXT_OVERHEAD if dtype.hasobject else dtype.itemsize
        self._size += max(math.prod(shape), math.prod(chunks or (0,))) * item_size
        self._limits.check_data(self._path, self._size, self._stored)
        if dtype.hasobject:
            self._size += self._text_lengths.of_dataset(dataset, path)
            self._limits.check_data(self._path, self._size, self._stored)
        stated = self._texts(dataset).get("dtype", [])
        return Dataset(path, tuple(map(int, shape)), dtype, next(iter(stated), ""))

    def _texts(self, item: Any) -> dict[str, list[str]]:
        """Return the texts of the attributes that Keras writes."""
        with hdf5_errors(self._path):
            names = list(item.attrs)
        # h5py gives a name that is not UTF-8 as bytes, and Keras writes none.
        known = [name for name in names if isinstance(name, str) and _ATTRIBUTES.fullmatch(name)]
        return {name: self._attribute(item, name) for name in known}

    def _attribute(self, item: Any, name: str) -> list[str]:
        import h5py

        with hdf5_errors(self._path):
            declared = item.attrs.get_id(name)
            shape, dtype = declared.shape, declared.dtype
        count = 0 if shape is None else math.prod(shape)
        if not count:
            return []  # Keras writes an empty list as numbers
        if dtype.hasobject and h5py.check_string_dtype(dtype) is None:
            self._refuse(f"has an attribute {name!r} that is not text")
        item_size = _TEXT_OVERHEAD if dtype.hasobject else dtype.itemsize
        self._limits.check_data(self._path, count * item_size, self._stored, f"the attribute {name!r}")
        if dtype.hasobject:
            size = self._text_lengths.of_attribute(item, name, count)
            self._limits.check_data(self._path, size, self._stored, f"the attribute {name!r}")
        with hdf5_errors(self._path):
            value = item.attrs[name]
        values = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else [value]
        with hdf5_errors(self._path):
            texts = [each.decode() if isinstance(each, bytes) else each for each in values]
        if not all(map(is_text, texts)):
            self._refuse(f"has an attribute {name!r} that is not text")
        return texts

    def _refuse(self, what: str) -> NoReturn:
        message = f"{self._path} {what}; save the model anew."
        raise StateError(message)
