"""The version of Keras that recorders and predictions need."""

from __future__ import annotations

from tb2csv.errors import RecorderError
from tb2csv.installation import install_command


def check_keras() -> None:
    """Raise RecorderError if this Keras has no ``keras.tree``, which came with Keras 3.1."""
    import keras

    if not hasattr(keras, "tree"):
        command = install_command("tensorflow", upgrade=True)
        message = f"Recorders and predictions need Keras 3.1 or later, not {keras.__version__}; run {command}."
        raise RecorderError(message)
