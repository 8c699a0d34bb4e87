"""Read checkpoints of Orbax: trees of arrays that JAX programs save, and folders of steps.

Orbax itself reads the arrays. It joins keys by dots and gives back other containers than it got, so leaves are known by
the keys in its description of the tree, and never by their order.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.descriptions import member, parsed, read_bytes
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.match_tensors import PATH
from tb2csv.model_state.pytrees import name_of
from tb2csv.model_state.tensors import ModelState, StateTensor, array_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import Buffer
    from tb2csv.size_limits import SizeLimits

#: The description of a tree, and the folder with further facts about its arrays.
TREE: Final = "_METADATA"
_ARRAYS: Final = "array_metadatas"
#: The name of a folder of a step, such as 20 or step_00000020; those that are not finished end in another way.
_STEP: Final = re.compile(r"(?:.*_)?(\d{1,18})")
#: The dtype of keys of random generators, by what JAX calls the generator.
_KEYS: Final = {"threefry2x32": "key<fry>", "rbg": "key<rbg>", "unsafe_rbg": "key<urbg>"}
_PYTHON: Final = {"int64": "int", "float64": "float", "bool": "bool", "str": "str"}
_VALUE: Final = "/value"


class OrbaxCheckpoint:
    """A tree that Orbax saved, a step of a CheckpointManager, or a folder of steps, of which the last is read."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Find the leaves, their dtypes and shapes.

        Raises StateError if there is not exactly one tree, or it is not safe to read, too large or ambiguous.
        """
        self._path = path
        folder, notes = _tree_folder(path)
        self._folder = folder.absolute()  # Orbax takes no others
        stored = sum(each.stat().st_size for each in _files(self._folder))
        declared = _declared_leaves(self._folder)
        found = self._described_arrays()
        if set(found) != set(declared):
            odd = sorted(set(found) ^ set(declared))
            message = f"{self._folder} is damaged, because its descriptions disagree on {odd[0]!r}; save it again."
            raise StateError(message)
        limits.check_data(path, sum(each.bytes_read for each in found.values()), stored)
        keys = _generators(self._folder)
        self._arrays: dict[str, Any] | None = None
        tensors = [self._tensor(name, each, declared[name], keys) for name, each in found.items()]
        self.state = ModelState("jax", tuple(tensors), str(path), tuple(notes))

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Raise StateError: only Orbax can write the tree, because only the program has its containers."""
        message = (
            f"{self._path} is a checkpoint of Orbax, which is read and not written; load the state into the tree of "
            "your program with load_state, and save that with orbax.checkpoint."
        )
        raise StateError(message)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Do nothing, as there is no output."""

    def _errors(self) -> AbstractContextManager[None]:
        return as_state_errors(f"{self._folder} is not a readable checkpoint of Orbax", "save or copy it again")

    def _described_arrays(self) -> dict[str, _Array]:
        """Return the shapes and dtypes in the headers of the arrays, by name."""
        from orbax.checkpoint import PyTreeCheckpointHandler

        with self._errors(), contextlib.closing(PyTreeCheckpointHandler()) as reader:
            return {name: _array(each) for name, each in _leaves(reader.metadata(self._folder).tree)}

    def _tensor(self, name: str, array: _Array, leaf: _Leaf, keys: dict[str, str]) -> StateTensor:
        dtype, shape = array.dtype, array.shape
        if leaf.parameter in keys:
            dtype = _KEYS.get(keys[leaf.parameter], keys[leaf.parameter])
            words = DTYPES[dtype].numbers_per_element if dtype in DTYPES else 0
            if (array.dtype, shape[-1:]) != ("uint32", (words,)):
                message = f"{self._folder} has a key {name!r} of the generator {dtype!r}, which is unknown or damaged."
                raise StateError(message)
            shape = shape[:-1]
        if dtype not in DTYPES:
            message = f"{self._folder} has {name!r} of {dtype}, which has no form in a table; leave it out of the tree."
            raise StateError(message)
        layer, _, parameter = name.rpartition("/")
        facts: dict[str, Any] = {
            "layer": layer,
            "parameter": parameter,
            "python": _PYTHON.get(dtype, "") if leaf.is_python else "",
            # A variable of flax.nnx is saved as a container with its value, and has one name in a live tree.
            "aliases": {PATH: name.removesuffix(_VALUE)},
        }
        return StateTensor(name, dtype, shape, lambda: self._read(name), **facts)

    def _read(self, name: str) -> Buffer:
        """Return the bytes of a leaf; the first call reads all leaves, as Orbax does."""
        if self._arrays is None:
            import jax
            from orbax.checkpoint import PyTreeCheckpointHandler, RestoreArgs

            with self._errors(), contextlib.closing(PyTreeCheckpointHandler()) as reader:
                tree = reader.metadata(self._folder).tree
                # As arrays of NumPy: those of JAX would need the devices that the checkpoint was made on.
                as_numpy = jax.tree.map(
                    lambda each: RestoreArgs(restore_type=None if _is_text(each) else np.ndarray), tree
                )
                restored = reader.restore(self._folder, restore_args=as_numpy)
                self._arrays = {name: np.asarray(each) for name, each in _leaves(restored)}
        if name not in self._arrays:
            message = f"{self._folder} does not have the leaf {name!r} that it describes; save it again."
            raise StateError(message)
        return array_bytes(self._arrays[name])


class _Leaf(NamedTuple):
    """A leaf in the description of a tree: the name that its keys have in Orbax, and whether it is a Python value."""

    parameter: str
    is_python: bool


class _Array(NamedTuple):
    """The header of an array, and the bytes of memory that reading it takes."""

    dtype: str
    shape: tuple[int, ...]
    bytes_read: int


def _leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a tree that Orbax made, which consists of dicts and lists, with their names."""
    import jax

    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        yield name_of([str(getattr(entry, "key", getattr(entry, "idx", entry))) for entry in path]), leaf


def _is_text(described: Any) -> bool:
    return not hasattr(described, "dtype")


def _array(described: Any) -> _Array:
    if _is_text(described):
        return _Array("str", (), 0)
    dtype, shape = np.dtype(described.dtype), tuple(int(size) for size in described.shape)
    chunk = getattr(described.storage, "chunk_shape", None) or ()
    return _Array(dtype.name, shape, max(math.prod(shape), math.prod(chunk)) * dtype.itemsize)


def _declared_leaves(folder: Path) -> dict[str, _Leaf]:
    """Return the leaves in the description of a tree, by name.

    Raises StateError if a key has a dot, because Orbax saves {"a.b": x, "a": {"b": y}} as one array (seen with 0.12.8),
    or leads out of the folder.
    """
    failure = f"{folder / TREE} is not the description of a tree"
    described: dict[str, Any] = member(parsed(read_bytes(folder / TREE), failure, "save it again"), "tree_metadata", {})
    found: dict[str, _Leaf] = {}
    for entry in described.values():
        parts: list[Any] = member(entry, "key_metadata", [])
        keys = [member(each, "key", "\0") for each in parts]
        _check_keys(folder, keys)
        value: dict[str, Any] = member(entry, "value_metadata", {})
        if value.get("skip_deserialize") is not True:  # None and empty containers are structure
            found[name_of(keys)] = _Leaf(".".join(keys), value.get("value_type") in {"scalar", "string"})
    return found


def _check_keys(folder: Path, keys: list[str]) -> None:
    dotted = next((key for key in keys if "." in key), None)
    if any("\0" in key or key.startswith("/") or ".." in re.split(r"[/\\]", key) for key in keys):
        message = f"{folder} has the key {'.'.join(keys)!r}, which is damaged or leads out of it; save it again."
        raise StateError(message)
    if dotted is not None:
        message = (
            f"{folder} has the key {dotted!r}, and Orbax loses one of two arrays whose keys are equal when they are "
            "joined by dots; save the tree again with keys without dots."
        )
        raise StateError(message)


def _generators(folder: Path) -> dict[str, str]:
    """Return the generators of keys, by the names of leaves in Orbax."""
    found: dict[str, str] = {}
    for file in sorted((folder / _ARRAYS).glob("process_*")) if (folder / _ARRAYS).is_dir() else []:
        described = parsed(read_bytes(file), f"{file} is not a description of arrays", "save the checkpoint again")
        arrays: list[Any] = member(described, "array_metadatas", [])
        for each in arrays:
            array: dict[str, Any] = member(each, "array_metadata", {})
            generator = member(member(array, "ext_metadata", {}), "random_key_impl", "")
            if generator:
                found[member(array, "param_name", "")] = generator
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; raises StateError if one of them is a link, whose target would be read."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            place = Path(parent, name)
            if place.is_symlink() or not (place.is_file() or place.is_dir()):
                message = (
                    f"{folder} has a link or a special file at {place}, which is not read; copy the files themselves."
                )
                raise StateError(message)
        yield from (Path(parent, name) for name in files)


def _tree_folder(path: Path) -> tuple[Path, list[str]]:
    """Return the folder of the tree in a checkpoint, and notes on what else there is."""
    if (path / TREE).is_file():
        return path, []
    below = sorted(each for each in path.iterdir() if each.is_dir() and not each.is_symlink())
    trees = [each for each in below if (each / TREE).is_file()]
    if len(trees) == 1:
        others = [each.name for each in below if each not in trees]
        return trees[0], [f"Not in the state of {path}: {', '.join(others)}, which are not trees."] if others else []
    steps = {int(match[1]): each for each in below if (match := _STEP.fullmatch(each.name)) and not trees}
    if not steps:
        names = f"several trees ({', '.join(each.name for each in trees)})" if trees else "no tree that is finished"
        message = f"{path} is a checkpoint of Orbax with {names}; give the folder of one."
        raise StateError(message)
    last = max(steps)
    folder, notes = _tree_folder(steps[last])
    listed = ", ".join(map(str, sorted(steps)))
    return folder, [f"The state of {path} is that of step {last}; it has the steps {listed}.", *notes]
