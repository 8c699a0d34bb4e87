"""Live PyTorch objects: objects with a state dict (modules, optimizers, schedulers), tensors, and dicts of these."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.tensors import ModelState, StateTensor, left_out_notes
from tb2csv.model_state.torch_trees import empty_leaf, flat, is_value, mapped, replaced, with_items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tb2csv.model_state.tensors import Buffer


class TorchObject:
    """The state of an object that has a state dict, or of a dict of such objects, tensors, arrays and plain values."""

    def __init__(self, what: Any) -> None:
        """Take the state dicts, which share the memory of what they are of."""
        self._what = what
        self._origin = f"the {type(what).__name__}"
        self._before = self._taken()
        self._tree = self._before
        self._learn()

    def _taken(self) -> Any:
        with as_state_errors(f"The state dict of {self._origin} cannot be taken", "see what state_dict() raises"):
            return _tree(self._what)

    def _learn(self) -> None:
        facts = dict(_module_facts(self._what))
        found = flat(self._tree)
        tensors = (_with_facts(tensor, facts.get(tensor.name)) for tensor in found.tensors)
        notes = left_out_notes(self._origin, found.left_out)
        self.state = ModelState("torch", tuple(tensors), self._origin, notes, found.left_out)

    def prepare(self, incoming: ModelState) -> None:
        """Give optimizers the entries that they only make at their first step; the objects themselves do not change."""
        self._tree = mapped(self._before, lambda _, value: value)
        for prefix, _, tree in _optimizers(self._what, self._tree):
            parameters = {number for group in tree["param_groups"] for number in group["params"]}
            start = f"{prefix}state."
            for tensor in incoming.tensors:
                # A table of elements has a slash before the last part.
                name = tensor.name.replace("/", ".") if tensor.name.startswith(start) else ""
                number, _, key = name.removeprefix(start).partition(".")
                if key and "." not in key and number.isdecimal() and int(number) in parameters:
                    empty = empty_leaf(tensor)
                    if empty is not None:
                        tree["state"].setdefault(int(number), {}).setdefault(key, empty)
        self._learn()

    def assign(self, contents: Mapping[str, Buffer]) -> Any:
        """Load the state dicts with new values, read them back, and return the objects.

        Raises StateError if an object refuses a value, or does not have it afterwards: tensors that share memory cannot
        hold two values. All objects then have their old state.
        """
        before = mapped(self._before, lambda name, value: _copied(value) if name in contents else value)
        after = replaced(self._tree, contents, lambda _, new: new)
        try:
            with as_state_errors(
                f"The state was not restored to {self._origin}, which refused it, and nothing was changed",
                "load it into an object that takes these values",
            ):
                self._what = _load(self._what, after)  # a tuple is a new one
                self._refuse_other_values(contents)
        except StateError:
            with contextlib.suppress(Exception):  # it refuses again what it refused, and that has its old value
                _load(self._what, before)
            raise
        return self._what

    def _refuse_other_values(self, contents: Mapping[str, Buffer]) -> None:
        """Raise StateError if the objects do not have the values that they were given."""
        held = {tensor.name: tensor for tensor in flat(self._taken()).tensors}
        odd = [name for name, content in contents.items() if name not in held or not _equal(held[name], content)]
        if odd:
            message = (
                f"The state was not restored to {self._origin}, and nothing was changed: {odd[0]!r} has another value "
                "after loading, as a tensor that shares its memory with others has; restore a state whose shared "
                "tensors are equal, or untie them."
            )
            raise StateError(message)


def _equal(tensor: StateTensor, content: Buffer) -> bool:
    return np.array_equal(np.frombuffer(tensor.content(), np.uint8), np.frombuffer(content, np.uint8))


def _copied(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _has_state(what: Any) -> bool:
    return hasattr(what, "state_dict") and hasattr(what, "load_state_dict")


def _tree(what: Any) -> Any:
    """Return the state of objects as a tree whose containers are its own."""
    if _has_state(what):
        return mapped(what.state_dict(), lambda _, value: value)
    if isinstance(what, dict):
        return {key: _tree(value) for key, value in what.items()}
    if isinstance(what, list | tuple):
        return [_tree(value) for value in what]
    if what is None or is_value(what):
        return what
    message = (
        f"An object of {type(what).__qualname__} has no state dict; give PyTorch modules, optimizers, schedulers, "
        "tensors, arrays, numbers and texts."
    )
    raise StateError(message)


def _load(what: Any, tree: Any) -> Any:
    """Put a tree of new values into the objects that it was taken from; return what takes their place."""
    import torch

    if _has_state(what):
        what.load_state_dict(tree)
    elif isinstance(what, dict):
        for key in list(what):
            what[key] = _load(what[key], tree[key])
    elif isinstance(what, list):
        what[:] = [_load(value, part) for value, part in zip(what, tree, strict=True)]
    elif isinstance(what, tuple):
        return with_items(what, [_load(value, part) for value, part in zip(what, tree, strict=True)])
    elif isinstance(what, torch.Tensor):
        with torch.no_grad():
            what.copy_(tree)
    elif isinstance(what, np.ndarray):
        what[...] = tree
    else:
        return tree
    return what


def _optimizers(what: Any, tree: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the optimizers, with the start of their names and their state dicts."""
    import torch

    if isinstance(what, torch.optim.Optimizer):
        yield prefix, what, tree
    elif isinstance(what, dict | list | tuple):
        for key, value in what.items() if isinstance(what, dict) else enumerate(what):
            yield from _optimizers(value, tree[key], f"{prefix}{key}.")


def _module_facts(what: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is known of each parameter and buffer: the type of its module, and whether it is trained."""
    import torch

    if isinstance(what, torch.nn.Module):
        for path, module in what.named_modules(remove_duplicate=False):
            start = f"{prefix}{path}." if path else prefix
            for name, value in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                is_trained = isinstance(value, torch.nn.Parameter) and value.requires_grad
                yield start + name, {"layer_type": type(module).__name__, "trainable": is_trained}
    elif isinstance(what, dict | list | tuple):
        for key, value in what.items() if isinstance(what, dict) else enumerate(what):
            yield from _module_facts(value, f"{prefix}{key}.")


def _with_facts(tensor: StateTensor, facts: dict[str, Any] | None) -> StateTensor:
    if facts is None:
        return tensor
    layer, _, parameter = tensor.name.rpartition(".")  # keys of a state dict have dots of their own
    return replace(tensor, layer=layer, parameter=parameter, **facts)
