"""What can hold a state: files by their suffix, and live objects by the package that their class comes from.

A new sort is one module with a class that satisfies one of the protocols, and one line here. No framework is imported
to find out whose an object is.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tb2csv.errors import StateError
from tb2csv.model_state.state_csv import read_state

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tb2csv.model_state.matching import Restoration
    from tb2csv.model_state.tensors import Buffer, ModelState


class FileHolder(Protocol):
    """A file, or a folder, with a model's state."""

    state: ModelState

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a place to write to, which becomes ``out`` unless an exception ends it."""

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write the file again, with the new values; the others stay as they are."""


class LiveHolder(Protocol):
    """An object in memory with a state."""

    state: ModelState

    def prepare(self, incoming: ModelState) -> None:
        """Make room for what ``incoming`` has and the object only gets at its first step, such as slots."""

    def assign(self, contents: Mapping[str, Buffer]) -> None:
        """Put new values in their places, by the names of tensors; all of them are known to fit."""


#: The module and the class, or function, that opens files with an ending; the longest that fits counts.
FILE_HOLDERS: Final = {
    ".keras": ("keras_files", "KerasArchive"),
    ".h5": ("keras_files", "open_hdf5"),
    ".hdf5": ("keras_files", "open_hdf5"),
    ".pt": ("torch_files", "TorchFile"),
    ".pth": ("torch_files", "TorchFile"),
    ".safetensors": ("safetensors_files", "SafetensorsFile"),
    ".npz": ("npz_files", "NpzFile"),
    ".skops": ("sklearn_estimators", "SkopsFile"),
    ".ckpt": ("tensorflow_checkpoints", "Checkpoint"),
    ".index": ("tensorflow_checkpoints", "Checkpoint"),
}

#: The same for objects, by the first part of a module's name, of any of the classes that theirs descends from.
LIVE_HOLDERS: Final = {
    "keras": ("keras_models", "KerasModel"),
    "torch": ("torch_states", "TorchObject"),
    "sklearn": ("sklearn_estimators", "Estimator"),
    "dict": ("torch_states", "TorchObject"),
}

#: The extra of tb2csv that brings a package, where it is not called so itself.
_EXTRAS: Final = {"keras": "tensorflow", "h5py": "tensorflow", "ml_dtypes": "tensorflow", "skops": "sklearn"}

#: Endings of files that nothing reads, and why.
_REFUSED: Final = dict.fromkeys(
    (".pkl", ".pickle", ".joblib", ".dill"),
    "a pickle, which can run any code when it is read; save the model as a .skops or .safetensors file instead",
)


def open_file(path: str | os.PathLike[str]) -> FileHolder:
    """Return what holds the state of a model file, without running anything that is in it.

    Raises StateError where there is no such file, or it is of no sort that is known.
    """
    place = Path(path)
    name = place.name.lower()
    for ending, reason in _REFUSED.items():
        if name.endswith(ending):
            message = f"{place} is not read, for it is {reason}."
            raise StateError(message)
    if _is_checkpoint(place):
        return _file_holder(".ckpt", place)
    if not place.exists():
        message = f"{place} is not there; give the file of a model."
        raise StateError(message)
    ending = max((each for each in FILE_HOLDERS if name.endswith(each)), key=len, default="")
    if not ending:
        known = ", ".join(FILE_HOLDERS)
        message = f"{place} is of no sort that is known; give a file that ends in {known}, or a TensorFlow checkpoint."
        raise StateError(message)
    return _file_holder(ending, place)


def _file_holder(ending: str, place: Path) -> FileHolder:
    holder: FileHolder = _made(*FILE_HOLDERS[ending], place)
    return holder


def needs_tensorflow(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is read with the help of TensorFlow."""
    place = Path(path)
    return _is_checkpoint(place) or place.suffix.lower() in {".keras", ".index", ".ckpt"}


def _is_checkpoint(place: Path) -> bool:
    """Say whether it is a SavedModel, a folder of checkpoints, or the prefix of one checkpoint."""
    if place.is_dir():
        return (place / "variables").is_dir() or (place / "checkpoint").exists()
    return place.with_name(place.name + ".index").exists()


def read_any(path: str | os.PathLike[str]) -> ModelState:
    """Return the state in a CSV file or in a model's file."""
    if str(path).lower().endswith(".csv"):
        return read_state(path)
    return open_file(path).state


def open_live(model: Any) -> LiveHolder:
    """Return what holds the state of an object: a Keras model, a PyTorch object or a dict of them, an estimator.

    Raises StateError where it is none of these.
    """
    for cls in type(model).__mro__:
        package = "dict" if cls is dict else cls.__module__.split(".", 1)[0]
        if package in LIVE_HOLDERS:
            holder: LiveHolder = _made(*LIVE_HOLDERS[package], model)
            return holder
    cls = type(model)
    message = (
        f"An object of {cls.__module__}.{cls.__qualname__} holds no state that is known; give a Keras model, a PyTorch "
        "module, optimizer or dict of them, or a scikit-learn estimator."
    )
    raise StateError(message)


def _made(module: str, name: str, what: Any) -> Any:
    try:
        return getattr(importlib.import_module(f"tb2csv.model_state.{module}"), name)(what)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "tb2csv":
            raise
        extra = _EXTRAS.get(package, package)
        message = f"{what} needs {package}, which is not installed; install tb2csv[{extra}]."
        raise StateError(message) from error
