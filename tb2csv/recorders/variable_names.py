"""What variables are called in tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def variable_names(variables: Sequence[Any]) -> list[str]:
    """Return a name for each variable, no two alike: its Keras path, or TensorFlow's name without the ``:0``.

    Where several variables of a model have one path, as in subclassed models they can, all but the first get ``#1``,
    ``#2`` … behind it, in the order of the model's variables.
    """
    names = [getattr(variable, "path", None) or variable.name.removesuffix(":0") for variable in variables]
    taken: set[str] = set()
    unique = []
    for name in names:
        free, number = name, 0
        while free in taken or (number and free in names):  # one that is called so from the start keeps its name
            number += 1
            free = f"{name}#{number}"
        taken.add(free)
        unique.append(free)
    return unique
