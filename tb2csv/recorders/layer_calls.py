"""The layers of a model by name, and the replacement of their outputs in a forward pass."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import RecorderError
from tb2csv.recorders.arguments import layer_names
from tb2csv.recorders.method_patching import replaced_method
from tb2csv.recorders.tensor_statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: The last parts of tags that belong to the layer before them.
_TAKEN: Final = frozenset({*STATISTICS, "histogram"})


def layers_of(model: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return layers of a model by name; the name of an inner model is a prefix, as in ``a/b``.

    Without ``names``, return all layers except inputs: those of the model, the models inside it, and so on. Layers
    inside a layer that is not a model, such as the two halves of a Bidirectional, are found by name only.

    Raises RecorderError if a name is not a layer's, or the model is not built and has no layers yet.
    """
    import keras

    names = layer_names(names)
    if names is None:
        found = _walk(model, lambda layer: isinstance(layer, keras.Model))
        return {name: layer for name, layer in found.items() if not isinstance(layer, keras.layers.InputLayer)}
    known = every_layer(model)
    missing = [name for name in names if name not in known]
    if missing:
        message = f"The model {model.name} has no layer {missing[0]!r}; it has {', '.join(known)}."
        raise RecorderError(message)
    return {name: known[name] for name in names}


def every_layer(model: Any) -> dict[str, Any]:
    """Return the layers of a model, of the models and of the layers inside it, by their names.

    Raises RecorderError as ``layers_of`` does.
    """
    return _walk(model, lambda _: True)


def _walk(model: Any, enters: Callable[[Any], bool]) -> dict[str, Any]:
    """Return layers inside a model by name, each once, a container before what it contains."""
    if not model.layers:
        message = f"The model {model.name} has no layers; call it once to build it."
        raise RecorderError(message)
    named: dict[str, Any] = {}
    seen: set[int] = {id(model)}

    def walk(owner: Any, prefix: str) -> None:
        for layer in getattr(owner, "layers", None) or getattr(owner, "_layers", []):
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            name = free = f"{prefix}{layer.name}"
            number = 0
            while free in named:  # subclassed models may give two layers the same name
                number += 1
                free = f"{name}#{number}"
            named[free] = layer
            if enters(layer):
                walk(layer, f"{free}/")

    walk(model, "")
    return named


class LayerCalls:
    """Calls of layers during one forward pass: each is numbered, and its outputs may be exchanged.

    A layer that is called once keeps its name; the calls of one that is called more often are ``name#0``, ``name#1`` …
    in the order in which they are made. If a call returns several tensors, they are ``name/0``, ``name/1`` …. The calls
    of a layer inside a model whose name is a statistic's, such as ``encoder/norm``, are always numbered, because
    ``encoder/norm`` is the norm of the output of ``encoder``.
    """

    def __init__(self, layers: dict[str, Any]) -> None:
        """Count the calls of these layers from 0."""
        self._layers = layers
        self._calls: Counter[str] = Counter()

    def begin(self) -> None:
        """Begin another forward pass."""
        self._calls.clear()

    def name(self, layer: str, call: int, output: int | None) -> str:
        """Return the name of an output, which is final at the end of the forward pass."""
        _, inside, own = layer.rpartition("/")
        is_numbered = self._calls[layer] != 1 or (inside and own in _TAKEN)
        name = f"{layer}#{call}" if is_numbered else layer
        return name if output is None else f"{name}/{output}"

    def methods(self, exchange: Callable[[Callable[[], str], Any], Any]) -> Iterator[tuple[Any, str, Any]]:
        """Yield the methods to replace during the pass, so that ``exchange`` gets and replaces each output.

        ``exchange`` gets a function that returns the output's name, to be called at the end of the pass, and the
        output: a tensor, or whatever else the layer returns.
        """
        for name, layer in self._layers.items():
            yield layer, "call", self._exchanging(name, layer, exchange)

    @contextlib.contextmanager
    def exchanging(self, exchange: Callable[[Callable[[], str], Any], Any]) -> Iterator[None]:
        """Exchange outputs in the forward passes of this block."""
        with contextlib.ExitStack() as stack:
            for owner, method, function in self.methods(exchange):
                stack.enter_context(replaced_method(owner, method, function))
            yield

    def _exchanging(self, name: str, layer: Any, exchange: Callable[[Callable[[], str], Any], Any]) -> Any:
        call = layer.call

        @functools.wraps(call)
        def call_and_exchange(*args: Any, **kwargs: Any) -> Any:
            import keras

            outputs = call(*args, **kwargs)
            number = self._calls[name]
            self._calls[name] += 1
            flat = keras.tree.flatten(outputs)
            several = len(flat) > 1
            exchanged = [
                exchange(functools.partial(self.name, name, number, place if several else None), output)
                for place, output in enumerate(flat)
            ]
            return keras.tree.pack_sequence_as(outputs, exchanged)

        return call_and_exchange


def is_floating(output: Any) -> bool:
    """Return whether an output is a tensor of floating-point numbers, which alone have errors."""
    import tensorflow as tf

    return isinstance(output, tf.Tensor) and output.dtype.is_floating


def by_sample(values: Any) -> Any:
    """Return the values of a batch as [sample, unit], for samples of any shape."""
    return values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
