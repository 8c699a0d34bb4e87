"""Nested dicts, lists and tuples of PyTorch tensors and Python numbers, as state dicts are: flat, and with new values.

A leaf is named by its keys and indices, joined by dots. None, and objects of other types, belong to the structure: they
are no state and stay as they are. So do the numbers by which an optimizer's groups refer to its parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.tensors import Buffer, StateTensor, array_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: The dtype of a Python number, or text, as a tensor without dimensions; integers beyond 64 bits are text.
_PYTHON: Final[dict[type, str]] = {bool: "bool", int: "int64", float: "float64", complex: "complex128", str: "str"}
_INT64: Final = range(-(2**63), 2**63)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[StateTensor]:
    """Yield the tensors and numbers of a nested value; raises StateError for a tensor that has no plain bytes."""
    import torch

    name = ".".join(path) or "value"
    whose: dict[str, Any] = {"layer": ".".join(path[:-1]), "parameter": path[-1] if path else name}
    if isinstance(value, torch.Tensor):
        yield tensor_leaf(name, value, **whose)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not _is_reference(value, key):
                yield from leaves(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, str(number)))
    elif type(value) in _PYTHON:
        dtype = "str" if type(value) is int and value not in _INT64 else _PYTHON[type(value)]
        content = _python_bytes(value, dtype)
        yield StateTensor(name, dtype, (), lambda: content, python=type(value).__name__, **whose)


def replaced(value: Any, contents: Mapping[str, Buffer], put: Callable[[Any, Any], Any], path: str = "") -> Any:
    """Return a nested value with new leaves: dicts and lists are changed, tuples and numbers made anew.

    ``put`` gets a tensor and its new value, and returns what is to stand in its place.
    """
    import torch

    name = path or "value"
    if isinstance(value, torch.Tensor):
        return put(value, to_tensor(contents[name], value)) if name in contents else value
    below = f"{path}." if path else ""
    if isinstance(value, dict):
        for key, item in value.items():
            if not _is_reference(value, key):
                value[key] = replaced(item, contents, put, f"{below}{key}")
        return value
    if isinstance(value, list):
        value[:] = [replaced(item, contents, put, f"{below}{number}") for number, item in enumerate(value)]
        return value
    if isinstance(value, tuple):
        items = [replaced(item, contents, put, f"{below}{number}") for number, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if type(value) in _PYTHON and name in contents:
        return _python_value(contents[name], type(value), value)
    return value


def _is_reference(container: dict[Any, Any], key: Any) -> bool:
    """Say whether these are the numbers of parameters in a group of an optimizer."""
    return key == "params" and "lr" in container


def tensor_leaf(name: str, tensor: Any, **facts: Any) -> StateTensor:
    """Return a tensor of PyTorch as one of a state; raises StateError where its bytes are not plain."""
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES or tensor.is_quantized or tensor.layout != torch.strided or tensor.is_meta:
        what = "has no data yet" if tensor.is_meta else f"is of {tensor.dtype} in the layout {tensor.layout}"
        message = f"Tensor {name!r} {what}, which has no form in a table; convert it, or leave it out of the state."
        raise StateError(message)
    return StateTensor(name, dtype, tuple(tensor.shape), lambda: _tensor_bytes(tensor), **facts)


def _tensor_bytes(tensor: Any) -> Buffer:
    import torch

    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return memoryview(plain.view(torch.uint8).numpy()) if plain.numel() else b""


def to_tensor(content: Buffer, like: Any) -> Any:
    """Return a tensor on the processor with the dtype and shape of ``like``; it may share the memory of ``content``."""
    import torch

    if not like.numel():
        return torch.empty(like.shape, dtype=like.dtype)
    writable = content if not memoryview(content).readonly else bytearray(content)  # PyTorch warns of others
    return torch.frombuffer(writable, dtype=like.dtype).reshape(like.shape)


def _python_bytes(value: Any, dtype: str) -> Buffer:
    kind = DTYPES[dtype]
    if kind.strings:
        return kind.encode(np.array([str(value)], object))
    return array_bytes(np.array([value], kind.stored))


def _python_value(content: Buffer, kind: type, old: Any) -> Any:
    dtype = DTYPES["str" if kind is int and old not in _INT64 else _PYTHON[kind]]
    values = dtype.strings(content) if dtype.strings else np.frombuffer(content, dtype.stored)
    return kind(values.tolist()[0])


def empty_leaf(tensor: StateTensor) -> Any:
    """Return a value that has room for a tensor of a state: zeros, or a Python number."""
    import torch

    if tensor.python:
        return {kind.__name__: kind for kind in _PYTHON}[tensor.python]()
    return torch.zeros(tensor.shape, dtype=getattr(torch, tensor.dtype))
