"""Live Keras models: weights, normalization statistics, seed generators, and all variables of the optimizer.

A variable is named by the names of its layers and its own (``encoder/dense/kernel``), which is Keras' own path of a
variable in a model as it was built first; the path itself changes when a model is loaded from a file. Metrics are not
part of the state: Keras resets them at each epoch.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.layer_numbers import OPTIMIZER, PATH_STRUCTURE, STRUCTURE, path_structures, structures
from tb2csv.model_state.matching import FILE_KEY, PATH
from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor, array_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Place(NamedTuple):
    """Where a variable stands in its model."""

    variable: Any
    name: str
    layer: str
    layer_type: str
    parameter: str
    file_key: str = ""


class KerasModel:
    """The state of a live model, or of a single layer."""

    def __init__(self, model: Any) -> None:
        """Find the variables of ``model``; raises StateError where it is not built."""
        self._model = model
        self._learn()

    def _learn(self) -> None:
        model = self._model
        self._places = find_variables(model)
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            self._places += find_optimizer_variables(optimizer, {place.name for place in self._places})
        numbered = structures((place.layer, place.layer_type, place.parameter) for place in self._places)
        recorded = _recorded_names(model)
        tensors = tuple(
            _tensor(place, {STRUCTURE: structure, FILE_KEY: place.file_key} | recorded.get(id(place.variable), {}))
            for place, structure in zip(self._places, numbered, strict=True)
        )
        self.state = ModelState("keras", tensors, f"the model {model.name!r}")

    def prepare(self, incoming: ModelState) -> None:
        """Build the optimizer where the state has variables of one, which it gets at its first step otherwise."""
        optimizer = getattr(self._model, "optimizer", None)
        is_wanted = any(
            tensor.layer == OPTIMIZER or tensor.name.startswith("optimizer/") for tensor in incoming.tensors
        )
        if optimizer is not None and is_wanted and not optimizer.built:
            optimizer.build(self._model.trainable_variables)
            self._learn()

    def assign(self, contents: Mapping[str, Buffer]) -> None:
        """Assign to the variables."""
        for place in self._places:
            content = contents.get(place.name)
            if content is not None:
                variable = place.variable
                values = np.frombuffer(content, _numpy_dtype(_dtype(variable)))
                variable.assign(values.reshape(tuple(variable.shape)))
        _adopt_statistics(self._model)


def find_variables(model: Any) -> list[Place]:
    """Return the variables of a model, layer by layer; raises StateError where a layer has none yet but will."""
    if not getattr(model, "built", True):
        message = f"The model {model.name!r} is not built, so it has no variables; call it once, or give it an input."
        raise StateError(message)
    keys = _file_keys(model)
    seen: set[int] = set()
    names: Counter[str] = Counter()
    places = []
    for layer, chain in _layers(model, (), set()):
        below = {id(variable) for child in _children(layer) for variable in child.variables}
        for variable in layer.variables:
            if id(variable) in seen or id(variable) in below:
                continue
            seen.add(id(variable))
            name = "/".join((*chain, variable.name))
            names[name] += 1
            repeated = f"#{names[name] - 1}" if names[name] > 1 else ""
            places.append(
                Place(
                    variable,
                    name + repeated,
                    "/".join(chain) or model.name,
                    type(layer).__name__,
                    variable.name + repeated,
                    keys.get(id(variable), ""),
                )
            )
    return places


def find_optimizer_variables(optimizer: Any, taken: Iterable[str] = ()) -> list[Place]:
    """Return the variables of an optimizer: its step counter, its learning rate, and what it keeps of each weight."""
    names = Counter(taken)
    places = []
    kind = type(optimizer).__name__
    for number, variable in enumerate(optimizer.variables):
        name = f"{OPTIMIZER}/{variable.name}"
        names[name] += 1
        repeated = f"#{names[name] - 1}" if names[name] > 1 else ""
        key = f"{OPTIMIZER}/vars/{number}"
        parameter = variable.name + repeated
        places.append(Place(variable, name + repeated, OPTIMIZER, kind, parameter, key))
    return places


def _layers(layer: Any, chain: tuple[str, ...], seen: set[int]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield a layer and all below it, each once, with the names of layers that lead to it."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield layer, chain
    for child in _children(layer):
        yield from _layers(child, (*chain, child.name), seen)


def _children(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=False, recursive=False))  # noqa: SLF001 - no public way to them


def _file_keys(model: Any) -> dict[int, str]:
    """Return where Keras puts each variable in a weights file; empty where this Keras does it in another way."""
    try:
        from keras.src.saving import saving_lib

        class Recorder(saving_lib.H5IOStore):  # type: ignore[misc] # Keras is not typed; it accepts no other store
            """Writes nothing and remembers what it was told to write."""

            def __init__(self) -> None:
                self.keys: dict[int, str] = {}
                self.path = ""

            def __bool__(self) -> bool:
                return True

            def make(self, path: str, metadata: Any = None) -> Recorder:  # noqa: ARG002 - as it is called
                self.path = path
                return self

            def __setitem__(self, key: str, value: Any) -> None:
                self.keys.setdefault(id(value), f"{self.path}/vars/{key}".lstrip("/"))

        recorder = Recorder()
        visited = {id(optimizer) for optimizer in [getattr(model, "optimizer", None)] if optimizer is not None}
        saving_lib._save_state(model, recorder, None, "", visited)  # noqa: SLF001 - no public way to the places
    except (ImportError, AttributeError, TypeError, ValueError):
        return {}
    return recorder.keys


def _recorded_names(model: Any) -> dict[int, dict[str, str]]:
    """Return the names that ``tb2csv.recorders`` gives weights: their paths, numbered where several have one."""
    counts: Counter[str] = Counter()
    names = {}
    for variable in model.weights:
        number = counts[variable.path]
        names[id(variable)] = f"{variable.path}#{number}" if number else variable.path
        counts[variable.path] += 1
    numbered = path_structures(names.values())
    return {
        key: {PATH: path, PATH_STRUCTURE: structure}
        for (key, path), structure in zip(names.items(), numbered, strict=True)
    }


def _tensor(place: Place, aliases: dict[str, str]) -> StateTensor:
    variable = place.variable
    return StateTensor(
        place.name,
        _dtype(variable),
        tuple(int(size) for size in variable.shape),
        lambda: array_bytes(_values(variable)),
        trainable=bool(variable.trainable),
        layer=place.layer,
        layer_type=place.layer_type,
        parameter=place.parameter,
        aliases={sort: alias for sort, alias in aliases.items() if alias},
    )


def _values(variable: Any) -> Any:
    from keras import backend, ops

    # Keras' own way to TensorFlow's numbers makes numpy warn.
    return variable.value.numpy() if backend.backend() == "tensorflow" else ops.convert_to_numpy(variable.value)


def _dtype(variable: Any) -> str:
    from keras import backend

    return str(backend.standardize_dtype(variable.dtype))


def _numpy_dtype(name: str) -> Any:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


def _adopt_statistics(model: Any) -> None:
    """Have normalization layers compute with the statistics that they were given, in compiled functions as well."""
    import keras

    layers = [layer for layer, _ in _layers(model, (), set()) if isinstance(layer, keras.layers.Normalization)]
    for layer in layers:
        layer.finalize_state()
    if layers:
        for compiled in ("train_function", "test_function", "predict_function"):
            if getattr(model, compiled, None) is not None:
                setattr(model, compiled, None)
