"""Hooks of modules and optimizers that do nothing in a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


class OriginalHook:
    """A hook that works where it was set, and not in a copy.

    PyTorch copies the hooks of a module with it, so a copy, such as an average of the weights, would record as well,
    and a pickled module would need the recorder.
    """

    def __init__(self, function: Callable[..., Any], *first: Any) -> None:
        """Call ``function`` with the arguments ``first`` before those of the hook."""
        self._function = function
        self._first = first

    @torch.compiler.disable  # type: ignore[untyped-decorator] # compiled code calls it, and does not compile it
    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self._function(*self._first, *args)

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., None]:
        """Return a hook that does nothing."""
        return _no_hook

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[()]]:
        """Become a hook that does nothing."""
        return _get_no_hook, ()


def _no_hook(*_: Any) -> None:
    """Do nothing, as the hook of a copy."""


def _get_no_hook() -> Callable[..., None]:
    return _no_hook
