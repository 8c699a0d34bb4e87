"""Names of variables in tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def variable_names(variables: Sequence[Any]) -> list[str]:
    """Return a unique name for each variable: its Keras path, or TensorFlow's name without the ``:0``.

    If several variables of a model have one path, as they can in subclassed models, all but the first get ``#1``,
    ``#2`` … after it, in the order of the model's variables.
    """
    names = [getattr(variable, "path", None) or variable.name.removesuffix(":0") for variable in variables]
    taken: set[str] = set()
    unique = []
    for name in names:
        free, number = name, 0
        while free in taken or (number and free in names):  # a variable that has this name already keeps it
            number += 1
            free = f"{name}#{number}"
        taken.add(free)
        unique.append(free)
    return unique


def names_by_identity(model: Any) -> dict[int, str]:
    """Return the names of a model's variables by their ids."""
    variables = model.variables
    return {id(variable): name for variable, name in zip(variables, variable_names(variables), strict=True)}
