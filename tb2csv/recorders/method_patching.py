"""Temporary replacement of a method of one object."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ABSENT = object()


@contextlib.contextmanager
def replaced_method(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Make ``owner.name(...)`` call ``function(...)`` within the block, and always restore it afterwards.

    This bypasses ``owner``'s ``__setattr__``, because those of Keras track what is assigned.
    """
    attributes = vars(owner)
    earlier = attributes.get(name, _ABSENT)
    attributes[name] = function
    try:
        yield
    finally:
        if earlier is _ABSENT:
            del attributes[name]
        else:
            attributes[name] = earlier
