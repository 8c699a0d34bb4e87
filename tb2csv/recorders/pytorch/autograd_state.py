"""The state of PyTorch's autograd and compiler, which PyTorch 2.13 gives under private names only.

No other module uses these names, so a release that renames one is mended here.
"""

from __future__ import annotations

import inspect
from types import FunctionType

import torch
from torch._C._dynamo.eval_frame import _debug_get_cache_entry_list


def is_in_backward_pass() -> bool:
    """Return whether this thread is in a backward pass."""
    return bool(torch._C._current_graph_task_id() != -1)


def keeps_graph() -> bool:
    """Return whether another backward pass may follow the current one, which was called with ``retain_graph=True``."""
    return bool(torch._C._autograd._get_current_graph_task_keep_graph())


def is_within_torch_func(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is a wrapper that ``torch.func`` passes, such as a batch of ``vmap``."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def is_view(tensor: torch.Tensor) -> bool:
    """Return whether autograd takes a tensor for a view of another."""
    return bool(tensor._is_view())


def version_of(tensor: torch.Tensor) -> int:
    """Return how often the memory of a tensor has been changed in place."""
    return int(tensor._version)


def is_compiled(module: torch.nn.Module) -> bool:
    """Return whether the calls of a module are compiled, or one of its methods is, such as ``training_step``."""
    return hasattr(module, "_orig_mod") or bool(_compiled_methods(module))


def needs_whole_graph(module: torch.nn.Module) -> bool:
    """Return whether a module or one of its methods is compiled with ``fullgraph=True``."""
    contexts = [inspect.getclosurevars(each).nonlocals.get("self") for each in _compiled_methods(module)]
    return any(getattr(each, "fullgraph", False) for each in (getattr(module, "dynamo_ctx", None), *contexts))


def has_run_compiled(module: torch.nn.Module) -> bool:
    """Return whether code of the class of a module has run compiled, be it of another module."""
    functions = [_forward(module), *map(inspect.unwrap, _compiled_methods(module))]
    codes = (getattr(getattr(each, "__func__", each), "__code__", None) for each in functions)
    return any(code is not None and _debug_get_cache_entry_list(code) for code in codes)


def _compiled_methods(module: torch.nn.Module) -> list[FunctionType]:
    """Return methods of a module that ``torch.compile`` has wrapped, as Lightning, ``compile`` or a decorator does."""
    functions = (each for each in (_forward(module), *vars(module).values()) if isinstance(each, FunctionType))
    return [each for each in functions if hasattr(each, "_torchdynamo_orig_callable")]


def _forward(module: torch.nn.Module) -> object:
    """Return ``forward`` of the class of a module; that of TorchScript cannot be read in the usual way."""
    return inspect.getattr_static(type(module), "forward", None)
