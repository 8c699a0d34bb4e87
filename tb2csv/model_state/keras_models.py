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
from tb2csv.model_state.dtypes import DTYPES, dtype_of_array
from tb2csv.model_state.keras_optimizers import Growth, Optimizer, find_optimizers, growth
from tb2csv.model_state.keras_vocabularies import Learned, check_arrays, learned_arrays, set_arrays
from tb2csv.model_state.match_tensors import FILE_KEY, PATH
from tb2csv.model_state.structural_names import (
    PATH_STRUCTURE,
    ROOTED_STRUCTURE,
    STRUCTURE,
    structural_names,
    structural_names_below,
    structural_names_of_paths,
)
from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor, array_bytes, tensor_of_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Place(NamedTuple):
    """A variable of a model, or another array that a layer learned, and its names."""

    variable: Any
    name: str
    layer: str
    layer_type: str
    parameter: str
    file_key: str = ""
    #: The layer and what it learned, of what is not a variable.
    learned: tuple[Any, Learned] | None = None


class KerasModel:
    """The state of a live model, or of a single layer."""

    def __init__(self, model: Any) -> None:
        """Find the variables of ``model``; raises StateError if it is not built."""
        self._model = model
        self._growths: list[Growth] = []
        self._learn()

    def _learn(self) -> None:
        model = self._model
        paths, keys = _file_places(model)
        places = find_variables(model, keys)
        copies = {id(each.optimizer): each.copy for each in self._growths}
        self._optimizers = find_optimizers(model, paths)
        for optimizer in self._optimizers:
            places += _optimizer_variables(optimizer, copies.get(id(optimizer.value), optimizer.value))
        self._places = places
        numbered = structural_names((place.layer, place.layer_type, place.parameter) for place in places)
        rooted = structural_names_below(model.name, (place.name for place in places))
        recorded = _recorded_names(model)
        tensors = tuple(
            _tensor(
                place,
                {STRUCTURE: structure, ROOTED_STRUCTURE: below_root, FILE_KEY: place.file_key}
                | recorded.get(id(place.variable), {}),
            )
            for place, structure, below_root in zip(places, numbered, rooted, strict=True)
        )
        self.state = ModelState("keras", tensors, f"the model {model.name!r}")

    def prepare(self, incoming: ModelState) -> None:
        """Make room for the slots of optimizers, which they get at their first step otherwise, if the state has them.

        The model itself is not changed.
        """
        found = (
            growth(optimizer, incoming, lambda: [layer for layer, _ in _layers(self._model, (), set())])
            for optimizer in self._optimizers
        )
        self._growths = [each for each in found if each is not None]
        if self._growths:
            self._learn()

    def assign(self, contents: Mapping[str, Buffer]) -> Any:
        """Assign to the variables once all layers are known to take what they are to have learned; return the model."""
        learned = self._learned(contents)
        for name, (layer, arrays) in learned.items():
            check_arrays(name, layer, arrays)
        for each in self._growths:
            each.optimizer.build(each.variables)
        if self._growths:
            self._growths = []
            self._learn()
        for place in self._places:
            content = contents.get(place.name)
            if content is not None and place.learned is None:
                variable = place.variable
                values = np.frombuffer(content, _numpy_dtype(_dtype(variable)))
                variable.assign(values.reshape(tuple(variable.shape)))
        for layer, arrays in learned.values():
            set_arrays(layer, arrays)
        _compute_anew(self._model, is_changed=bool(learned))
        return self._model

    def _learned(self, contents: Mapping[str, Buffer]) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Return what layers are to have learned, by their names."""
        found: dict[str, tuple[Any, dict[str, Any]]] = {}
        for place in self._places:
            content = contents.get(place.name)
            if content is not None and place.learned is not None:
                layer, learned = place.learned
                dtype = DTYPES[dtype_of_array(place.name, learned.read())]
                values = dtype.strings(content) if dtype.strings else np.frombuffer(content, dtype.stored)
                found.setdefault(place.layer, (layer, {}))[1][learned.parameter] = values
        return found


def find_variables(model: Any, keys: Mapping[int, str] | None = None) -> list[Place]:
    """Return the variables of a model, and what else its layers learned, layer by layer.

    ``keys`` has the places of variables in a weights file, by their ids. Raises StateError if a layer has no variables
    yet but will have some.
    """
    if not getattr(model, "built", True):
        message = f"The model {model.name!r} is not built, so it has no variables; call it once, or give it an input."
        raise StateError(message)
    seen: set[int] = set()
    names: Counter[str] = Counter()
    places = []
    for layer, chain in _layers(model, (), set()):
        below = {id(variable) for child in _children(layer) for variable in child.variables}
        facts = "/".join(chain) or model.name, type(layer).__name__
        for variable in layer.variables:
            if id(variable) in seen or id(variable) in below:
                continue
            seen.add(id(variable))
            name, parameter = _numbered((*chain, variable.name), names)
            places.append(Place(variable, name, *facts, parameter, (keys or {}).get(id(variable), "")))
        for learned in learned_arrays(layer):
            name, parameter = _numbered((*chain, learned.parameter), names)
            places.append(Place(None, name, *facts, parameter, learned=(layer, learned)))
    return places


def _optimizer_variables(optimizer: Optimizer, built: Any) -> list[Place]:
    """Return the variables that an optimizer has, or will have as a copy of it that is built has them."""
    names: Counter[str] = Counter()
    places = []
    for number, variable in enumerate(built.variables):
        name, parameter = _numbered((optimizer.layer, variable.name), names)
        key = f"{optimizer.group}/vars/{number}" if optimizer.group else ""
        places.append(Place(variable, name, optimizer.layer, type(built).__name__, parameter, key))
    return places


def _numbered(parts: tuple[str, ...], counts: Counter[str]) -> tuple[str, str]:
    """Return the name and the last part of it, both with a number if the name is not the first of its kind."""
    name = "/".join(parts)
    repeated = f"#{counts[name]}" if counts[name] else ""
    counts[name] += 1
    return name + repeated, parts[-1] + repeated


def _layers(layer: Any, chain: tuple[str, ...], seen: set[int]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield a layer and all below it, each once, with the names of layers that lead to it."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield layer, chain
    for child in _children(layer):
        yield from _layers(child, (*chain, child.name), seen)


def _children(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _file_places(model: Any) -> tuple[dict[int, str], dict[int, str]]:
    """Return the places of objects and variables in Keras' weights files, by their ids.

    Both are empty if this Keras does it in another way.
    """
    try:
        from keras.src.saving import saving_lib

        class Recorder(saving_lib.H5IOStore):  # type: ignore[misc] # Keras is not typed; it accepts no other store
            """A store that writes nothing and remembers the group that it is in, and its values."""

            def __init__(self) -> None:
                self.path = ""
                self.values: dict[str, Any] = {}

            def __bool__(self) -> bool:
                return True

            def make(self, path: str, metadata: Any = None) -> Recorder:
                self.path, self.values = path, {}
                return self

            def __setitem__(self, key: str, value: Any) -> None:
                self.values[f"{self.path}/vars/{key}".lstrip("/")] = value

        class Visited(set[int]):
            """The objects that Keras has saved, each added as soon as its own variables are."""

            def add(self, identity: int) -> None:
                paths[identity] = recorder.path
                values[identity] = recorder.values
                super().add(identity)

        paths: dict[int, str] = {}
        values: dict[int, dict[str, Any]] = {}
        recorder = Recorder()
        own = getattr(model, "optimizer", None)
        visited = Visited() if own is None else Visited({id(own)})
        saving_lib._save_state(model, recorder, None, "", visited)
    except (ImportError, AttributeError, TypeError, ValueError):
        return {}, {}
    keys: dict[int, str] = {}
    for layer, _ in _layers(model, (), set()):
        keys |= _variable_keys(layer, values.get(id(layer), {}))
    return paths, keys


def _variable_keys(layer: Any, values: Mapping[str, Any]) -> dict[int, str]:
    """Return the places of a layer's variables in a file, by their ids.

    A kernel with LoRA is saved with what LoRA adds to it, which is not a variable; its shape identifies it.
    """
    found = {id(value): key for key, value in values.items()}
    free = [v for v in layer.variables if id(v) not in found and not v.name.startswith("lora_")]
    known = {id(variable) for variable in layer.variables}
    for key, value in values.items():
        fitting = [v for v in free if id(value) not in known and tuple(v.shape) == tuple(getattr(value, "shape", ()))]
        if getattr(layer, "lora_enabled", False) and fitting:
            found[id(fitting[0])] = key
            free.remove(fitting[0])
    return found


def _recorded_names(model: Any) -> dict[int, dict[str, str]]:
    """Return the names of weights in ``tb2csv.recorders``: their paths, numbered if several variables share one."""
    counts: Counter[str] = Counter()
    names = {}
    for variable in model.weights:
        number = counts[variable.path]
        names[id(variable)] = f"{variable.path}#{number}" if number else variable.path
        counts[variable.path] += 1
    numbered = structural_names_of_paths(names.values())
    return {
        key: {PATH: path, PATH_STRUCTURE: structure}
        for (key, path), structure in zip(names.items(), numbered, strict=True)
    }


def _tensor(place: Place, aliases: dict[str, str]) -> StateTensor:
    variable = place.variable
    facts: dict[str, Any] = {
        "layer": place.layer,
        "layer_type": place.layer_type,
        "parameter": place.parameter,
        "aliases": {sort: alias for sort, alias in aliases.items() if alias},
    }
    if place.learned is not None:
        return tensor_of_array(place.name, place.learned[1].read(), trainable=False, any_length=True, **facts)
    return StateTensor(
        place.name,
        _dtype(variable),
        tuple(int(size) for size in variable.shape),
        lambda: array_bytes(_values(variable)),
        trainable=bool(variable.trainable),
        **facts,
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


def _compute_anew(model: Any, *, is_changed: bool) -> None:
    """Make layers use their new statistics and vocabularies, in compiled functions as well."""
    import keras

    layers = [layer for layer, _ in _layers(model, (), set()) if isinstance(layer, keras.layers.Normalization)]
    for layer in layers:
        layer.finalize_state()
    if layers or is_changed:
        for compiled in ("train_function", "test_function", "predict_function"):
            if getattr(model, compiled, None) is not None:
                setattr(model, compiled, None)
