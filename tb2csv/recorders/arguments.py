"""Checks of the arguments of recorders, so that a mistake is an error at once and not the end of a recording."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tb2csv.errors import RecorderError

#: What a step may count.
_UNITS: Final = ("batch", "epoch")


def interval(name: str, value: int | None) -> int:
    """Return an ``every=`` argument as a number, 0 for never. Raises RecorderError if it is not valid."""
    return 0 if value is None else positive(name, value, "a number of steps", ", or None for never")


def positive(name: str, value: Any, meaning: str, otherwise: str = "") -> int:
    """Return an argument as an integer of at least 1. Raises RecorderError, which says what it means, if it is not."""
    number = _as_integer(value)
    if number is None or number < 1:
        message = f"{name}={value!r} is not {meaning}; give 1 or more{otherwise}."
        raise RecorderError(message)
    return number


def integer(name: str, value: Any) -> int:
    """Return an argument, such as a step, as an integer. Raises RecorderError if it does not fit into 64 bits."""
    number = _as_integer(value)
    if number is None or not -(2**63) <= number < 2**63:
        message = f"{name}={value!r} is not an integer of 64 bits."
        raise RecorderError(message)
    return number


def _as_integer(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except (TypeError, ValueError):  # also an array of several numbers
        return None


def layer_names(names: Any) -> Sequence[str] | None:
    """Return the argument ``layers=``, None for all. Raises RecorderError if it is not a list of names.

    The letters of a text would be taken for names, and no names would record nothing.
    """
    if names is None:
        return None
    found = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else []
    if not found or not all(isinstance(name, str) for name in found):
        message = f"layers={names!r} is not a list of names; give one, such as ['encoder'], or None for all."
        raise RecorderError(message)
    return found


def named_values(values: Any) -> Mapping[str, Any]:
    """Return what is recorded by its tags. Raises RecorderError if it is not a mapping."""
    if not isinstance(values, Mapping):
        message = f"{type(values).__name__} is not a mapping; give values by their names, such as {{'loss': loss}}."
        raise RecorderError(message)
    return values


def check_unit(unit: str) -> None:
    """Raise RecorderError if steps cannot count ``unit``."""
    if unit not in _UNITS:
        message = f"unit={unit!r} is not what steps count; choose from {', '.join(_UNITS)}."
        raise RecorderError(message)
