"""From TensorFlow code, eager or in a tf.function, to Python that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def deliver(write: Callable[..., None], step: Any, values: Sequence[Any]) -> None:
    """Call ``write(step, *arrays)`` with the numbers that tensors have when this runs.

    In a graph it becomes an operation, which a graph that XLA compiles cannot have.
    """
    import tensorflow as tf

    if tf.executing_eagerly():
        write(int(step), *(np.asarray(value) for value in values))
        return

    def call(step: Any, *values: Any) -> None:
        write(int(step), *values)

    tf.numpy_function(call, [tf.cast(step, tf.int64), *values], [], stateful=True)


def when_due(step: Any, every: int, action: Callable[[], None]) -> None:
    """Do something where a step, a number or a tensor, is a multiple of ``every``."""
    import tensorflow as tf

    when(every == 1 or tf.cast(step, tf.int64) % every == 0, action)


def when(condition: Any, action: Callable[[], None]) -> None:
    """Do something on a condition: one that is known now, or a tensor that is known when this runs."""
    import tensorflow as tf

    if isinstance(condition, bool):
        if condition:
            action()
        return

    def act() -> Any:
        action()
        return tf.constant(value=True)

    tf.cond(condition, act, lambda: tf.constant(value=False))
