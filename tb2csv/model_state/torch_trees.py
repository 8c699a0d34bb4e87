"""Nested dicts, lists and tuples of tensors, arrays and plain values, as state dicts are: flat, and with new values.

A leaf is named by its keys and indices, joined by dots. None, and the numbers by which the groups of an optimizer refer
to its parameters, belong to the structure. Values of all other types are left out of the state, and are named there.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.python_values import empty_python_value, is_python_value, python_tensor, python_value
from tb2csv.model_state.tensors import Buffer, StateTensor, array_of_bytes, tensor_of_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Flat(NamedTuple):
    """The tensors of a tree, and by name the types of values that cannot be stored in a table."""

    tensors: tuple[StateTensor, ...]
    left_out: dict[str, str]


def flat(tree: Any) -> Flat:
    """Return the leaves of a tree; raises StateError for a tensor that has no plain bytes."""
    tensors: list[StateTensor] = []
    left_out: dict[str, str] = {}

    def take(name: str, value: Any) -> Any:
        tensor = _leaf(name, value)
        if tensor is not None:
            tensors.append(tensor)
        elif value is not None:
            left_out[name] = type(value).__qualname__
        return value

    mapped(tree, take)
    return Flat(tuple(tensors), left_out)


def mapped(tree: Any, change: Callable[[str, Any], Any]) -> Any:
    """Return a copy of a tree with ``change(name, value)`` for each leaf; its containers are new, of the same types."""
    with as_state_errors("The structure of the state cannot be followed", "use plain dicts, lists and tuples"):
        return _mapped(tree, change, (), frozenset())


def _mapped(value: Any, change: Callable[[str, Any], Any], path: tuple[str, ...], kept: frozenset[int]) -> Any:
    if id(value) in kept:
        return value
    if isinstance(value, dict):
        kept |= _reference_lists(value)
        new = copy.copy(value)  # state dicts carry their version as an attribute
        for key, item in value.items():
            new[key] = _mapped(item, change, (*path, str(key)), kept)
        return new
    if isinstance(value, list | tuple):
        items = [_mapped(item, change, (*path, str(number)), kept) for number, item in enumerate(value)]
        return with_items(value, items)
    return change(".".join(path) or "value", value)


def with_items(container: Any, items: list[Any]) -> Any:
    """Return a list or tuple of the type of ``container`` with other items."""
    if isinstance(container, list):
        new = copy.copy(container)
        new[:] = items
        return new
    return type(container)(*items) if hasattr(container, "_fields") else type(container)(items)


def _reference_lists(value: dict[Any, Any]) -> frozenset[int]:
    """Return the identities of the lists that number the parameters of an optimizer, if this is its state dict.

    They count through all groups from 0 on. Lists that do not are values.
    """
    groups = value.get("param_groups")
    if not isinstance(value.get("state"), dict) or not isinstance(groups, list):
        return frozenset()
    found = [group.get("params") for group in groups if isinstance(group, dict)]
    lists = [each for each in found if isinstance(each, list) and all(type(number) is int for number in each)]
    numbers = [number for each in lists for number in each]
    counts_on = len(lists) == len(found) and numbers == list(range(len(numbers)))
    return frozenset(map(id, lists)) if counts_on else frozenset()


def is_value(value: Any) -> bool:
    """Return whether values of this type can be stored in a table."""
    import torch

    return isinstance(value, torch.Tensor | np.generic) or type(value) is np.ndarray or is_python_value(value)


def _leaf(name: str, value: Any) -> StateTensor | None:
    """Return a value as a tensor; None if its type cannot be stored in a table."""
    import torch

    layer, _, parameter = name.rpartition(".")  # keys of a state dict have dots of their own
    whose: dict[str, Any] = {"layer": layer, "parameter": parameter}
    if not is_value(value):
        return None
    if isinstance(value, torch.Tensor):
        return tensor_leaf(name, value, **whose)
    if isinstance(value, np.ndarray | np.generic):
        return tensor_of_array(name, np.asarray(value), **whose)
    return python_tensor(name, value, **whose)


def replaced(tree: Any, contents: Mapping[str, Buffer], put: Callable[[Any, Any], Any]) -> Any:
    """Return a tree with new leaves; ``put`` gets a tensor and its new value, and returns what takes its place."""
    import torch

    def change(name: str, value: Any) -> Any:
        if not is_value(value) or name not in contents:
            return value
        content = contents[name]
        if isinstance(value, torch.Tensor):
            return put(value, to_tensor(content, value))
        if isinstance(value, np.ndarray | np.generic):
            array = array_of_bytes(content, np.asarray(value))
            return array[()] if isinstance(value, np.generic) else array
        return python_value(content, value)

    return mapped(tree, change)


def tensor_leaf(name: str, tensor: Any, **facts: Any) -> StateTensor:
    """Return a tensor of PyTorch as one of a state; raises StateError if its bytes are not plain."""
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    obstacle = _obstacle(tensor)
    if obstacle or dtype not in DTYPES or tensor.is_quantized or tensor.layout != torch.strided:
        what = obstacle or f"is of {tensor.dtype} in the layout {tensor.layout}"
        message = f"Tensor {name!r} {what}, which has no form in a table; convert it, or leave it out of the state."
        raise StateError(message)
    return StateTensor(name, dtype, tuple(tensor.shape), lambda: _tensor_bytes(name, tensor), **facts)


def _obstacle(tensor: Any) -> str:
    """Return why a tensor has no plain bytes, whatever its dtype; empty if it has them."""
    import torch

    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
        return "gets its shape at the first call of its lazy module"
    if tensor.is_meta:
        return "has no data yet"
    # Sharded, quantized and jagged tensors, among others, hold inner tensors and answer every operation themselves.
    if tensor.is_nested or type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        kind = "NestedTensor" if tensor.is_nested else type(tensor).__name__
        return f"is of type {kind}, made of other tensors"
    return ""


def _tensor_bytes(name: str, tensor: Any) -> Buffer:
    import torch

    with as_state_errors(f"Tensor {name!r} cannot be read", "convert it, or leave it out of the state"):
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        return memoryview(plain.view(torch.uint8).numpy()) if plain.numel() else b""


def to_tensor(content: Buffer, like: Any) -> Any:
    """Return a tensor on the processor with the dtype and shape of ``like``; it may share the memory of ``content``."""
    import torch

    if not like.numel():
        return torch.empty(like.shape, dtype=like.dtype)
    writable = content if not memoryview(content).readonly else bytearray(content)  # PyTorch warns of others
    return torch.frombuffer(writable, dtype=like.dtype).reshape(like.shape)


def element_bytes(value: Any) -> int:
    """Return the bytes that the elements of a tensor or array take, each by itself; 0 for other values."""
    import torch

    if isinstance(value, torch.Tensor):
        return int(value.numel()) * int(value.element_size())
    return int(value.nbytes) if isinstance(value, np.ndarray) else 0


def empty_leaf(tensor: StateTensor) -> Any:
    """Return a value that has room for a tensor of a state: zeros, or a Python value; None if there is none such."""
    import torch

    plain = empty_python_value(tensor.python)
    if plain is not None:
        return plain
    try:
        return torch.zeros(tensor.shape, dtype=getattr(torch, tensor.dtype))
    except (AttributeError, RuntimeError, TypeError):  # a dtype, or a size, that only the table has
        return None
