"""The leaves of nested containers, such as a mapping of scalars or the parameters of a JAX model, with their tags."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tb2csv.errors import RecorderError
from tb2csv.key_paths import key_text, registered_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The keys and indices from the whole tree down to a leaf.
Path: TypeAlias = "tuple[str, ...]"

_Child: TypeAlias = "tuple[object, object]"


class Leaf(NamedTuple):
    """A leaf, the path to it, and the tag that the path becomes."""

    tag: str
    path: Path
    value: Any


def leaves_of(tree: object) -> list[Leaf]:
    """Return the leaves of a tree in its order.

    Mappings, lists, tuples, named tuples, dataclasses, variables of flax and Keras, and what is registered with JAX are
    containers, if JAX has been imported; everything else is a leaf. The keys on the way to a leaf are joined by ``/``.
    Keys of the first level are kept as they are; in those below, ``/`` is written as ``%2F`` and ``%`` as ``%25``,
    and an empty key as ``%``.

    Raises:
        RecorderError: two leaves have the same tag, the tree is a single value without a name, or it contains itself.
    """
    try:
        leaves = [Leaf(_tag(path), path, value) for path, value in _walk((), tree)]
    except RecursionError as error:
        message = "The tree contains itself, or is too deep; give its values in a mapping."
        raise RecorderError(message) from error
    found: dict[str, Path] = {}
    for tag, path, _ in leaves:
        if not path:
            message = f"A single {type(tree).__name__} has no name; give a mapping such as {{'loss': value}}."
            raise RecorderError(message)
        if found.setdefault(tag, path) is not path:
            raise RecorderError(collision(tag, found[tag], path))
    return leaves


def collision(tag: str, first: Path, second: Path) -> str:
    """Return the message about two paths that become the same tag."""
    shown = ["".join(f"[{key!r}]" for key in path) for path in (first, second)]
    return f"{shown[0]} and {shown[1]} would both be recorded as {tag!r}; rename one of them."


def _tag(path: Path) -> str:
    return "/".join([*path[:1], *map(key_text, path[1:])])


def _walk(path: Path, node: object) -> Iterator[tuple[Path, object]]:
    children = _children(node)
    if children is None:
        yield path, node
        return
    for key, child in children:
        yield from _walk(path if key is None else (*path, str(key)), child)


def _children(node: object) -> Iterable[_Child] | None:
    """Return the keys and values of a container, or None for a leaf; a key that is None adds nothing to the path."""
    return next((found for children in _CONTAINERS if (found := children(node)) is not None), None)


def _sequence(node: object) -> Iterable[_Child] | None:
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return zip(node._fields, node, strict=True)
    return enumerate(node) if isinstance(node, (list, tuple)) else None


def _mapping(node: object) -> Iterable[_Child] | None:
    return node.items() if isinstance(node, Mapping) else None


def _variable(node: Any) -> Iterable[_Child] | None:
    """Return the value of a variable of flax or Keras, which has the name of the variable."""
    nnx, keras = sys.modules.get("flax.nnx"), sys.modules.get("keras")
    if nnx is not None and isinstance(node, nnx.Variable):
        return [(None, node.get_value() if hasattr(node, "get_value") else node.value)]
    if keras is not None and isinstance(node, keras.Variable):
        return [(None, node.value)]
    return None


def _registered(node: object) -> Iterable[_Child] | None:
    """Return the children of a node that is registered with JAX, such as a TrainState; else None.

    To JAX, None is a container of nothing, but it may be the value of a hyperparameter, and a scalar that is missing.
    """
    parts = None if node is None else registered_parts(node)
    return None if parts is None else zip(parts.keys, parts.children, strict=True)


def _dataclass(node: Any) -> Iterable[_Child] | None:
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return [(each.name, getattr(node, each.name)) for each in dataclasses.fields(node)]
    return None


#: JAX's registry comes before dataclasses, because some of their fields may not be leaves, such as functions.
_CONTAINERS: Final = (_sequence, _mapping, _variable, _registered, _dataclass)
