"""Vocabularies and bin boundaries, which preprocessing layers of Keras learn and keep outside variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

#: Classes of layers whose state is not in variables.
LEARNING_LAYERS: Final = frozenset({"Discretization", "IntegerLookup", "StringLookup", "TextVectorization"})

VOCABULARY: Final = "vocabulary"
#: The weights of the terms of a vocabulary under tf-idf; the name in files as well.
IDF: Final = "idf_weights"
_BOUNDARIES: Final = "bin_boundaries"


class Learned(NamedTuple):
    """An array that a layer learned."""

    parameter: str
    read: Callable[[], npt.NDArray[Any]]


def learned_arrays(layer: Any) -> list[Learned]:
    """Return what a layer learned and keeps outside variables; nothing for most layers."""
    import keras

    if isinstance(layer, keras.layers.Discretization):
        return [Learned(_BOUNDARIES, lambda: np.asarray(layer.bin_boundaries or (), np.float64))]
    if isinstance(layer, keras.layers.IntegerLookup | keras.layers.StringLookup):
        found = [Learned(VOCABULARY, lambda: _vocabulary(layer))]
        if layer.output_mode == "tf_idf" and getattr(layer, IDF, None) is not None:
            found.append(Learned(IDF, lambda: _idf_weights(layer)))
        return found
    return []


def _vocabulary(layer: Any) -> npt.NDArray[Any]:
    terms = layer.get_vocabulary()
    if layer.vocabulary_dtype == "string":
        return np.array([str(term) for term in terms], object if terms else np.str_)
    return np.array([int(term) for term in terms], np.int64)


def _idf_weights(layer: Any) -> npt.NDArray[Any]:
    """Return the weights of the vocabulary, without the zeros after them that fill up ``max_tokens``."""
    return np.asarray(layer.idf_weights.numpy())[: layer.vocabulary_size()]


def check_arrays(name: str, layer: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise StateError if a layer does not take what it is to have learned; the layer is not changed."""
    try:
        copy = type(layer).from_config(layer.get_config())
        set_arrays(copy, arrays)
    except Exception as error:
        message = f"The layer {name!r} does not take its {' and '.join(arrays)}, and nothing was changed: {error}"
        raise StateError(message) from error


def set_arrays(layer: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Set the learned vocabulary or boundaries of a layer."""
    if _BOUNDARIES in arrays:
        layer.bin_boundaries = arrays[_BOUNDARIES].tolist()
    if VOCABULARY in arrays:
        weights = arrays.get(IDF)
        if weights is None and layer.output_mode == "tf_idf":
            weights = _idf_weights(layer)
        layer.set_vocabulary(arrays[VOCABULARY].tolist(), *([] if weights is None else [weights]))
    elif IDF in arrays:
        layer.set_vocabulary(layer.get_vocabulary(), arrays[IDF])
