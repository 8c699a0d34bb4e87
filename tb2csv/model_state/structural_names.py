"""Names of variables that do not depend on Keras's global layer numbering.

Keras names an unnamed layer after its class and counts over the whole program: the third ``Dense`` of a notebook is
``dense_2``, whichever model it is in. So two models built by the same code differ in these numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tb2csv.model_state.tensors import ModelState, StateTensor

#: The alias that holds a tensor's structural name.
STRUCTURE: Final = "structure"
#: The alias that holds the structural name of the path under which a training recorded the tensor.
PATH_STRUCTURE: Final = "path_structure"
#: The alias that holds the structural name of the path below the model's name, as Keras records a Sequential.
ROOTED_STRUCTURE: Final = "rooted_structure"
#: The layer of an optimizer's variables; further optimizers of a model are layers below it.
OPTIMIZER: Final = "optimizer"

_NUMBER: Final = re.compile(r"_\d+$")


def is_optimizer_layer(layer: str) -> bool:
    """Return whether this is the layer of an optimizer's variables."""
    return layer == OPTIMIZER or layer.startswith(f"{OPTIMIZER}/")


def is_optimizer_variable(tensor: StateTensor) -> bool:
    """Return whether a tensor is a variable of an optimizer."""
    return is_optimizer_layer(tensor.layer) or tensor.name.startswith(f"{OPTIMIZER}/")


def has_no_slots(optimizer: Sequence[StateTensor]) -> bool:
    """Return whether an optimizer has made no step: its only variables are the step counter and the learning rate."""
    return [(tensor.dtype.strip("u0123456789"), tensor.shape) for tensor in optimizer] == [("int", ()), ("float", ())]


def has_more_of_optimizer(state: ModelState, other: ModelState) -> bool:
    """Return whether a state has more optimizer variables than another one, for example slots."""
    first, second = (sum(map(is_optimizer_variable, each.tensors)) for each in (state, other))
    return first > second


def structural_names_of_paths(paths: Iterable[str]) -> list[str]:
    """Return structural names of variables given by their paths."""
    return structural_names((layer, "", parameter) for layer, _, parameter in (path.rpartition("/") for path in paths))


def structural_names_below(root: str, names: Iterable[str]) -> list[str]:
    """Return structural names of variables by their paths below the model's name; empty for optimizer variables."""
    known = list(names)
    weights = [name for name in known if not name.startswith(f"{OPTIMIZER}/")]
    numbered = dict(zip(weights, structural_names_of_paths(f"{root}/{name}" for name in weights), strict=True))
    return [numbered.get(name, "") for name in known]


def structural_names(variables: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return names of variables that do not depend on the numbers at the end of layer names.

    ``variables`` are layer (as a path), type of layer, and parameter, in the order of the model. A layer is numbered
    among the layers of the same parent and the same name. Variables of an optimizer are only counted, because their
    own names contain names of layers.
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
                unnumbered = f"{numbered[parent]}/{_NUMBER.sub('', part)}"
                counts[unnumbered] = counts.get(unnumbered, -1) + 1
                numbered[path] = f"{unnumbered}:{counts[unnumbered]}"
            parent = path
        found.append(f"{numbered[parent]}/{parameter}")
    return found
