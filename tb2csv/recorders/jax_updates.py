"""The updates of variables in a train step that JAX traces: the gradients that optimizers apply."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import RecorderError
from tb2csv.recorders.method_patching import replaced_method
from tb2csv.recorders.optimizers import (
    UPDATE_METHOD,
    batch_counter,
    leaf_optimizers,
    optimizers_of,
    updating_optimizers,
)
from tb2csv.recorders.variable_names import names_by_identity, variable_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The method in which an optimizer of Keras 3 that scales the loss applies gradients if all are finite.
_SCALED_METHOD: Final = "_stateless_handle_finite_grads"


class Update(NamedTuple):
    """What an optimizer did in a step."""

    #: Whether it applied the gradients, or only accumulated them, or skipped the step; None if it always applies them.
    is_applied: Any | None
    #: With the names of their variables.
    gradients: list[tuple[str, Any]]


def check_optimizers(model: Any) -> None:
    """Raise RecorderError if the gradients that an optimizer of a model applies cannot be recorded."""
    updating_optimizers(model)
    for optimizer in optimizers_of(model):
        if getattr(optimizer, "inner_optimizer", None) is not None and not hasattr(optimizer, _SCALED_METHOD):
            message = (
                f"The gradients that {type(optimizer).__name__} applies cannot be recorded on JAX, because it has no "
                f"{_SCALED_METHOD}, in which Keras 3 applies them; train in bfloat16, which needs no scaled loss."
            )
            raise RecorderError(message)


@contextlib.contextmanager
def recorded_updates(model: Any | None) -> Iterator[list[Update]]:
    """Yield a list to which the updates are added that optimizers of a model make in this block.

    The list remains empty if ``model`` is None.
    """
    updates: list[Update] = []
    if model is None:
        yield updates
        return
    names = names_by_identity(model)
    with contextlib.ExitStack() as stack:
        for optimizer in optimizers_of(model):
            if getattr(optimizer, "inner_optimizer", None) is None:
                _record(stack, optimizer, names, updates)
            else:
                _record_scaled(stack, optimizer, names, updates)
        yield updates


def _record(stack: contextlib.ExitStack, optimizer: Any, names: dict[int, str], updates: list[Update]) -> None:
    """Record the updates of an optimizer, or of those inside it, until the stack is closed."""
    for leaf in leaf_optimizers(optimizer):
        stack.enter_context(replaced_method(leaf, UPDATE_METHOD, _recorded_update(leaf, names, updates)))


def _recorded_update(optimizer: Any, names: dict[int, str], updates: list[Update]) -> Callable[..., Any]:
    """Return the method that updates variables, which takes the gradients first."""
    update: Callable[..., Any] = getattr(optimizer, UPDATE_METHOD)

    def recorded_update(gradients: Any, variables: Any, learning_rate: Any) -> Any:
        every = optimizer.gradient_accumulation_steps
        # The counter is advanced after the update.
        is_applied = (batch_counter(optimizer).value + 1) % every == 0 if every else None
        pairs = [pair for pair in zip(variables, gradients, strict=True) if pair[1] is not None]
        present = [(names.get(id(each)) or variable_names([each])[0], gradient) for each, gradient in pairs]
        updates.append(Update(is_applied, present))
        return update(gradients, variables, learning_rate)

    return recorded_update


def _record_scaled(stack: contextlib.ExitStack, optimizer: Any, names: dict[int, str], updates: list[Update]) -> None:
    """Record the updates of an optimizer that scales the loss.

    It applies gradients in a branch, if all are finite, and nothing leaves a branch but what all branches return. So
    what the branch does is traced once more outside of it. Only the gradients of that trace are used, so the compiler
    leaves out the rest.
    """
    apply: Callable[..., Any] = optimizer.stateless_apply

    def recorded_apply(optimizer_variables: Any, gradients: Any, trainable_variables: Any) -> Any:
        found: list[Update] = []
        with contextlib.ExitStack() as inside:
            _record(inside, optimizer, names, found)
            getattr(optimizer, _SCALED_METHOD)(optimizer_variables, gradients, trainable_variables)
        is_finite = optimizer.check_finite(gradients)
        for each in found:
            is_applied = is_finite if each.is_applied is None else is_finite & each.is_applied
            updates.append(Update(is_applied, each.gradients))
        return apply(optimizer_variables, gradients, trainable_variables)

    stack.enter_context(replaced_method(optimizer, "stateless_apply", recorded_apply))
