"""Shapes of data from JSON, checked before it is used, because the file that it is from may be damaged or hostile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class ListOf(NamedTuple):
    """A list of any length."""

    item: Any

    def fits(self, data: Any) -> bool:
        """Return whether data are such a list."""
        item = self.item
        return type(data) is list and all(fits(each, item) for each in data)


class DictOf(NamedTuple):
    """A dictionary with any keys."""

    value: Any

    def fits(self, data: Any) -> bool:
        """Return whether data are such a dictionary."""
        value = self.value
        return type(data) is dict and all(map(is_text, data)) and all(fits(each, value) for each in data.values())


class Maybe(NamedTuple):
    """None, or something."""

    shape: Any

    def fits(self, data: Any) -> bool:
        """Return whether data are None or have the shape."""
        return data is None or fits(data, self.shape)


class Either(NamedTuple):
    """One of two shapes."""

    first: Any
    second: Any

    def fits(self, data: Any) -> bool:
        """Return whether data have one of the shapes."""
        return fits(data, self.first) or fits(data, self.second)


#: An integer that is not negative, such as a count. A plain ``int`` may be negative; both have at most 64 bits.
COUNT: Final = "count"

#: Anything, such as what is checked elsewhere.
ANYTHING: Final = object()

_LIMIT: Final = 1 << 63


def check(data: Any, shape: Any) -> None:
    """Raise ValueError unless data has a shape."""
    if not fits(data, shape):
        message = "the data do not have the expected shape"
        raise ValueError(message)


def fits(data: Any, shape: Any) -> bool:
    """Return whether data has a shape.

    A shape is ``str``, ``bool``, ``int``, ``float`` (also an integer), ``COUNT``, ``ANYTHING``, ``ListOf``, ``DictOf``,
    ``Maybe``, ``Either``, a tuple of the shapes of a list's elements, or a dictionary of the shapes of an object's
    members.
    """
    if isinstance(shape, (ListOf, DictOf, Maybe, Either)):  # which are tuples as well
        return shape.fits(data)
    if isinstance(shape, tuple):
        return type(data) is list and len(data) == len(shape) and all(map(fits, data, shape))
    if isinstance(shape, dict):
        is_alike = type(data) is dict and data.keys() == shape.keys()
        return is_alike and all(fits(data[name], each) for name, each in shape.items())
    return _PLAIN[shape](data)


def is_text(data: Any) -> bool:
    """Return whether data are text that can be encoded: JSON may have half a character."""
    return type(data) is str and (data.isascii() or data.encode("utf-8", "replace").decode() == data)


def _is_integer(data: Any) -> bool:
    return type(data) is int and -_LIMIT <= data < _LIMIT


_PLAIN: Final[dict[Any, Callable[[Any], bool]]] = {
    str: is_text,
    bool: lambda data: type(data) is bool,
    int: _is_integer,
    float: lambda data: type(data) is float or _is_integer(data),
    COUNT: lambda data: _is_integer(data) and data >= 0,
    ANYTHING: lambda _: True,
}
