"""The optimizers of a model, their learning rates, and their numbers of trained batches."""

from __future__ import annotations

from typing import Any


def trained_batches(model: Any) -> int:
    """Return the number of batches that a model's optimizer has applied; 0 if it has no Keras optimizer.

    If gradients are accumulated, ``optimizer.iterations`` counts updates, but the variable that Keras saves counts
    batches.
    """
    import tensorflow as tf

    optimizer: Any = getattr(model, "optimizer", None)
    while getattr(optimizer, "inner_optimizer", None) is not None:  # the loss is scaled
        optimizer = optimizer.inner_optimizer
    named = (each for each in getattr(optimizer, "variables", ()) if getattr(each, "name", "") == "iteration")
    return int(tf.convert_to_tensor(next(named, getattr(optimizer, "iterations", 0))))


def learning_rates(model: Any) -> dict[str, Any]:
    """Return the learning rate of the next batch, or one for each optimizer if there are several."""
    optimizers = [leaf for each in optimizers_of(model) for leaf in leaf_optimizers(each)]
    rates = {each.name: _current(each.learning_rate) for each in optimizers if hasattr(each, "learning_rate")}
    if len(rates) == 1:
        (rate,) = rates.values()
        return {"learning_rate": rate}
    return {f"learning_rate/{name}": rate for name, rate in rates.items()}


def _current(rate: Any) -> Any:
    """Return the current value of a rate, which may be a variable; return it unchanged if it is not a number."""
    import tensorflow as tf

    try:
        return tf.convert_to_tensor(rate).numpy()
    except (TypeError, ValueError):
        return rate


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
