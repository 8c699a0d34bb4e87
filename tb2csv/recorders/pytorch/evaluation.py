"""Evaluation of a model in the middle of its training, which leaves no trace in it."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from tb2csv.key_paths import entry_key

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def evaluation(model: torch.nn.Module) -> Iterator[None]:
    """Put all modules into evaluation mode without gradients in this block, and generators back after it.

    A module that was in evaluation mode, such as a frozen BatchNorm, stays there afterwards.
    """
    modes = [(module, module.training) for module in model.modules()]
    # Not inference_mode: a model may keep a tensor, such as a table of positions, for the steps of the training.
    with preserved_generators(device_of(model)), torch.no_grad(), _eager():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@contextlib.contextmanager
def preserved_generators(device: torch.device) -> Iterator[None]:
    """Put the states of the global random number generators back after this block: PyTorch's, NumPy's and Python's."""
    kept_numpy, kept_python = np.random.get_state(), random.getstate()
    has_generator = hasattr(getattr(torch, device.type, None), "get_rng_state")  # a processor has the global one
    devices = {"devices": [device], "device_type": device.type} if has_generator else {"devices": []}
    try:
        with torch.random.fork_rng(**devices):
            yield
    finally:
        np.random.set_state(kept_numpy)
        random.setstate(kept_python)


def device_of(model: torch.nn.Module) -> torch.device:
    """Return the device of the first parameter or buffer of a model."""
    first = next((each for tensors in (model.parameters(), model.buffers()) for each in tensors), None)
    return torch.device("cpu") if first is None else first.device


def float_dtype_of(model: torch.nn.Module) -> torch.dtype:
    """Return the dtype of the first parameter or buffer that has floats."""
    every = (each.dtype for tensors in (model.parameters(), model.buffers()) for each in tensors)
    return next((dtype for dtype in every if dtype.is_floating_point), torch.float32)


def _eager() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which nothing is compiled: a model that is evaluated would be compiled once more.

    The compiler takes seconds to import, so it is left alone if nothing has used it.
    """
    set_stance = getattr(torch.compiler, "set_stance", None)  # from PyTorch 2.6 on
    if set_stance is None or "torch._dynamo" not in sys.modules:
        return contextlib.nullcontext()
    context: contextlib.AbstractContextManager[Any] = set_stance("force_eager")
    return context


def moved(tree: Any, device: torch.device) -> Any:
    """Return nested containers with their tensors on a device."""
    return pytree.tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, torch.Tensor) else leaf, tree)


def called(model: torch.nn.Module, inputs: Any) -> Any:
    """Call a model: a dict has its arguments by name, and a list or tuple has several."""
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (list, tuple)) else model(inputs)


def named_outputs(outputs: Any) -> dict[str, torch.Tensor]:
    """Return the tensors in what a model returned, by their names.

    A single tensor is ``output``, and those of a list or tuple are ``output_0``, ``output_1`` …. Those of a dict or a
    dataclass have their keys; in nested containers, the parts of a name are separated by slashes.
    """
    return dict(_named(outputs, ()))


def _named(tree: Any, above: tuple[str, ...]) -> Iterator[tuple[str, torch.Tensor]]:
    leaves, _ = pytree.tree_flatten_with_path(tree)
    for path, leaf in leaves:
        place = (*above, *(str(entry_key(each)) for each in path))
        if isinstance(leaf, torch.Tensor):
            name = "/".join(place)
            yield f"output_{name}" if place and place[0].isdigit() else name or "output", leaf
        elif dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            for each in dataclasses.fields(leaf):
                yield from _named(getattr(leaf, each.name), (*place, each.name))
