"""Holders of a state: files by their type, and live objects by the package that their class comes from.

A new holder is one module with a class that satisfies one of the protocols, and one line: in ``file_types.FILE_TYPES``
for files, here for objects. No framework is imported to find out whose an object is.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from tb2csv.errors import MissingExtraError, StateError
from tb2csv.local_paths import home_expanded
from tb2csv.model_state.file_types import ENDINGS, refusal_of, type_of
from tb2csv.model_state.pytrees import mapped
from tb2csv.model_state.state_csv import is_table, read_state
from tb2csv.size_limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import Buffer, ModelState
    from tb2csv.size_limits import SizeLimits


class FileHolder(Protocol):
    """A file, or a folder, with a model's state."""

    state: ModelState

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a place to write to, which becomes ``out`` unless an exception ends it."""

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write the file again, with the new values; the others stay as they are."""


@runtime_checkable
class GrowingFile(Protocol):
    """A file that can get tensors that it does not have yet, such as the slots of an optimizer."""

    def prepare(self, incoming: ModelState) -> None:
        """Add what ``incoming`` has and the file can get, to be written if the state is restored."""


class LiveHolder(Protocol):
    """An object in memory with a state."""

    state: ModelState

    def prepare(self, incoming: ModelState) -> None:
        """Make room for what ``incoming`` has and the object only gets at its first step, such as slots."""

    def assign(self, contents: Mapping[str, Buffer]) -> Any:
        """Put new values in their places, by the names of tensors; all of them are known to fit.

        Return the object with its new state: itself, or a copy if it cannot be changed.
        """


#: The module and the class for objects, by the first part of a module's name, of any class that theirs descends from.
LIVE_HOLDERS: Final = {
    "keras": ("keras_models", "KerasModel"),
    "torch": ("torch_states", "TorchObject"),
    "sklearn": ("sklearn_estimators", "Estimator"),
    **dict.fromkeys(("jax", "jaxlib", "flax", "numpy"), ("live_pytrees", "Pytree")),
}
#: The same for objects that are not read inside of a container.
_SINGLE: Final = ("keras", "sklearn")

#: The extra of tb2csv that installs a package, if its name differs.
_EXTRAS: Final = {"keras": "tensorflow", "h5py": "tensorflow", "ml_dtypes": "tensorflow", "skops": "sklearn"}


def open_file(path: str | os.PathLike[str], limits: SizeLimits = DEFAULT_LIMITS) -> FileHolder:
    """Return what holds the state of a model file, without running anything that is in it.

    Raises StateError if there is no such file, it is of no type that can be read, or its data are too large.
    """
    place = Path(home_expanded(path))
    found = type_of(place)
    if found is not None and found[1].holder is not None:
        holder: FileHolder = _made(*found[1].holder, place, limits)
        return holder
    raise refusal_of(place) or StateError(_unknown(place))


def _unknown(place: Path) -> str:
    """Return a sentence about a path of no known type."""
    if place.is_dir():
        known = [each.name for each in sorted(place.iterdir()) if each.is_file() and _is_readable(each)]
        files = f", such as {known[0]}" if known else ""
        return f"{place} is a folder, and no model of a known type; give the file of a model{files}."
    if not place.exists():
        return f"{place} does not exist; give the file of a model."
    if not place.stat().st_size:
        return f"{place} is empty; save or fetch the model again."
    return f"{place} is of an unknown type; give one of {', '.join(ENDINGS)}, or a TensorFlow checkpoint."


def _is_readable(place: Path) -> bool:
    found = type_of(place)
    return found is not None and found[1].holder is not None


def needs_tensorflow(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is read with the help of TensorFlow."""
    found = type_of(Path(home_expanded(path)))
    return found is not None and found[1].needs_tensorflow


def read_any(path: str | os.PathLike[str], limits: SizeLimits = DEFAULT_LIMITS) -> ModelState:
    """Return the state in a CSV file or in a model's file."""
    return read_table(path) if _is_table(Path(home_expanded(path))) else open_file(path, limits).state


def read_table(path: str | os.PathLike[str]) -> ModelState:
    """Return the state in a CSV file; raises StateError if it is none, and says what it is if that is known."""
    refusal = None if is_table(Path(home_expanded(path))) else refusal_of(Path(home_expanded(path)))
    if refusal:
        raise refusal
    return read_state(path)


def _is_table(place: Path) -> bool:
    """Return whether it is a table of a state by its columns, or by its ending if its content is of no known type."""
    return is_table(place) or (place.name.lower().endswith(".csv") and type_of(place) is None)


def open_live(model: Any) -> LiveHolder:
    """Return what holds the state of an object: a Keras model, an estimator, a PyTorch object, or a pytree.

    A dict, list, tuple or dataclass is of PyTorch if any object in it is, and a pytree of JAX or NumPy otherwise.

    Raises StateError if it is none of these.
    """
    package = _package_of(model) or _package_in(model)
    if package:
        holder: LiveHolder = _made(*LIVE_HOLDERS[package], model)
        return holder
    message = (
        f"An object of {_class_name(model)} holds no state that is known; give a Keras model, a PyTorch module, "
        "optimizer or dict of them, a scikit-learn estimator, or arrays of JAX or NumPy."
    )
    raise StateError(message)


def _package_of(value: Any) -> str:
    """Return the package of an object that LIVE_HOLDERS knows; empty if there is none."""
    packages = (cls.__module__.split(".", 1)[0] for cls in type(value).__mro__)
    return next((package for package in packages if package in LIVE_HOLDERS), "")


def _package_in(container: Any) -> str:
    """Return the package that reads a container; empty if it is not a container."""
    leaves: list[Any] = []

    def take(_: str, leaf: Any) -> Any:
        leaves.append(leaf)
        return leaf

    mapped(container, take)
    if any(leaf is container for leaf in leaves):
        return ""
    if any(_package_of(leaf) == "torch" or hasattr(leaf, "state_dict") for leaf in leaves):
        return "torch"
    single = next((leaf for leaf in leaves if _package_of(leaf) in _SINGLE), None)
    if single is not None:
        message = (
            f"An object of {_class_name(single)} inside of a {type(container).__name__} is not read; give it alone."
        )
        raise StateError(message)
    return "jax"


def _class_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _made(module: str, name: str, what: Any, *limits: SizeLimits) -> Any:
    try:
        return getattr(importlib.import_module(f"tb2csv.model_state.{module}"), name)(what, *limits)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "tb2csv":
            raise
        extra = _EXTRAS.get(package, package)
        raise MissingExtraError(str(what), package, extra) from error
