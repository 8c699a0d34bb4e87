"""Layers numbered anew within their model.

Keras names a layer without a name after its class and counts over the whole program: the third ``Dense`` of a notebook
is ``dense_2``, whichever model it is in. Two models that were built alike then differ in these numbers alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tb2csv.model_state.tensors import ModelState, StateTensor

#: The alias of a tensor that ``structures`` gives.
STRUCTURE: Final = "structure"
#: The alias of a tensor that ``structures`` gives for the name under which training recorded it.
PATH_STRUCTURE: Final = "path_structure"
#: The alias of a tensor that ``structures`` gives for its name below the name of its model, under which Keras records
#: the weights of a Sequential.
ROOTED_STRUCTURE: Final = "rooted_structure"
#: The layer that an optimizer's variables have; further optimizers of a model are layers below it.
OPTIMIZER: Final = "optimizer"

_NUMBER: Final = re.compile(r"_\d+$")


def is_optimizer_layer(layer: str) -> bool:
    """Return whether this is the layer of an optimizer's variables."""
    return layer == OPTIMIZER or layer.startswith(f"{OPTIMIZER}/")


def is_optimizer(tensor: StateTensor) -> bool:
    """Return whether a tensor is a variable of an optimizer."""
    return is_optimizer_layer(tensor.layer) or tensor.name.startswith(f"{OPTIMIZER}/")


def is_unused(optimizer: Sequence[StateTensor]) -> bool:
    """Return whether these are the variables of an optimizer before its first step: the step counter and the rate."""
    return [(tensor.dtype.strip("u0123456789"), tensor.shape) for tensor in optimizer] == [("int", ()), ("float", ())]


def has_more_of_optimizer(state: ModelState, other: ModelState) -> bool:
    """Return whether a state has more variables of an optimizer than another one, such as its slots."""
    first, second = (sum(map(is_optimizer, each.tensors)) for each in (state, other))
    return first > second


def path_structures(paths: Iterable[str]) -> list[str]:
    """Return ``structures`` of variables that are given by their paths."""
    return structures((layer, "", parameter) for layer, _, parameter in (path.rpartition("/") for path in paths))


def rooted_structures(root: str, names: Iterable[str]) -> list[str]:
    """Return ``structures`` of variables by their paths below the name of their model; none for an optimizer's."""
    known = list(names)
    weights = [name for name in known if not name.startswith(f"{OPTIMIZER}/")]
    numbered = dict(zip(weights, path_structures(f"{root}/{name}" for name in weights), strict=True))
    return [numbered.get(name, "") for name in known]


def structures(variables: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return names of variables that do not depend on the numbers at the end of layer names.

    ``variables`` are layer (as a path), type of layer, and parameter, in the order of the model. A layer gets the
    number that it has among its neighbours of the same name; an optimizer's variables are counted, for their names
    are made of those of layers.
    """
    numbered: dict[str, str] = {"": ""}
    counts: dict[str, int] = {}
    found = []
    for layer, layer_type, parameter in variables:
        if is_optimizer_layer(layer):
            key = f"{layer}:{layer_type}"
            counts[key] = counts.get(key, -1) + 1
            found.append(f"{key}#{counts[key]}")
            continue
        parent = ""
        for part in layer.split("/"):
            path = f"{parent}/{part}"
            if path not in numbered:
                word = f"{numbered[parent]}/{_NUMBER.sub('', part)}"
                counts[word] = counts.get(word, -1) + 1
                numbered[path] = f"{word}:{counts[word]}"
            parent = path
        found.append(f"{numbered[parent]}/{parameter}")
    return found
