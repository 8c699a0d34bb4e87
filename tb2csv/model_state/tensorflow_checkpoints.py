"""Checkpoints of TensorFlow, by objects or by names, and the variables of a SavedModel, whose graph is not loaded.

A checkpoint of objects knows its variables by the way that leads to them, and most of them by a name; the name is used
where no other has it. Such a checkpoint is written again as it was, entry by entry, with new values.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import OutputError, StateError
from tb2csv.messages import Option, advice
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.matching import PATH
from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor, array_bytes
from tb2csv.whole_files import check_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tb2csv.model_state.matching import Restoration

_GRAPH: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE: Final = "/.ATTRIBUTES/VARIABLE_VALUE"
_VARIABLES: Final = Path("variables", "variables")


class Checkpoint:
    """A checkpoint, given by its prefix, its index file or its folder, or a SavedModel's folder."""

    def __init__(self, path: Path) -> None:
        """Find the variables; raises StateError where there is no checkpoint that can be read."""
        import tensorflow as tf

        self._path = path
        self._is_saved_model = (path / _VARIABLES.parent).is_dir()
        self._prefix = _prefix(path)
        try:
            self._reader = tf.train.load_checkpoint(self._prefix)
            shapes = self._reader.get_variable_to_shape_map()
            self._dtypes = self._reader.get_variable_to_dtype_map()
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            message = f"{path} is no checkpoint of TensorFlow that can be read ({reason}); give its prefix or folder."
            raise StateError(message) from error
        names = self._names(shapes)
        #: The entry of each tensor.
        self._entries = {name: entry for entry, name in names.items()}
        tensors = tuple(self._tensor(name, entry, tuple(shapes[entry])) for name, entry in self._entries.items())
        self.state = ModelState("tensorflow", tensors, str(path))

    def _names(self, entries: dict[str, Any]) -> dict[str, str]:
        """Return the names of the entries that are variables, in an order that a person expects."""
        full = self._full_names() if _GRAPH in entries else {}
        kept = sorted((entry for entry in entries if entry != _GRAPH), key=_natural)
        short = {entry: entry.removesuffix(_VALUE) for entry in kept}
        # Keras puts a second copy of its variables behind a private attribute of a SavedModel.
        public = Counter(name for entry, name in full.items() if not entry.startswith("_"))
        named = {
            e: full[e] if full.get(e) and public[full[e]] == 1 and not e.startswith("_") else short[e] for e in kept
        }
        doubled = {name for name, count in Counter(named.values()).items() if count > 1}
        return {entry: short[entry] if name in doubled else name for entry, name in named.items()}

    def _full_names(self) -> dict[str, str]:
        """Return the variables' own names, by entry."""
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

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

    def _read(self, entry: str) -> Buffer:
        value = self._reader.get_tensor(entry)
        if isinstance(value, bytes):  # a string without dimensions
            value = np.array(value, object)
        return array_bytes(np.asarray(value))

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a prefix, or a folder, to write to."""
        return _whole_folder(out, overwrite=overwrite) if self._is_saved_model else _whole_files(out, overwrite)

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

        names = {entry: name for name, entry in self._entries.items()}
        entries = sorted(self._dtypes)
        values = []
        for entry in entries:
            content = restoration.content(names[entry]) if entry in names else None
            old = self._reader.get_tensor(entry)
            values.append(
                tf.constant(old if content is None else _array(content, np.asarray(old)), self._dtypes[entry])
            )
        tf.raw_ops.SaveV2(
            prefix=str(prefix), tensor_names=entries, shape_and_slices=[""] * len(entries), tensors=values
        )


def _array(content: Buffer, like: Any) -> Any:
    if like.dtype.kind in "OS":
        strings = DTYPES["bytes"].strings
        assert strings is not None  # noqa: S101 - a dtype of text has it
        return strings(content).reshape(like.shape)
    return np.frombuffer(content, like.dtype).reshape(like.shape)


def _prefix(path: Path) -> str:
    """Return the prefix of the files of a checkpoint, of which the latest counts where there are several."""
    import tensorflow as tf

    if (path / _VARIABLES.parent).is_dir():
        return str(path / _VARIABLES)
    if path.is_dir():
        latest = tf.train.latest_checkpoint(path)
        if latest is None:
            message = f"{path} holds no checkpoint; give the prefix of one."
            raise StateError(message)
        return str(latest)
    return str(path).removesuffix(".index")


def _natural(entry: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in entry.split("/")]


@contextlib.contextmanager
def _whole_files(out: Path, overwrite: bool) -> Iterator[Path]:  # noqa: FBT001 - as it is called
    """Give a prefix in a folder beside ``out``; the files of a checkpoint are moved from there, the index at last."""
    name = out.name.removesuffix(".index")
    check_place(out.with_name(f"{name}.index"), overwrite=overwrite)
    with _folder_beside(out) as folder:
        yield folder / name
        for file in sorted(folder.iterdir(), key=lambda each: each.suffix == ".index"):
            file.replace(out.with_name(file.name))


@contextlib.contextmanager
def _whole_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder beside ``out`` that becomes it."""
    if out.exists() and (not overwrite or not (out / _VARIABLES.parent).is_dir()):
        replace = advice("{} to replace a SavedModel", Option("overwrite", value=True))
        raise OutputError(f"{out} exists already", advice("give another name"), replace)
    with _folder_beside(out) as folder:
        yield folder / "new"
        if out.exists():
            out.rename(folder / "old")
        try:
            (folder / "new").rename(out)
        except BaseException:
            if (folder / "old").exists():
                (folder / "old").rename(out)
            raise


@contextlib.contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    try:
        folder = tempfile.mkdtemp(prefix=f".{out.name[:100]}.", suffix=".tmp", dir=os.path.abspath(out.parent))  # noqa: PTH100 - links stay
    except OSError as error:
        message = f"No folder can be made in {out.parent} ({error.strerror}); give another place."
        raise OutputError(message) from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
