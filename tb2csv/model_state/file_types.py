"""Types of model files, recognized by their first bytes, the members of an archive, or the entries of a folder.

The suffix of a file only selects the error message if its content fits no type.
"""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.atomic_files import is_there
from tb2csv.errors import StateError
from tb2csv.messages import Function, advice
from tb2csv.model_state.descriptions import json_object, member
from tb2csv.model_state.zip_archives import SIGNATURES, member_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tb2csv.messages import Advice

#: The bytes that are read to recognize a file. The header of a table of a state is shorter.
_START: Final = 4096
#: The longest index of shards that is read.
_LARGEST_INDEX: Final = 100_000_000


class Look:
    """Facts about a path that are available before its content is read."""

    def __init__(self, path: Path) -> None:
        """Read the start of a file, or list a folder; raises StateError if there is nothing to read."""
        self.path = path
        self.start = b""
        self.entries: frozenset[str] = frozenset()
        try:
            if path.is_dir():
                self.entries = frozenset(each.name for each in path.iterdir())
            elif path.is_file():
                with path.open("rb") as file:
                    self.start = file.read(_START)
            elif is_there(path):  # reading a pipe may wait forever
                message = f"{path} is not a regular file; give the file of a model."
                raise StateError(message)
        except OSError as error:
            message = f"{path} cannot be read ({error.strerror}); give a file that can."
            raise StateError(message) from error

    @functools.cached_property
    def is_file(self) -> bool:
        """Whether it is a file, and not a folder or the prefix of several files."""
        return self.path.is_file()

    @functools.cached_property
    def neighbours(self) -> frozenset[str]:
        """What follows the path in the names of the files beside it, as in ``model.index`` beside ``model``."""
        name, folder = self.path.name, self.path.parent
        found = [each.name for each in folder.iterdir()] if name and folder.is_dir() else []
        return frozenset(each[len(name) :] for each in found if each.startswith(f"{name}."))

    @functools.cached_property
    def members(self) -> frozenset[str]:
        """The names in a ZIP archive, without its first folder; none if it cannot be read as one."""
        return member_names(self.path) if self.start.startswith(SIGNATURES) else frozenset()

    @functools.cached_property
    def shards(self) -> frozenset[str]:
        """The files that an index of shards names; none if it is not such an index."""
        if not self.start.lstrip().startswith(b"{"):
            return frozenset()
        with self.path.open("rb") as file:
            index = json_object(file.read(_LARGEST_INDEX))
        weight_map: dict[str, Any] = member(index, "weight_map", {})
        files = [each if isinstance(each, list) else [each] for each in weight_map.values()]
        return frozenset(name for names in files for name in names if isinstance(name, str))

    @functools.cached_property
    def last(self) -> bytes:
        """The last eight bytes of a file."""
        with self.path.open("rb") as file:
            file.seek(-min(8, file.seek(0, os.SEEK_END)), os.SEEK_END)
            return file.read()


class FileType(NamedTuple):
    """A type of file or folder: how it is known, and its module and class, or what a user does with it instead."""

    fits: Callable[[Look], bool]
    holder: tuple[str, str] | None = None
    refusal: str | Advice = ""
    needs_tensorflow: bool = False


def _starts(*signatures: bytes) -> Callable[[Look], bool]:
    return lambda look: look.start.startswith(signatures)


def _has(*members: str) -> Callable[[Look], bool]:
    return lambda look: look.members.issuperset(members)


def _holds(*entries: str) -> Callable[[Look], bool]:
    return lambda look: look.entries.issuperset(entries)


def _ends(*endings: str) -> Callable[[Look], bool]:
    return lambda look: look.path.name.lower().endswith(endings)


def _is_hdf5(look: Look) -> bool:
    return any(look.start.startswith(b"\x89HDF\r\n\x1a\n", place) for place in (0, 512, 1024, 2048))


def _is_safetensors(look: Look) -> bool:
    length = int.from_bytes(look.start[:8], "little")
    return look.start[8:9] == b"{" and 2 <= length <= look.path.stat().st_size - 8


def _is_checkpoint(look: Look) -> bool:
    """Return whether it is a SavedModel, a folder of checkpoints, or one checkpoint by its prefix or its index."""
    if look.entries:
        return bool({"variables", "saved_model.pb", "checkpoint"} & look.entries)
    is_index = look.last == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb" if look.is_file else False  # of a table of LevelDB
    return is_index or any(each == ".index" or CHECKPOINT_DATA.fullmatch(each) for each in look.neighbours)


#: What follows the prefix in the names of a checkpoint's files of data.
CHECKPOINT_DATA: Final = re.compile(r"\.data-\d{5}-of-\d{5}")


def _is_onnx(look: Look) -> bool:
    """Return whether it begins with the version of ONNX, and then names its producer, its operators or its graph."""
    start = look.start
    return len(start) > 2 and start[0] == 0x08 and 3 <= start[1] < 0x20 and start[2] in {0x12, 0x3A, 0x42}


def _is_msgpack(look: Look) -> bool:
    """Return whether it begins with a map of MessagePack whose first key is text."""
    start = look.start
    head = 1 if b"\x81" <= start[:1] <= b"\x8f" else {b"\xde": 3, b"\xdf": 5}.get(start[:1], 0)
    if not head:
        return False
    first = start[head : head + 1]
    length, skipped = (start[head + 1], 2) if first == b"\xd9" and len(start) > head + 1 else (0, 1)
    if b"\xa1" <= first <= b"\xbf":
        length = first[0] & 0x1F
    key = start[head + skipped : head + skipped + length]
    return bool(length) and len(key) == length and key.decode("ascii", "replace").isprintable() and key.isascii()


_POINTER: Final = "a Git LFS pointer to a file that was not fetched"

#: Every type, by what it is called in messages; the first that fits counts.
FILE_TYPES: Final[dict[str, FileType]] = {
    _POINTER: FileType(
        _starts(b"version https://git-lfs.github.com/spec/"), refusal="fetch the file with `git lfs pull`"
    ),
    "a web page": FileType(
        lambda look: look.start[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")),
        refusal="download the file itself",
    ),
    "a .keras file": FileType(
        _has("config.json", "model.weights.h5"), ("keras_files", "KerasArchive"), needs_tensorflow=True
    ),
    "a TorchScript program": FileType(
        _has("data.pkl", "constants.pkl"),
        refusal="load it with torch.jit.load and save its state_dict() with torch.save",
    ),
    "a program of torch.export": FileType(
        _has("archive_format"), refusal="load it with torch.export.load and save its state_dict with torch.save"
    ),
    "a file of torch.save": FileType(_has("data.pkl"), ("torch_files", "TorchFile")),
    "an older file of torch.save": FileType(
        _starts(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), ("torch_files", "TorchFile")
    ),
    "a .skops file": FileType(_has("schema.json"), ("sklearn_estimators", "SkopsFile")),
    "an .npz file": FileType(
        lambda look: any(name.endswith(".npy") for name in look.members), ("npz_files", "NpzFile")
    ),
    "an HDF5 file": FileType(_is_hdf5, ("keras_files", "open_hdf5_model")),
    "a safetensors file": FileType(_is_safetensors, ("safetensors_files", "SafetensorsFile")),
    "an index of Keras weights": FileType(
        lambda look: any(name.endswith(".weights.h5") for name in look.shards),
        ("keras_sharded_weights", "ShardedWeights"),
    ),
    "an index of shards": FileType(lambda look: bool(look.shards), ("sharded_files", "ShardedFile")),
    "a pickle": FileType(
        lambda look: (
            re.match(rb"\x80[\x02-\x05]", look.start) is not None
            or (look.is_file and _ends(".pkl", ".pickle", ".joblib", ".dill")(look))
        ),
        refusal="it is not read, because it can run any code; save the model as a .skops or .safetensors file",
    ),
    "a GGUF file": FileType(
        _starts(b"GGUF"),
        refusal="its blocks of numbers have no form in a table, so give the model that it was made from",
    ),
    "a single array of NumPy": FileType(_starts(b"\x93NUMPY"), refusal="save it under a name with numpy.savez"),
    "a TensorFlow Lite model": FileType(
        lambda look: look.start[4:8] == b"TFL3", refusal="give the Keras model or SavedModel that it was made from"
    ),
    "compressed": FileType(
        _starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"), refusal="unpack it first"
    ),
    "an event file of TensorBoard": FileType(
        lambda look: look.is_file and "tfevents" in look.path.name,
        refusal=advice("take the weights that it recorded with `{}`", Function("recorded_state")),
    ),
    "the graph of a SavedModel": FileType(
        _ends("saved_model.pb", "saved_model.pbtxt"), refusal="give the folder that it is in"
    ),
    "an ONNX model": FileType(
        _is_onnx, refusal="give the model that it was exported from, or save its initializers with numpy.savez"
    ),
    "a MessagePack file, as flax.serialization writes it": FileType(
        _is_msgpack,
        refusal="read it with flax.serialization.msgpack_restore and save its arrays with numpy.savez",
    ),
    "a checkpoint of Orbax": FileType(
        lambda look: (
            any((look.path / each / "_CHECKPOINT_METADATA").exists() for each in (".", *look.entries))
            or "_METADATA" in look.entries
        ),
        ("orbax_checkpoints", "OrbaxCheckpoint"),
    ),
    "a checkpoint of torch.distributed": FileType(
        lambda look: ".metadata" in look.entries or any(each.endswith(".distcp") for each in look.entries),
        ("torch_distributed", "DistributedCheckpoint"),
    ),
    "a Keras model that was saved with zipped=False": FileType(
        _holds("config.json", "metadata.json", "model.weights.h5"),
        refusal="give the model.weights.h5 in it, or save the model as one .keras file",
    ),
    "a folder with an index of shards": FileType(
        lambda look: any(each.endswith(".index.json") for each in look.entries), ("sharded_files", "ShardedFile")
    ),
    "a TensorFlow checkpoint": FileType(
        _is_checkpoint, ("tensorflow_checkpoints", "Checkpoint"), needs_tensorflow=True
    ),
    "the data of a TensorFlow checkpoint": FileType(
        lambda look: look.is_file and re.search(CHECKPOINT_DATA.pattern + "$", look.path.name) is not None,
        refusal="give the checkpoint's prefix, which is the name up to .data",
    ),
}

#: The types whose readers say what is wrong with a file of no known content, by its ending.
ENDINGS: Final = {
    ".keras": "a .keras file",
    ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file",
    ".pt": "a file of torch.save",
    ".pth": "a file of torch.save",
    ".safetensors": "a safetensors file",
    ".npz": "an .npz file",
    ".skops": "a .skops file",
    ".index": "a TensorFlow checkpoint",
}


def type_of(path: Path) -> tuple[str, FileType] | None:
    """Return the type of a file or folder and what it is called; None if it is of none that is known.

    Raises StateError if it cannot be read.
    """
    look = Look(path)
    found = next(((name, each) for name, each in FILE_TYPES.items() if each.fits(look)), None)
    ending = max((each for each in ENDINGS if path.name.lower().endswith(each)), key=len, default="")
    if found is None and ending and look.is_file:
        return ENDINGS[ending], FILE_TYPES[ENDINGS[ending]]
    return found


def refusal_of(path: Path) -> StateError | None:
    """Return the error for a file of a type that nothing here reads; None if it is not of such a type."""
    found = type_of(path)
    return _refused(path, *found) if found is not None and found[1].refusal else None


def pointer_refusal(path: Path) -> StateError | None:
    """Return the error for a file that is only a pointer of Git LFS; None if it is not a pointer.

    Unlike ``refusal_of`` it is for files that are parts of a model and of no type by themselves.
    """
    pointer = FILE_TYPES[_POINTER]
    return _refused(path, _POINTER, pointer) if pointer.fits(Look(path)) else None


def _refused(path: Path, name: str, file_type: FileType) -> StateError:
    what = file_type.refusal
    return StateError(f"{path} is {name}", advice(what) if isinstance(what, str) else what)
