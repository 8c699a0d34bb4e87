"""The gradients that an optimizer applies, and the number of its steps.

No single hook sees them (decision 0018). They are taken before the step, after the closure if there is one, and after
the step if its kernel unscales them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

from tb2csv.errors import RecorderError
from tb2csv.recorders.pytorch.original_hook import OriginalHook

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


class StepListener(Protocol):
    """What follows the steps of an optimizer."""

    def before_step(self) -> None:
        """Called before a step."""

    def take_gradients(self) -> None:
        """Called once or more in a step, when ``.grad`` has what is applied, as far as it is known."""

    def after_step(self, found_inf: torch.Tensor | None) -> None:
        """Called after a step; ``found_inf`` is 1 if a fused kernel skipped it."""


class OptimizerSteps:
    """Calls a listener in each step of an optimizer."""

    def __init__(self, optimizer: Any, listener: StepListener) -> None:
        """Set hooks. Raises RecorderError if the optimizer has none."""
        self.optimizer = _inner(optimizer)
        self._listener = listener
        #: Subclasses whose ``step`` calls that of their parent have two pairs of hooks in a step; the inner one counts.
        self._is_open = False
        self._handles = [
            self.optimizer.register_step_pre_hook(OriginalHook(self._before)),
            self.optimizer.register_step_post_hook(OriginalHook(self._after)),
        ]

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    def _before(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._is_open = True
        self._listener.before_step()
        if getattr(optimizer, "grad_scale", None) is not None:
            return None
        first, *rest = args
        if rest and rest[0] is not None:
            return (first, self._wrapped(rest[0]), *rest[1:]), kwargs
        if kwargs.get("closure") is not None:
            return args, {**kwargs, "closure": self._wrapped(kwargs["closure"])}
        self._listener.take_gradients()
        return None

    def _wrapped(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Return a closure after which the gradients are taken; of several evaluations, the last counts."""

        @functools.wraps(closure)
        def evaluate() -> Any:
            loss = closure()
            self._listener.take_gradients()
            return loss

        return evaluate

    def _after(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self._is_open:
            return
        self._is_open = False
        if getattr(optimizer, "grad_scale", None) is not None:
            self._listener.take_gradients()
        self._listener.after_step(getattr(optimizer, "found_inf", None))


def check_final_weights(optimizer: Any) -> None:
    """Refuse a wrapper that may change weights after the step of the optimizer inside it, when weights are recorded.

    A wrapper that is an Optimizer itself, such as accelerate's, leaves them alone; schedulefree's is none.

    Raises:
        RecorderError: the weights after the step may not be those of the model.
    """
    import torch

    if not isinstance(optimizer, torch.optim.Optimizer) and _inner(optimizer) is not optimizer:
        message = (
            f"A {type(optimizer).__name__} may change weights after the step of the optimizer inside it, so the "
            "recorded ones would not be the model's; record no weights, or give an optimizer without a wrapper."
        )
        raise RecorderError(message)


def _inner(optimizer: Any) -> torch.optim.Optimizer:
    """Return the optimizer that calls hooks: the one inside wrappers, such as those of accelerate and schedulefree."""
    seen = []
    while not _has_hooks(optimizer):
        seen.append(optimizer)
        inside = [getattr(optimizer, name, None) for name in ("optimizer", "base", "base_optimizer")]
        optimizer = next((each for each in inside if each is not None and each not in seen), None)
        if optimizer is None:
            message = f"A {type(seen[0]).__name__} has no hooks for its steps; give the optimizer inside it."
            raise RecorderError(message)
    found: torch.optim.Optimizer = optimizer
    return found


def _has_hooks(optimizer: Any) -> bool:
    """Return whether an optimizer takes hooks; accelerate's has the methods, and they raise AttributeError."""
    return isinstance(getattr(optimizer, "_optimizer_step_pre_hooks", None), dict)
