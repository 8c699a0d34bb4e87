"""The optimizers of a model, their learning rates, and their numbers of trained batches."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import RecorderError
from tb2csv.recorders.host_values import HostArray, host_arrays_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The method in which an optimizer of Keras 3 updates variables: it receives unscaled, accumulated, clipped gradients.
UPDATE_METHOD: Final = "_backend_update_step"


def trained_batches(model: Any) -> int:
    """Return the number of batches that a model's optimizer has applied; 0 if it has no Keras optimizer."""
    optimizer: Any = getattr(model, "optimizer", None)
    while getattr(optimizer, "inner_optimizer", None) is not None:  # the loss is scaled
        optimizer = optimizer.inner_optimizer
    with _attached(model):
        return int(_tensor(batch_counter(optimizer)))


@contextlib.contextmanager
def _attached(model: Any) -> Iterator[None]:
    """Let the single numbers among the variables of a model's optimizer have their values in this block.

    On JAX, the variables of a model do not have values during an epoch. ``jax_state_sync`` attaches all of them, and
    Keras detaches them before the next batch; together that takes a tenth of a step of a small network.
    """
    state = getattr(model, "_jax_state", None)
    if not state or getattr(model, "_jax_state_synced", True):
        yield
        return
    import keras

    values = state["optimizer_variables"]
    pairs = [pair for pair in zip(model.optimizer.variables, values, strict=True) if not pair[0].shape]
    with keras.StatelessScope(state_mapping=pairs):
        yield


def batch_counter(optimizer: Any) -> Any:
    """Return the variable that counts the batches of an optimizer; 0 if it does not have any.

    If gradients are accumulated, ``optimizer.iterations`` counts updates, but the variable that Keras saves counts
    batches.
    """
    named = (each for each in getattr(optimizer, "variables", ()) if getattr(each, "name", "") == "iteration")
    return next(named, getattr(optimizer, "iterations", 0))


def learning_rates(model: Any) -> dict[str, Any]:
    """Return the learning rate of the next batch, or one for each optimizer if there are several."""
    optimizers = [leaf for each in optimizers_of(model) for leaf in leaf_optimizers(each)]
    with _attached(model):
        rates = {each.name: _current(each.learning_rate) for each in optimizers if hasattr(each, "learning_rate")}
    if len(rates) == 1:
        (rate,) = rates.values()
        return {"learning_rate": rate}
    return {f"learning_rate/{name}": rate for name, rate in rates.items()}


def _current(rate: Any) -> Any:
    """Return the current value of a rate, which may be a variable; return it unchanged if it is not a number."""
    try:
        (host,) = host_arrays_of([_tensor(rate)])
    except (RuntimeError, TypeError, ValueError):
        return rate
    return host.numbers if isinstance(host, HostArray) else rate


def _tensor(value: Any) -> Any:
    import keras

    if keras.backend.backend() == "tensorflow":  # Keras leaves variables of a distribution strategy as they are
        import tensorflow as tf

        return tf.convert_to_tensor(value)
    return keras.ops.convert_to_tensor(value)


def optimizers_of(model: Any) -> list[Any]:
    """Return the optimizer a model was compiled with, and those that it keeps as attributes, such as a GAN's."""
    import keras

    found = [getattr(model, "optimizer", None), *vars(model).values()]
    optimizers = {id(each): each for each in found if isinstance(each, keras.optimizers.Optimizer)}
    if found[0] is not None:
        optimizers.setdefault(id(found[0]), found[0])
    return list(optimizers.values())


def leaf_optimizers(optimizer: Any) -> list[Any]:
    """Return the optimizers inside a wrapper (loss-scaling or multi-optimizer), or else the optimizer itself."""
    inner = getattr(optimizer, "inner_optimizer", None)
    inside = [inner] if inner is not None else getattr(optimizer, "optimizers", None)
    if not inside:
        return [optimizer]
    leaves = [leaf for each in inside for leaf in leaf_optimizers(each)]
    return list({id(leaf): leaf for leaf in leaves}.values())


def updating_optimizers(model: Any) -> list[Any]:
    """Return the optimizers of a model whose UPDATE_METHOD applies gradients.

    Raises:
        RecorderError: an optimizer is not one of Keras 3.
    """
    optimizers = [leaf for optimizer in optimizers_of(model) for leaf in leaf_optimizers(optimizer)]
    for optimizer in optimizers:
        if not hasattr(optimizer, UPDATE_METHOD):
            name = type(optimizer).__name__
            message = (
                f"The gradients of {name} cannot be recorded, because it has no {UPDATE_METHOD}, in which "
                "Keras 3 applies them; use one of keras.optimizers, or a loop with recorder.gradients(...)."
            )
            raise RecorderError(message)
    return optimizers
