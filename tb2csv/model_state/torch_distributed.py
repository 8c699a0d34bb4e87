"""Read checkpoints of torch.distributed, which one process or several wrote, each its parts of the tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.tensors import ModelState, StateTensor, array_bytes, left_out_notes
from tb2csv.model_state.torch_distributed_description import ENDING, read_description
from tb2csv.model_state.torch_pickles import read_pickle
from tb2csv.model_state.torch_trees import flat, mapped, tensor_leaf

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import Buffer
    from tb2csv.model_state.torch_distributed_description import DescribedTensor, Part, Place
    from tb2csv.size_limits import SizeLimits


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor in a checkpoint, in the place that it has in the state dict."""

    name: str
    described: DescribedTensor


class _Container(dict[Any, Any]):
    """A dict or list of the state dict that is made anew, and not a value that is a dict."""


class DistributedCheckpoint:
    """The folder of a checkpoint of torch.distributed."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Read the description, and the values that are not tensors.

        Raises StateError if something only code could make is in it, or the tensors are not whole or too large.
        """
        self._path = path
        self._limits = limits
        found = read_description(path, limits)
        sizes = (math.prod(each.shape) * DTYPES[each.dtype].item_size for each in found.tensors.values())
        limits.check_data(path, sum(sizes), sum(each.stat().st_size for each in path.glob(f"*{ENDING}")), "tensors")
        values = {name: self._saved(place) for name, place in found.values.items()}
        values |= {name: _Stored(name, each) for name, each in found.tensors.items()}
        tensors: list[StateTensor] = []

        def take(name: str, value: Any) -> Any:
            if not isinstance(value, _Stored):
                return value
            tensors.append(self._tensor(name, value))
            return None

        others = flat(mapped(_nested(path, values, found.paths), take))
        notes = left_out_notes(str(path), others.left_out)
        self.state = ModelState("torch", (*tensors, *others.tensors), str(path), notes, others.left_out)

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Raise StateError: the files of a checkpoint belong to the processes that wrote them."""
        message = (
            f"{self._path} is a checkpoint of torch.distributed, which is read and not written; load the state into "
            "your objects with load_state, and save those with torch.distributed.checkpoint."
        )
        raise StateError(message)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Do nothing, as there is no output."""

    def _tensor(self, name: str, stored: _Stored) -> StateTensor:
        layer, _, parameter = name.rpartition(".")
        described = stored.described
        return StateTensor(
            name, described.dtype, described.shape, lambda: self._read(stored), layer=layer, parameter=parameter
        )

    def _read(self, stored: _Stored) -> Buffer:
        """Return the bytes of a tensor, put together from its parts."""
        name, (dtype, shape, parts) = stored.name, stored.described
        if len(parts) == 1:
            return self._part(name, dtype, parts[0]).content()
        whole = np.empty(shape, DTYPES[dtype].stored)
        is_set = np.zeros(shape, np.bool_)
        for part in parts:
            where = tuple(slice(start, start + size) for start, size in zip(part.offsets, part.sizes, strict=True))
            whole[where] = self._part(name, dtype, part).array()
            is_set[where] = True
        if not is_set.all():
            message = f"{self._path} is damaged: parts of {name!r} overlap, so others are missing; save it again."
            raise StateError(message)
        return array_bytes(whole)

    def _part(self, name: str, dtype: str, part: Part) -> StateTensor:
        import torch

        saved = self._saved(part.place)
        found = tensor_leaf(name, saved) if isinstance(saved, torch.Tensor) else None
        if found is None or (found.dtype, found.shape) != (dtype, part.sizes):
            message = f"{part.place.file} is damaged: a part of {name!r} is not what is described; save it again."
            raise StateError(message)
        return found

    def _saved(self, place: Place) -> Any:
        """Return what ``torch.save`` wrote into a file at a place."""
        with place.file.open("rb") as file:
            file.seek(place.start)
            return read_pickle(place.file, self._limits, file.read(place.length))


def _nested(folder: Path, values: Mapping[str, Any], paths: Mapping[str, tuple[str | int, ...]]) -> Any:
    """Return values as the nested state dict that they were in; raises StateError if two have one path."""
    tree = _Container()
    for name, value in values.items():
        *heads, last = paths.get(name, (name,))
        node: Any = tree
        for key in heads:
            node = node.setdefault(key, _Container()) if isinstance(node, _Container) else None
        if not isinstance(node, _Container) or last in node:
            message = f"{folder} is damaged: the path of {name!r} is that of another value; save it again."
            raise StateError(message)
        node[last] = value
    return _with_lists(tree)


def _with_lists(node: Any) -> Any:
    """Return a tree whose containers with indices for keys are lists."""
    if not isinstance(node, _Container):
        return node
    items = {key: _with_lists(value) for key, value in node.items()}
    is_list = items and sorted(map(repr, items)) == sorted(map(repr, range(len(items))))
    return [items[number] for number in range(len(items))] if is_list else items
