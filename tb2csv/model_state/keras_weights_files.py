"""Weights files of Keras 3, which number variables instead of naming them; a state may have several files.

``layers/dense/vars/0`` is the first variable of a layer. Since Keras 3.3 the group has the name of the layer as well.
Keras stores the variables of the optimizer inside a LossScaleOptimizer twice; here both copies are one tensor.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tb2csv.model_state.hdf5_files import Hdf5File, Place, Source, StoredTensor, dataset_tensor
from tb2csv.model_state.match_tensors import FILE_KEY
from tb2csv.model_state.structural_names import OPTIMIZER, STRUCTURE, has_no_slots, structural_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tb2csv.model_state.hdf5_contents import Dataset, Group
    from tb2csv.model_state.tensors import ModelState, StateTensor

_VARIABLE: Final = re.compile(r"(?:(?P<group>.+)/)?vars/(?P<number>\d+)")
_INNER: Final = "/inner_optimizer"


class WeightsFile(Hdf5File):
    """The tensors of one or more weights files."""

    def prepare(self, incoming: ModelState) -> None:
        """Add optimizer slots that the state has and the files lack because the optimizer has made no step yet."""
        slots = _missing_slots(self._stored, incoming)
        if slots:
            self._hold([*self._stored, *slots], self.state.notes)


def open_weights(source: Source) -> WeightsFile:
    """Return the tensors of a weights file."""
    return WeightsFile(source.path, numbered_tensors([source], {}))


def numbered_tensors(sources: Sequence[Source], known: Mapping[str, StateTensor]) -> list[StoredTensor]:
    """Return the tensors of files of Keras 3; their places name those that are not ``known``.

    ``known`` has the tensors of the live model by their places.
    """
    found: dict[str, StoredTensor] = {}
    for source in sources:
        for place, dataset in source.root.datasets():
            found[place] = StoredTensor(_tensor(source, dataset, known.get(place)), (Place(source.path, place),))
    # In the order of the model if it is known, else in natural order: 2 before 10.
    order = {name: number for number, name in enumerate(known)}
    stored = [
        found[place]
        for place in sorted(found, key=lambda place: (order.get(place, len(order)), _natural_sort_key(place)))
    ]
    stored = _without_copies(_with_numbers(stored))
    _add_structural_names([each.tensor for each in stored if STRUCTURE not in each.tensor.aliases])
    return stored


def _with_numbers(stored: list[StoredTensor]) -> list[StoredTensor]:
    """Number variables of equally named layers, as in a live model."""
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    for each in stored:
        key = each.tensor.layer, each.tensor.parameter
        number = counts[key]
        counts[key] += 1
        parameter = f"{each.tensor.parameter}#{number}" if number else each.tensor.parameter
        found.append(each._replace(tensor=replace(each.tensor, parameter=parameter)))
    return found


def _tensor(source: Source, dataset: Dataset, live: StateTensor | None) -> StateTensor:
    if live is not None:
        facts = {name: getattr(live, name) for name in ("trainable", "layer", "layer_type", "parameter")}
        return dataset_tensor(source, dataset, live.name, live.dtype, aliases=dict(live.aliases), **facts)
    place = dataset.path
    parameter = place.rpartition("/")[2]
    facts = {"layer": _layer(source.root, place), "parameter": parameter, "aliases": {FILE_KEY: place}}
    return dataset_tensor(source, dataset, place, **facts)


def _layer(root: Group, place: str) -> str:
    """Return the names of the layers that a dataset is in, or else its group."""
    parts = place.split("/")
    if parts[0] == OPTIMIZER:
        return OPTIMIZER
    names = []
    for end in range(1, len(parts) - 1):
        variables = root.group("/".join([*parts[:end], "vars"])) if parts[end - 1] != "vars" else None
        names += variables.texts.get("name", [])[:1] if variables is not None else []
    return "/".join(names) or "/".join(part for part in parts[:-1] if part != "vars")


def _without_copies(stored: list[StoredTensor]) -> list[StoredTensor]:
    """Merge each inner optimizer variable with its copy at the end of the outer optimizer.

    Keras loads the inner ones last, so their values count.
    """
    groups: dict[str, list[StoredTensor]] = {}
    for each in stored:
        group, number = _variable(each.places[0].name)
        if number is not None:
            groups.setdefault(group, []).append(each)
    for variables in groups.values():
        variables.sort(key=lambda each: _natural_sort_key(each.places[0].name))
    copies: dict[int, StoredTensor] = {}
    for group, inner in groups.items():
        outer = groups.get(group.removesuffix(_INNER), []) if group.endswith(_INNER) else []
        last = outer[len(outer) - len(inner) :]
        if [_dtype_and_shape(each) for each in last] == [_dtype_and_shape(each) for each in inner]:
            copies |= {id(copy): variable for copy, variable in zip(last, inner, strict=True)}
    dropped = {id(variable) for variable in copies.values()}
    return [
        StoredTensor(replace(each.tensor, read=copies[id(each)].tensor.read), each.places + copies[id(each)].places)
        if id(each) in copies
        else each
        for each in stored
        if id(each) not in dropped
    ]


def _variable(place: str) -> tuple[str, int | None]:
    """Return the group and the number of a numbered variable; the number is None for other names."""
    match = _VARIABLE.fullmatch(place)
    return (match["group"] or "", int(match["number"])) if match else ("", None)


def _dtype_and_shape(each: StoredTensor) -> tuple[str, tuple[int, ...]]:
    return each.tensor.dtype, each.tensor.shape


def _add_structural_names(tensors: list[StateTensor]) -> None:
    numbered = structural_names((tensor.layer, tensor.layer_type, tensor.parameter) for tensor in tensors)
    for tensor, structure in zip(tensors, numbered, strict=True):
        tensor.aliases[STRUCTURE] = structure


def _missing_slots(stored: Iterable[StoredTensor], incoming: ModelState) -> list[StoredTensor]:
    """Return the slots of a state for those optimizers that have made no step in this file."""
    wanted: dict[str, dict[int, StateTensor]] = {}
    for tensor in incoming.tensors:
        group, number = _variable(tensor.aliases.get(FILE_KEY, tensor.name))
        if number is not None:
            wanted.setdefault(group, {})[number] = tensor
    found = []
    stored = [each for each in stored if each.places]
    for group, tensors in wanted.items():
        old = [each for each in stored if _variable(each.places[0].name)[0] == group]
        if not has_no_slots([each.tensor for each in old]) or sorted(tensors) != list(range(len(tensors))):
            continue
        facts = {name: getattr(old[0].tensor, name) for name in ("layer", "layer_type")}
        for number in range(len(old), len(tensors)):
            name = f"{group}/vars/{number}"
            slot = replace(tensors[number], name=name, parameter=str(number), aliases={FILE_KEY: name}, **facts)
            found.append(StoredTensor(slot, (Place(old[0].places[0].file, name),), is_new=True))
    return found


def _natural_sort_key(place: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in place.split("/")]
