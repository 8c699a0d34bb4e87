"""Live PyTorch objects: whatever has a state dict (modules, optimizers, schedulers), tensors, and dicts of these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tb2csv.errors import StateError
from tb2csv.model_state.tensors import ModelState, StateTensor
from tb2csv.model_state.torch_trees import empty_leaf, leaves, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tb2csv.model_state.tensors import Buffer


class TorchObject:
    """The state of an object that has a state dict, or of a dict of such objects, tensors and numbers."""

    def __init__(self, what: Any) -> None:
        """Take the state dicts, which share the memory of what they are of."""
        self._what = what
        self._tree = _tree(what)
        self._learn()

    def _learn(self) -> None:
        facts = dict(_module_facts(self._what))
        tensors = (_with_facts(tensor, facts.get(tensor.name)) for tensor in leaves(self._tree))
        self.state = ModelState("torch", tuple(tensors), f"the {type(self._what).__name__}")

    def prepare(self, incoming: ModelState) -> None:
        """Give optimizers the entries that they only make at their first step."""
        for prefix, _, tree in _optimizers(self._what, self._tree):
            parameters = {number for group in tree["param_groups"] for number in group["params"]}
            start = f"{prefix}state."
            for tensor in incoming.tensors:
                # A table of elements has a slash before the last part.
                name = tensor.name.replace("/", ".") if tensor.name.startswith(start) else ""
                number, _, key = name.removeprefix(start).partition(".")
                if key and "." not in key and number.isdecimal() and int(number) in parameters:
                    tree["state"].setdefault(int(number), {}).setdefault(key, empty_leaf(tensor))
        self._learn()

    def assign(self, contents: Mapping[str, Buffer]) -> None:
        """Load the state dicts with new values."""
        self._tree = replaced(self._tree, contents, lambda _, new: new)
        _load(self._what, self._tree)


def _has_state(what: Any) -> bool:
    return hasattr(what, "state_dict") and hasattr(what, "load_state_dict")


def _tree(what: Any) -> Any:
    if _has_state(what):
        return what.state_dict()
    if isinstance(what, dict):
        return {key: _tree(value) for key, value in what.items()}
    if isinstance(what, list | tuple):
        return [_tree(value) for value in what]
    import torch

    if what is None or isinstance(what, torch.Tensor | bool | int | float | complex | str):
        return what
    message = (
        f"An object of {type(what).__qualname__} has no state dict; give PyTorch modules, optimizers, schedulers, "
        "tensors and numbers."
    )
    raise StateError(message)


def _load(what: Any, tree: Any) -> None:
    """Put a tree of new values into the objects that it was taken from."""
    import torch

    if _has_state(what):
        what.load_state_dict(tree)
    elif isinstance(what, dict | list):
        for key, value in what.items() if isinstance(what, dict) else enumerate(what):
            if _has_state(value) or isinstance(value, dict | list | tuple | torch.Tensor):
                _load(value, tree[key])
            else:
                what[key] = tree[key]
    elif isinstance(what, tuple):
        for value, part in zip(what, tree, strict=True):
            _load(value, part)
    elif isinstance(what, torch.Tensor):
        with torch.no_grad():
            what.copy_(tree)


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
