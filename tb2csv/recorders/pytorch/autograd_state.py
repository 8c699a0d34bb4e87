"""The state of PyTorch's autograd and compiler, which PyTorch 2.13 gives under private names only.

No other module uses these names, so a release that renames one is mended here.
"""

from __future__ import annotations

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
    """Return whether the calls of a module are compiled: by ``torch.compile`` of it, or by its method ``compile``."""
    return hasattr(module, "_orig_mod") or module._compiled_call_impl is not None


def has_run_compiled(module: torch.nn.Module) -> bool:
    """Return whether ``forward`` of the class of a module has run compiled, be it of another module."""
    code = getattr(type(module).forward, "__code__", None)
    return code is not None and bool(_debug_get_cache_entry_list(code))
