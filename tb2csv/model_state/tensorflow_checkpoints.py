"""Checkpoints of TensorFlow, by objects or by names, and the variables of a SavedModel, whose graph is not loaded.

A checkpoint of objects knows its variables by the way that leads to them, and most of them by a name; the name is used
if no other has it. Such a checkpoint is written again as it was, entry by entry, with new values.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.atomic_files import check_place, folder_beside, whole_folder
from tb2csv.errors import StateError
from tb2csv.model_state.checkpoint_index import check_index
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.file_types import CHECKPOINT_DATA, pointer_refusal
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.match_tensors import PATH
from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor, array_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.size_limits import SizeLimits

_GRAPH: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE: Final = "/.ATTRIBUTES/VARIABLE_VALUE"
_VARIABLES: Final = Path("variables", "variables")
#: Everything that TensorFlow and Keras put into a SavedModel.
_SAVED_MODEL: Final = frozenset(
    {
        *("saved_model.pb", "saved_model.pbtxt", "keras_metadata.pb", "fingerprint.pb", "variables", "assets"),
        *("assets.extra", "debug"),
    }
)
_GRAPHS: Final = ("saved_model.pb", "saved_model.pbtxt")


class Checkpoint:
    """A checkpoint, given by its prefix, its index file or its folder, or a SavedModel's folder."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Find the variables; raises StateError if there is no checkpoint that can be read."""
        self._path = path
        self._is_saved_model = _is_saved_model(path)
        self._prefix = _prefix(path)
        files = _files(path, Path(self._prefix))
        check_index(files[0], path)
        import tensorflow as tf

        with self._errors():
            self._reader = tf.train.load_checkpoint(self._prefix)
            shapes = self._reader.get_variable_to_shape_map()
            self._dtypes = self._reader.get_variable_to_dtype_map()
        sizes = (math.prod(shape) * self._dtypes[entry].size for entry, shape in shapes.items())
        limits.check_data(path, sum(sizes), sum(each.stat().st_size for each in files), "variables")
        #: The entries of each tensor, of which the first is read.
        self._entries = self._names(shapes)
        tensors = tuple(self._tensor(name, es[0], tuple(shapes[es[0]])) for name, es in self._entries.items())
        self.state = ModelState("tensorflow", tensors, str(path))

    def _names(self, shapes: dict[str, Any]) -> dict[str, list[str]]:
        """Return the names of the variables and their entries, in natural order.

        The SavedModels of Keras' ``model.export`` have most variables twice: once more below a private attribute.
        """
        full = self._full_names() if _GRAPH in shapes else {}
        named: dict[str, list[str]] = {}
        kept = (entry for entry in shapes if entry != _GRAPH)
        for entry in sorted(kept, key=lambda entry: (entry.startswith("_"), _natural(entry))):
            named.setdefault(full.get(entry) or entry.removesuffix(_VALUE), []).append(entry)
        found: dict[str, list[str]] = {}
        for name, entries in named.items():
            kinds = {(tuple(shapes[entry]), self._dtypes[entry]) for entry in entries}
            is_copied = [entry.startswith("_") for entry in entries] == [False, True] and len(kinds) == 1
            if len(entries) == 1 or is_copied:
                found[name] = entries
            else:
                found |= {entry.removesuffix(_VALUE): [entry] for entry in entries}
        if sum(map(len, found.values())) < sum(map(len, named.values())):  # a name is the entry of another variable
            return {entry.removesuffix(_VALUE): [entry] for entries in named.values() for entry in entries}
        return found

    def _full_names(self) -> dict[str, str]:
        """Return the variables' own names, by entry."""
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        with self._errors():
            graph = TrackableObjectGraph.FromString(self._reader.get_tensor(_GRAPH))
        return {each.checkpoint_key: each.full_name for node in graph.nodes for each in node.attributes}

    def _tensor(self, name: str, entry: str, shape: tuple[int, ...]) -> StateTensor:
        dtype = self._dtypes[entry]
        known = "bytes" if dtype.name == "string" else dtype.name
        if known not in DTYPES:
            message = f"{self._path} holds {name!r} of dtype {dtype.name}, which has no form in a table."
            raise StateError(message)
        layer, _, parameter = name.rpartition("/")
        aliases = {PATH: entry.removesuffix(_VALUE)}
        whose: dict[str, Any] = {"layer": layer, "parameter": parameter, "aliases": aliases}
        return StateTensor(name, known, shape, lambda: self._read(entry), **whose)

    def _errors(self) -> AbstractContextManager[None]:
        return _read_errors(self._path)

    def _read(self, entry: str) -> Buffer:
        with self._errors():
            value = self._reader.get_tensor(entry)
        if isinstance(value, bytes):  # a string without dimensions
            value = np.array(value, object)
        return array_bytes(np.asarray(value))

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a prefix, or a folder, to write to."""
        if self._is_saved_model:
            return whole_folder(out, overwrite=overwrite, may_replace=_is_only_saved_model, kind="a SavedModel")
        return _whole_files(out, overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write all entries again, those that have new values with these."""
        prefix = place
        if self._is_saved_model:
            shutil.copytree(self._path, place, dirs_exist_ok=True)
            prefix = place / _VARIABLES
            for old in prefix.parent.glob(f"{prefix.name}.*"):
                old.unlink()
        self._save(prefix, restoration)

    def _save(self, prefix: Path, restoration: Restoration) -> None:
        import tensorflow as tf

        names = {entry: name for name, entries in self._entries.items() for entry in entries}
        entries = sorted(self._dtypes)
        values = []
        for entry in entries:
            content = restoration.content(names[entry]) if entry in names else None
            with self._errors():
                old = self._reader.get_tensor(entry)
            values.append(
                tf.constant(old if content is None else _array(content, np.asarray(old)), self._dtypes[entry])
            )
        with as_state_errors(f"{self._path} cannot be written again", "make room on the disk, or save it anew"):
            tf.raw_ops.SaveV2(
                prefix=str(prefix), tensor_names=entries, shape_and_slices=[""] * len(entries), tensors=values
            )


def _read_errors(path: Path) -> AbstractContextManager[None]:
    """Return a context in which what TensorFlow raises while it reads becomes a StateError."""
    return as_state_errors(f"{path} is not a readable TensorFlow checkpoint", "give its prefix or folder")


def _array(content: Buffer, like: Any) -> Any:
    if like.dtype.kind in "OS":
        strings = DTYPES["bytes"].strings
        assert strings is not None
        return strings(content).reshape(like.shape)
    return np.frombuffer(content, like.dtype).reshape(like.shape)


def _is_saved_model(path: Path) -> bool:
    return (path / _VARIABLES.parent).is_dir() or any((path / name).exists() for name in _GRAPHS)


def _is_only_saved_model(path: Path) -> bool:
    """Return whether a folder is a SavedModel, has nothing else in it, and no links."""
    is_known = all(each.name in _SAVED_MODEL for each in path.iterdir())
    return is_known and _is_saved_model(path) and not any(each.is_symlink() for each in _everything_below(path))


def _prefix(path: Path) -> str:
    """Return the prefix of the files of a checkpoint, of which the latest counts if there are several."""
    if _is_saved_model(path):
        return str(path / _VARIABLES)
    if path.is_dir():
        import tensorflow as tf

        with _read_errors(path):
            latest = tf.train.latest_checkpoint(path)
            place = Path(os.path.realpath(latest or path))
        if latest is None:
            message = (
                f"{path} has no checkpoint that its file {str(path / 'checkpoint')!r} names; copy the files of the "
                "checkpoint there, or give the prefix of one."
            )
            raise StateError(message)
        if not place.is_relative_to(os.path.realpath(path)):
            message = f"{path} has a file 'checkpoint' that names {latest}, which is not in it; give the prefix itself."
            raise StateError(message)
        return str(latest)
    return str(path).removesuffix(".index")


def _files(path: Path, prefix: Path) -> list[Path]:
    """Return the files of the checkpoint.

    Raises StateError if one is missing, was not fetched by Git LFS, or is a link: its bytes would be taken for numbers,
    whatever it leads to.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    names = [each.name for each in prefix.parent.iterdir()] if prefix.parent.is_dir() else []
    found = [name for name in names if CHECKPOINT_DATA.fullmatch(name.removeprefix(prefix.name))]
    # Files of an earlier checkpoint may be left, in another number of parts.
    parts = sorted({name.rpartition("-of-")[2] for name in found}, reverse=True) or ["00001"]
    wholes = [[f"{prefix.name}.data-{part:05}-of-{count}" for part in range(int(count))] for count in parts]
    whole = next((each for each in wholes if set(each) <= set(names)), wholes[0])
    expected = [index, *(prefix.with_name(name) for name in whole)]
    missing = [each for each in expected if not each.exists()]
    if missing:
        kind = "SavedModel" if _is_saved_model(path) else "checkpoint of TensorFlow"
        message = f"{path} is a {kind} that is not complete: {missing[0]} is missing; copy all its files."
        raise StateError(message)
    for each in expected:
        refusal = pointer_refusal(each)
        if refusal:
            raise refusal
    linked = next((each for each in [*expected, *_everything_below(path)] if each.is_symlink()), None)
    if linked is not None:
        message = f"{path} has a link at {linked}, which is not followed; copy the files themselves."
        raise StateError(message)
    return expected


def _everything_below(folder: Path) -> Iterator[Path]:
    """Yield what is below a folder, without following links; nothing if it is not a folder."""
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _natural(entry: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in entry.split("/")]


@contextlib.contextmanager
def _whole_files(out: Path, overwrite: bool) -> Iterator[Path]:
    """Give a prefix in a folder beside ``out``; the files of a checkpoint are moved from there, the index at last."""
    name = out.name.removesuffix(".index")
    check_place(out.with_name(f"{name}.index"), overwrite=overwrite)
    with folder_beside(out) as folder:
        yield folder / name
        for file in sorted(folder.iterdir(), key=lambda each: each.suffix == ".index"):
            file.replace(out.with_name(file.name))
