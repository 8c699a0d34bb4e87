"""Nested containers of JAX and NumPy programs: their leaves by name, and copies with other leaves.

Containers are dicts, lists, tuples, dataclasses, objects of flax.nnx, and what is registered with JAX. None and empty
containers have no leaves. Nothing is imported: what JAX and flax know is only looked up if the program has imported
them.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.key_paths import key_text, registered_parts
from tb2csv.model_state.foreign_errors import as_state_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The name of a tree that is a single leaf.
_ROOT: Final = "value"


class _Node(NamedTuple):
    """A container: its children by their keys, and what makes one of the same type from other children.

    A key that is None adds nothing to the name.
    """

    keys: Sequence[Any]
    children: Sequence[Any]
    with_children: Callable[[list[Any]], Any]


class NnxUpdate(NamedTuple):
    """An object of flax.nnx in a tree, its state, and the state that it is to get."""

    owner: Any
    old: Any
    new: Any

    def apply(self) -> None:
        """Put the new values into the object's variables."""
        sys.modules["flax.nnx"].update(self.owner, self.new)

    def revert(self) -> None:
        """Put the old values back."""
        sys.modules["flax.nnx"].update(self.owner, self.old)


def name_of(keys: Sequence[Any]) -> str:
    """Return the name of the leaf that keys and indices lead to: joined by ``/``, which is ``%2F`` inside of a key."""
    return "/".join(key_text(key) for key in keys) or _ROOT


def mapped(tree: Any, change: Callable[[str, Any], Any]) -> tuple[Any, list[NnxUpdate]]:
    """Return a copy of a tree with ``change(name, leaf)`` for each leaf, whose containers are of the same types.

    Objects of flax.nnx are the same in the copy and are not changed yet: each has an update.
    """
    updates: list[NnxUpdate] = []
    with as_state_errors("The structure of the tree cannot be followed", "use dicts, lists, tuples and dataclasses"):
        return _mapped(tree, change, (), updates), updates


def _mapped(value: Any, change: Callable[[str, Any], Any], path: tuple[Any, ...], updates: list[NnxUpdate]) -> Any:
    if value is None:
        return None
    if _is_nnx_object(value):
        state = sys.modules["flax.nnx"].state(value)
        old = _mapped(state, lambda _, leaf: leaf, path, [])  # a state shares its variables with the object
        updates.append(NnxUpdate(value, old, _mapped(state, change, path, updates)))
        return value
    node = _node(value)
    if node is None:
        return change(name_of(path), value)
    pairs = zip(node.keys, node.children, strict=True)
    children = [_mapped(child, change, path if key is None else (*path, key), updates) for key, child in pairs]
    return node.with_children(children)


def put(old: Any, new: Any) -> Any:
    """Put the leaves of a tree of NumPy arrays and numbers into another one; return what takes its place.

    Dicts, lists and arrays are changed in place; all else is new.
    """
    if isinstance(old, np.ndarray) and old.flags.writeable and old.dtype == new.dtype:
        old[...] = new
        return old
    node = _node(old)
    if node is None:
        return new
    children = [put(*pair) for pair in zip(node.children, _children(new), strict=True)]
    if isinstance(old, dict):
        old.update(zip(node.keys, children, strict=True))
    elif isinstance(old, list):
        old[:] = children
    else:
        return node.with_children(children)
    return old


def _children(value: Any) -> Sequence[Any]:
    node = _node(value)
    assert node is not None
    return node.children


def _node(value: Any) -> _Node | None:
    """Return the parts of a container; None for a leaf."""
    if isinstance(value, dict):
        return _Node([*value], [*value.values()], lambda items: _dict_like(value, items))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _Node(value._fields, value, lambda items: type(value)(*items))
    if isinstance(value, list | tuple):
        return _Node(range(len(value)), value, lambda items: _list_like(value, items))
    registered = _registered_node(value)
    if registered is not None:
        return registered
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and not _is_linen_module(value):
        names = [each.name for each in dataclasses.fields(value)]
        return _Node(names, [getattr(value, each) for each in names], lambda items: _with_fields(value, names, items))
    return None


def _dict_like(old: dict[Any, Any], items: list[Any]) -> Any:
    new = copy.copy(old)  # the dict may be of a type with further attributes
    new.update(zip(old, items, strict=True))
    return new


def _list_like(old: list[Any] | tuple[Any, ...], items: list[Any]) -> Any:
    if isinstance(old, tuple):
        return type(old)(items)
    new = copy.copy(old)
    new[:] = items
    return new


def _with_fields(old: Any, names: Sequence[str], items: list[Any]) -> Any:
    new = copy.copy(old)
    for name, item in zip(names, items, strict=True):
        object.__setattr__(new, name, item)  # the dataclass may be frozen
    return new


def _is_nnx_object(value: Any) -> bool:
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(value, nnx.Pytree)


def _is_linen_module(value: Any) -> bool:
    """Return whether it is a module of flax.linen, which is a dataclass of settings and has no variables."""
    linen = sys.modules.get("flax.linen")
    return linen is not None and isinstance(value, linen.Module)


def _registered_node(value: Any) -> _Node | None:
    """Return the parts of an object whose type is registered with JAX; None for all others."""
    parts = registered_parts(value)
    if parts is None:
        return None
    nnx = sys.modules.get("flax.nnx")
    is_variable = nnx is not None and isinstance(value, nnx.Variable)
    return _Node([None] * len(parts.keys) if is_variable else parts.keys, parts.children, parts.with_children)
