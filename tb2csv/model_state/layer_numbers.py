"""Layers numbered anew within their model.

Keras names a layer without a name after its class and counts over the whole program: the third ``Dense`` of a notebook
is ``dense_2``, whichever model it is in. Two models that were built alike then differ in these numbers alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The alias of a tensor that ``structures`` gives.
STRUCTURE: Final = "structure"
#: The alias of a tensor that ``structures`` gives for the name under which training recorded it.
PATH_STRUCTURE: Final = "path_structure"
#: What stands for the optimizer as the layer of its variables, whose names tell not how often one was made.
OPTIMIZER: Final = "optimizer"

_NUMBER: Final = re.compile(r"_\d+$")


def path_structures(paths: Iterable[str]) -> list[str]:
    """Return ``structures`` of variables that are given by their paths."""
    return structures((layer, "", parameter) for layer, _, parameter in (path.rpartition("/") for path in paths))


def structures(variables: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return what names each variable whatever the numbers behind the names of its layers.

    ``variables`` are layer (as a path), type of layer, and parameter, in the order of the model. A layer gets the
    number that it has among its neighbours of the same name; an optimizer's variables are counted, for their names
    are made of those of layers.
    """
    numbered: dict[str, str] = {"": ""}
    counts: dict[str, int] = {}
    found = []
    for layer, layer_type, parameter in variables:
        if layer == OPTIMIZER:
            key = f"{OPTIMIZER}:{layer_type}"
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
