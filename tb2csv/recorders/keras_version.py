"""The versions of Keras that recorders and predictions need."""

from __future__ import annotations

from typing import Final

from tb2csv.errors import RecorderError
from tb2csv.installation import install_command

#: The first Keras whose train function on JAX takes the iterator of the data, and whose train step returns as many
#: variables as it computes, also those that are not of the model.
_ON_JAX: Final = (3, 12)


def check_keras() -> None:
    """Raise RecorderError if this Keras has no ``keras.tree``, which came with Keras 3.1."""
    import keras

    if not hasattr(keras, "tree"):
        command = install_command("tensorflow", upgrade=True)
        message = f"Recorders and predictions need Keras 3.1 or later, not {keras.__version__}; run {command}."
        raise RecorderError(message)


def check_train_function_on_jax() -> None:
    """Raise RecorderError if recorders cannot replace the train function of this Keras on JAX."""
    import keras

    major, minor, *_ = keras.__version__.split(".")
    if (int(major), int(minor)) < _ON_JAX:
        needed = ".".join(map(str, _ON_JAX))
        message = (
            f"Gradients, activations and layer errors of fit need Keras {needed} or later on JAX, not "
            f"{keras.__version__}; upgrade Keras, or record metrics and weights alone."
        )
        raise RecorderError(message)
