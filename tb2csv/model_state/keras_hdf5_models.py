"""Models and weights in the HDF5 format that Keras had before ``.keras``, and that Keras 3 still writes.

The file lists its layers, and the weights of each under names that differ with the version of Keras: with the name of
the model in front, of the layer in front, or with neither. They are named here as the live model names them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import StateError
from tb2csv.model_state.descriptions import json_object, member
from tb2csv.model_state.hdf5_contents import open_hdf5
from tb2csv.model_state.hdf5_files import Hdf5File, Place, StoredTensor, dataset_tensor
from tb2csv.model_state.hdf5_tensors import add_texts, write_errors
from tb2csv.model_state.keras_vocabularies import LEARNING_LAYERS
from tb2csv.model_state.match_tensors import PATH
from tb2csv.model_state.structural_names import (
    OPTIMIZER,
    PATH_STRUCTURE,
    ROOTED_STRUCTURE,
    STRUCTURE,
    has_no_slots,
    is_optimizer_variable,
    structural_names,
    structural_names_below,
    structural_names_of_paths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tb2csv.model_state.hdf5_contents import Dataset, Group
    from tb2csv.model_state.hdf5_files import Source
    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import ModelState, StateTensor

_TOP_LEVEL: Final = "top_level_model_weights"
_OPTIMIZER_GROUP: Final = "optimizer_weights"


def model_weights(root: Group) -> Group | None:
    """Return the group that lists the layers of a model or weights file of the older format; None if there is none."""
    listed = root.group("model_weights") or root
    return listed if {"layer_names", "layer_names0"} & listed.texts.keys() else None


def hdf5_model(source: Source, weights: Group) -> Hdf5File:
    """Return the tensors of a file, whose layers are listed in ``weights``.

    Raises StateError if the file is not complete.
    """
    path, root = source.path, source.root
    described = json_object(root.text("model_config"))
    model = _name(described)
    layer_types = dict(_layer_types(described))
    training: dict[str, Any] = member(json_object(root.text("training_config")), "optimizer_config", {})
    layer_types[OPTIMIZER] = member(training, "class_name", "")
    is_keras_3 = (root.text("keras_version") or weights.text("keras_version")).startswith("3")
    names = _Names(model)
    stored, paths = [], []
    seen: set[str] = set()
    for layer, group in _groups(path, root, weights):
        for weight, dataset in _listed_datasets(path, layer, group):
            if dataset.path in seen:
                message = f"{path} lists {dataset.path!r} as a weight of two layers; save the model again."
                raise StateError(message)
            seen.add(dataset.path)
            stated = weight.removesuffix(":0")
            name = names.of_optimizer(stated, is_keras_3) if layer == OPTIMIZER else names.of_layer(stated, layer)
            chain, _, parameter = name.rpartition("/")
            layer_type = layer_types.get(chain) or layer_types.get(layer, "")
            facts = {"layer": chain or model or layer, "layer_type": layer_type, "parameter": parameter}
            tensor = dataset_tensor(source, dataset, name, **facts)
            stored.append(StoredTensor(tensor, (Place(path, dataset.path),)))
            paths.append("" if layer == OPTIMIZER else stated)
    _add_aliases([each.tensor for each in stored], paths, model)
    learning = [name for name, layer_type in layer_types.items() if layer_type in LEARNING_LAYERS]
    listed = root.group(_OPTIMIZER_GROUP)
    slots = listed.listed("weight_names") if listed is not None else []
    return Hdf5Model(path, stored, _notes(path, [each.tensor for each in stored], learning), slots)


class Hdf5Model(Hdf5File):
    """A file of the older format."""

    def __init__(self, path: Path, stored: list[StoredTensor], notes: list[str], slots: list[str]) -> None:
        """Hold the tensors of a file, and the names that it lists of the variables of the optimizer."""
        super().__init__(path, stored, notes)
        self._slots = slots

    def prepare(self, incoming: ModelState) -> None:
        """Add the slots of an optimizer that has made no step yet, if the state has them."""
        old = [each for each in self._stored if each.tensor.layer == OPTIMIZER]
        wanted = [tensor for tensor in incoming.tensors if is_optimizer_variable(tensor)]
        stated = [each.tensor.parameter for each in old]
        same_kind = {tensor.layer_type for tensor in wanted[:1]} <= {"", *(each.tensor.layer_type for each in old)}
        is_same = [tensor.name.rpartition("/")[2] for tensor in wanted[: len(old)]] == stated and same_kind
        if not has_no_slots([each.tensor for each in old]) or not is_same:
            return
        kind = old[0].tensor.layer_type
        group = old[0].places[0].name.rpartition("/")[0]
        found = []
        for number, tensor in enumerate(wanted[len(old) :], len(old)):
            parameter = tensor.name.rpartition("/")[2]
            facts: dict[str, Any] = {"layer": OPTIMIZER, "layer_type": kind, "parameter": parameter}
            slot = replace(tensor, aliases={STRUCTURE: f"{OPTIMIZER}:{kind}#{number}"}, **facts)
            found.append(StoredTensor(slot, (Place(self._path, f"{group}/{parameter}"),), is_new=True))
        self._hold([*self._stored, *found], self.state.notes)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Copy the file and overwrite its datasets; new ones are listed."""
        super().write(place, restoration)
        new = [name.name for each in self._stored if each.is_new for name in each.places]
        if new:
            with open_hdf5(place, "r+") as file, write_errors(self._path):
                add_texts(file[_OPTIMIZER_GROUP], "weight_names", self._slots, [_below(name) for name in new])


def _below(name: str) -> str:
    """Return the name of an optimizer's dataset within its group."""
    return name.partition(f"{_OPTIMIZER_GROUP}/")[2]


def _groups(path: Path, root: Group, weights: Group) -> Iterator[tuple[str, Group]]:
    """Yield each layer and its group; weights of the model itself and of the optimizer come last."""
    for layer in weights.listed("layer_names"):
        group = weights.group(layer)
        if group is None:
            message = (
                f"{path} is not complete: it lists the layer {layer!r} and does not have it; save the model again."
            )
            raise StateError(message)
        yield layer, group
    of_model, of_optimizer = weights.group(_TOP_LEVEL), root.group(_OPTIMIZER_GROUP)
    if of_model is not None:
        yield "", of_model
    if of_optimizer is not None:
        yield OPTIMIZER, of_optimizer


def _listed_datasets(path: Path, layer: str, group: Group) -> Iterator[tuple[str, Dataset]]:
    """Yield the weights of a group in their order."""
    known = dict(group.datasets())
    listed = group.listed("weight_names")
    if set(listed) != set(known) or len(listed) != len(known):
        message = (
            f"{path} is not complete: it lists {len(listed)} weights of {layer or 'the model'!r} and has {len(known)}; "
            "save the model again, as a .keras file."
        )
        raise StateError(message)
    for weight in listed:
        yield weight, known[weight]


class _Names:
    """The names of weights as a live model has them."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._counts: Counter[str] = Counter()

    def of_layer(self, stated: str, layer: str) -> str:
        """Return the name of a weight of a layer, from this layer on; of the model itself if there is no layer."""
        parts = stated.split("/")
        if not layer:
            return self._numbered(parts[-1])
        start = 1 if parts[0] == self._model and parts[1:2] == [layer] else 0
        if layer in parts[start:-1]:
            return self._numbered("/".join(parts[parts.index(layer, start) :]))
        return self._numbered(f"{layer}/{stated}")

    def of_optimizer(self, stated: str, is_keras_3: bool) -> str:
        """Return the name of an optimizer's variable; Keras 3 puts the names of the optimizers in front of it."""
        own = stated.rpartition("/")[2] if is_keras_3 else stated.split("/", 1)[-1]
        return self._numbered(f"{OPTIMIZER}/{own}")

    def _numbered(self, name: str) -> str:
        self._counts[name] += 1
        return f"{name}#{self._counts[name] - 1}" if self._counts[name] > 1 else name


def _add_aliases(tensors: list[StateTensor], paths: list[str], model: str) -> None:
    """Add the structural names of tensors, and their paths in the file, as aliases."""
    numbered = structural_names((tensor.layer, tensor.layer_type, tensor.parameter) for tensor in tensors)
    rooted = structural_names_below(model, (tensor.name for tensor in tensors)) if model else [""] * len(tensors)
    aliases = zip(numbered, rooted, paths, structural_names_of_paths(paths), strict=True)
    for tensor, (structure, below_root, path, path_structure) in zip(tensors, aliases, strict=True):
        tensor.aliases[STRUCTURE] = structure
        if below_root:
            tensor.aliases[ROOTED_STRUCTURE] = below_root
        if path:
            tensor.aliases.update({PATH: path, PATH_STRUCTURE: path_structure})


def _notes(path: Path, tensors: list[StateTensor], learning: list[str]) -> list[str]:
    """Return notes about a file: what Keras does not restore from it, and what is not in its state."""
    notes = []
    if learning:
        notes.append(
            f"Not in the state of {path}: the vocabularies or bin boundaries of {', '.join(map(repr, learning))}, as "
            "an .h5 file does not keep all of them; give the live model or a .keras file."
        )
    if any(tensor.layer == OPTIMIZER for tensor in tensors):
        notes.append(
            f"Keras 3 does not restore the optimizer of {path}, as of any .h5 file (seen with 3.15.1); to go on with "
            "a training, save the model as a .keras file."
        )
    return notes


def _name(described: Any) -> str:
    """Return the name in the configuration of a model or layer; empty if it has none."""
    return member(member(described, "config", {}), "name", "")


def _layer_types(model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the paths of layers and their types from a model's description."""
    waiting: list[tuple[str, Any]] = [("", model)]
    while waiting:
        chain, described = waiting.pop()
        # Before Keras 2.2.3 the configuration of a Sequential was the list of its layers.
        layers: list[Any] = member(described, "config", []) or member(member(described, "config", {}), "layers", [])
        for layer in layers:
            name = chain + _name(layer)
            yield name, member(layer, "class_name", "")
            waiting.append((f"{name}/", layer))
