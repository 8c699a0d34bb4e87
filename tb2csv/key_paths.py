"""Keys of nested containers, also of those registered with JAX or PyTorch, as parts of a path joined by ``/``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

#: A ``/`` in a key would make {"a/b": 1} and {"a": {"b": 1}} one path. No other key becomes ``%``.
_ESCAPES: Final = str.maketrans({"%": "%25", "/": "%2F"})
_EMPTY: Final = "%"


def key_text(key: object) -> str:
    """Return a key or an index as a part of a path. Keys with different texts have different parts."""
    return str(key).translate(_ESCAPES) or _EMPTY


class RegisteredParts(NamedTuple):
    """The children of an object whose type is registered with JAX, and what makes such an object of other children."""

    keys: list[Any]
    children: list[Any]
    with_children: Callable[[list[Any]], Any]


def registered_parts(value: object) -> RegisteredParts | None:
    """Return the parts of an object whose type is registered with JAX, if the program has imported it; else None."""
    jax = sys.modules.get("jax")
    if jax is None:
        return None
    found, structure = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda each: each is not value)
    if any(not path for path, _ in found):  # the whole value is a leaf
        return None
    return RegisteredParts(
        [entry_key(path[0]) for path, _ in found], [child for _, child in found], structure.unflatten
    )


def entry_key(entry: Any) -> Any:
    """Return the key or index in an entry of a path of JAX or PyTorch, of which there are several types."""
    return next((getattr(entry, name) for name in ("key", "idx", "name") if hasattr(entry, name)), str(entry))
