"""Calls from TensorFlow code, eager or in a tf.function, to Python functions that write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tb2csv.recorders.event_writer import EventWriter


def deliver(log: EventWriter, write: Callable[..., None], step: Any, values: Sequence[Any]) -> None:
    """Call ``write(step, *values)`` with arrays in place of tensors at run time, under the guard of ``log``.

    In a graph it becomes an operation, which a graph that XLA compiles cannot have. Values other than tensors and
    variables are passed as they are.
    """
    import keras
    import tensorflow as tf

    if tf.executing_eagerly():
        number = int(step)
        with log.guard():
            write(number, *(each.numpy() if isinstance(each, keras.Variable) else each for each in values))
        return
    kinds = (tf.Tensor, tf.Variable, keras.Variable)
    tensors = {place: tf.convert_to_tensor(value) for place, value in enumerate(values) if isinstance(value, kinds)}

    def call(step: Any, *arrays: Any) -> None:
        with log.guard():
            found = dict(zip(tensors, arrays, strict=True))
            write(int(step), *(found.get(place, value) for place, value in enumerate(values)))

    tf.numpy_function(call, [tf.cast(step, tf.int64), *tensors.values()], [], stateful=True)


def when_due(step: Any, every: int, action: Callable[[], None]) -> None:
    """Run ``action`` if a step, a number or a tensor, is a multiple of ``every``."""
    import tensorflow as tf

    when(every == 1 or tf.cast(step, tf.int64) % every == 0, action)


def when(condition: Any, action: Callable[[], None]) -> None:
    """Run ``action`` if a condition holds: a bool, or a tensor that is evaluated at run time."""
    import tensorflow as tf

    if isinstance(condition, bool):
        if condition:
            action()
        return

    def act() -> Any:
        action()
        return tf.constant(value=True)

    tf.cond(condition, act, lambda: tf.constant(value=False))
