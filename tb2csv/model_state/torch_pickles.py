"""Pickles of ``torch.save``, read with ``weights_only=True``: tensors, plain values, and a closed list beside them.

NumPy's arrays and scalars are rebuilt here from their bytes: nothing of NumPy that a pickle names is called. Everything
else that a pickle names is refused, with one exception: the hyperparameters in a checkpoint of Lightning may be any
objects. There a class of ours that does nothing replaces each name, and all of them are left out of the state.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import pickle
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import reason_of
from tb2csv.model_state.torch_pickle_sizes import check_pickles, check_tree
from tb2csv.model_state.torch_trees import mapped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tb2csv.size_limits import SizeLimits

#: The name of a class in PyTorch's message about an import.
_NAMED: Final = re.compile(r"(?:GLOBAL|global) ([\w.]+)")
#: Dtypes whose arrays are nothing but bytes.
_PLAIN_DTYPE: Final = re.compile(r"[biufcSU]\d+")
#: What Lightning's checkpoints have beside the state dict, and the parts of them that may hold any objects.
_LIGHTNING: Final = "pytorch-lightning_version"
_HYPERPARAMETERS: Final = (
    "hyper_parameters",
    "hparams_type",
    "datamodule_hyper_parameters",
    "datamodule_hparams_type",
)
#: Names in one pickle that are taken for classes that do nothing.
_MOST_NAMES: Final = 200


class _Dtype:
    """The stand-in for ``numpy.dtype`` in a pickle."""

    def __init__(self, name: str | bytes, *_: Any) -> None:
        self._name = name.decode() if isinstance(name, bytes) else str(name)
        self.dtype = self._with_order("=")

    def _with_order(self, order: str) -> np.dtype[Any]:
        if not _PLAIN_DTYPE.fullmatch(self._name):
            message = f"NumPy's dtype {self._name!r}"
            raise pickle.UnpicklingError(message)
        return np.dtype(order + self._name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        self.dtype = self._with_order(order.decode() if isinstance(order, bytes) else str(order))


class _Array:
    """The stand-in for ``numpy.ndarray`` in a pickle; ``array`` is the real one."""

    array: np.ndarray[Any, Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        order: Any = "F" if is_fortran else "C"
        self.array = _elements(content, dtype).reshape(shape, order=order).copy(order="K")


def _elements(content: bytes, dtype: _Dtype) -> np.ndarray[Any, Any]:
    if not dtype.dtype.itemsize:  # texts without letters
        return np.zeros(1, dtype.dtype)
    return np.frombuffer(content, dtype.dtype)


def _array(*_: Any) -> _Array:
    """Replace ``_reconstruct``, whose arguments are the same for all arrays."""
    return _Array()


def _scalar(dtype: _Dtype, content: bytes) -> Any:
    """Replace ``scalar``."""
    return _elements(content, dtype)[0]


def _no_bytes() -> bytes:
    """Take the place of ``bytes``, which a pickle calls for none; it takes no arguments, which may be huge."""
    return b""


class Nothing:
    """The stand-in for an object that only code could make."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take whatever a constructor gets."""

    # As a key of a dict it would give tensors a name of no meaning.
    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: Any) -> None:
        """Drop what an object would keep."""


class Hyperparameters:
    """The hyperparameters of a model in a checkpoint of Lightning; ``value`` is what the file has."""

    def __init__(self, value: Any) -> None:
        """Hold the value, which is written again as it is."""
        self.value = value


#: Names in pickles, and their stand-ins. A Namespace, which holds the arguments of a script, has only attributes.
_STAND_INS: Final[dict[str, Any]] = {
    "numpy.dtype": _Dtype,
    "numpy.ndarray": _Array,
    **{f"numpy.{core}.multiarray._reconstruct": _array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    "builtins.bytes": _no_bytes,
    "builtins.frozenset": frozenset,
    "argparse.Namespace": argparse.Namespace,
}


def read_pickle(path: Path, limits: SizeLimits, content: bytes | None = None) -> Any:
    """Return the tree in a file of ``torch.save``; Lightning's hyperparameters are in it as ``Hyperparameters``.

    ``content`` is the part of a larger file that was written by ``torch.save``.

    Raises StateError if the file holds anything that only code could make, is not such a file, or is too large.
    """
    is_mapped = check_pickles(path, limits, content)
    try:
        tree, names = _read_known(path, content, is_mapped=is_mapped)
    except pickle.UnpicklingError as error:
        raise StateError(_refusal(path, error)) from error
    except Exception as error:  # the unpickler raises many errors for bytes that are not a pickle
        message = f"{path} cannot be read as a file of torch.save ({reason_of(error)}); save the model's state_dict()."
        raise StateError(message) from error
    check_tree(tree, path, limits)
    is_lightning = isinstance(tree, dict) and _LIGHTNING in tree and isinstance(tree.get("state_dict"), dict)
    kept = {key: Hyperparameters(tree[key]) for key in _HYPERPARAMETERS if is_lightning and key in tree}
    for key in kept:
        del tree[key]
    tree = mapped(tree, lambda _, value: value.array if isinstance(value, _Array) else value)
    if names and holds_nothing(tree):
        raise StateError(_refusal(path, names[0]))
    if kept:
        tree |= kept
    return tree


def holds_nothing(value: Any) -> bool:
    """Return whether objects that only code could make were left out of a tree."""
    found: list[Any] = []

    def look(_: str, leaf: Any) -> Any:
        if isinstance(leaf, argparse.Namespace | set | frozenset):
            items = vars(leaf).values() if isinstance(leaf, argparse.Namespace) else leaf
            found.extend(item for item in items if holds_nothing(item))
        elif isinstance(leaf, Nothing) or (isinstance(leaf, type) and issubclass(leaf, Nothing)):
            found.append(leaf)
        return leaf

    mapped(value, look)
    return bool(found)


def _read_known(path: Path, content: bytes | None, *, is_mapped: bool) -> tuple[Any, list[str]]:
    """Return what a file holds, and the names in it that are not on the list, as instances of ``Nothing``."""
    names: list[str] = []
    while True:
        try:
            stand_ins = {**_STAND_INS, **{name: type("Nothing", (Nothing,), {}) for name in names}}
            return _read(path if content is None else io.BytesIO(content), stand_ins, is_mapped=is_mapped), names
        except Exception as error:
            found = _NAMED.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
            name = (found[1] if "." in found[1] else f"builtins.{found[1]}") if found else ""
            if not name or name in names or len(names) == _MOST_NAMES:
                if names:
                    message = f"GLOBAL {names[0]}"
                    raise pickle.UnpicklingError(message) from error
                raise
            names.append(name)


def _read(source: Path | io.BytesIO, stand_ins: dict[str, Any], *, is_mapped: bool) -> Any:
    import torch

    with warnings.catch_warnings(), _allowed(stand_ins):
        warnings.simplefilter("ignore", UserWarning)  # of pickles in an unusual form, which are refused
        return torch.load(source, map_location="cpu", weights_only=True, mmap=is_mapped)


@contextlib.contextmanager
def _allowed(stand_ins: dict[str, Any]) -> Iterator[None]:
    """Make PyTorch use our functions and classes under these names; PyTorch before 2.5 cannot."""
    import torch

    if not hasattr(torch.serialization, "safe_globals"):
        yield
        return
    # PyTorch knows them by their names. Instances are compared by class, which therefore stays ours.
    with torch.serialization.safe_globals([_known_as(name, each) for name, each in stand_ins.items()]):
        yield


def _known_as(path: str, what: Any) -> Any:
    """Return a function or a class of ours under the name of another one."""
    module, _, name = path.rpartition(".")
    if (getattr(what, "__module__", ""), getattr(what, "__qualname__", "")) == (module, name):
        return what
    if isinstance(what, type):
        what.__module__, what.__qualname__, what.__name__ = module, name, name
        return what
    stand_in = functools.partial(what)
    for attribute, value in {"__module__": module, "__name__": name, "__qualname__": name}.items():
        setattr(stand_in, attribute, value)
    return stand_in


def _refusal(path: Path, cause: pickle.UnpicklingError | str) -> str:
    found = _NAMED.search(str(cause)) if isinstance(cause, Exception) else None
    named = found[1] if found else cause if isinstance(cause, str) else ""
    what = f" (it names {named})" if named else ""
    return (
        f"{path} is not read: it is a pickle that holds other things than tensors and plain values{what}, or "
        "not a file of torch.save at all, and reading such a pickle could run any code; save the model's state_dict()."
    )
