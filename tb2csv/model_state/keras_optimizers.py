"""Optimizers of a live Keras model: its own, those that are its attributes, and the slots that a first step adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tb2csv.errors import StateError
from tb2csv.model_state.match_tensors import FILE_KEY
from tb2csv.model_state.structural_names import OPTIMIZER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tb2csv.model_state.tensors import ModelState, StateTensor


class Optimizer(NamedTuple):
    """An optimizer of a model: the layer of its variables, and the group of a weights file that Keras puts them in."""

    value: Any
    layer: str
    group: str


class Growth(NamedTuple):
    """An optimizer that is to get its slots: what it will optimize, and a copy that has them already."""

    optimizer: Any
    variables: Sequence[Any]
    copy: Any


def find_optimizers(model: Any, paths: Mapping[int, str]) -> list[Optimizer]:
    """Return the optimizers of a model; ``paths`` has the groups of a weights file by the ids of objects."""
    import keras

    own = getattr(model, "optimizer", None)
    found = [] if own is None else [Optimizer(own, OPTIMIZER, OPTIMIZER)]
    # What Keras keeps of its own begins with _self_; what is in a list as well is named by its attribute.
    attributes = {name: value for name, value in vars(model).items() if not name.startswith("_self_")}
    for attribute in sorted(attributes, key=lambda name: isinstance(attributes[name], dict | list | tuple)):
        for name, each in _parts(attribute, attributes[attribute]):
            is_new = isinstance(each, keras.optimizers.Optimizer) and all(each is not other.value for other in found)
            if is_new and (own is None or each is not getattr(own, "inner_optimizer", None)):
                found.append(Optimizer(each, f"{OPTIMIZER}/{name}", paths.get(id(each), "")))
    return found


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{name}/{key}", each) for key, each in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{name}/{number}", each) for number, each in enumerate(value))
    else:
        yield name, value


def growth(optimizer: Optimizer, incoming: ModelState, owners: Callable[[], Sequence[Any]]) -> Growth | None:
    """Return what an optimizer needs to hold the slots that a state has of it; None if it needs nothing.

    Args:
        optimizer: an optimizer of a live model.
        incoming: the state that is to be loaded.
        owners: returns the model and its layers, of which one has the variables that are optimized.

    Raises:
        StateError: The optimizer cannot be copied, or it is not clear which variables it optimizes.
    """
    wanted = [tensor for tensor in incoming.tensors if _is_of(tensor, optimizer)]
    if optimizer.value.built or len(wanted) <= len(optimizer.value.variables):
        return None
    if optimizer.layer == OPTIMIZER:
        return _grown(optimizer, owners()[0].trainable_variables)
    shapes = [tensor.shape for tensor in wanted]
    candidates = {
        tuple(map(id, variables)): variables for owner in owners() if (variables := owner.trainable_variables)
    }
    grown = [_grown(optimizer, variables) for variables in candidates.values()]
    fitting = [each for each in grown if [tuple(variable.shape) for variable in each.copy.variables] == shapes]
    names = [tensor.name.rpartition("/")[2] for tensor in wanted]
    named = [each for each in fitting if [variable.name for variable in each.copy.variables] == names] or fitting
    if len(named) != 1:
        message = (
            f"The optimizer {optimizer.layer.removeprefix(f'{OPTIMIZER}/')!r} has made no step, and it is not clear "
            "which variables it optimizes; call its build with them, or train one step, and load the state then."
        )
        raise StateError(message)
    return named[0]


def _is_of(tensor: StateTensor, optimizer: Optimizer) -> bool:
    """Return whether a tensor is a variable of an optimizer, by its layer, by its name, or by its place in a file."""
    if (tensor.layer or tensor.name.rpartition("/")[0]) == optimizer.layer:
        return True
    place = tensor.aliases.get(FILE_KEY, tensor.name)
    return bool(optimizer.group) and place.rpartition("/")[0] == f"{optimizer.group}/vars"


def _grown(optimizer: Optimizer, variables: Sequence[Any]) -> Growth:
    """Return an optimizer with a copy that was built, so that nothing is changed before all is known to fit."""
    try:
        copy = type(optimizer.value).from_config(optimizer.value.get_config())
        copy.build(variables)
    except Exception as error:
        message = (
            f"The optimizer {type(optimizer.value).__name__} has made no step and cannot be copied ({error}); call its "
            "build with the model's trainable variables, and load the state then."
        )
        raise StateError(message) from error
    return Growth(optimizer.value, variables, copy)
