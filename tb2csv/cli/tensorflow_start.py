"""TensorFlow's start, without the dozen lines that it prints on standard error whatever one does."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile

from tb2csv.errors import Tb2csvError


def start_tensorflow() -> None:
    """Import TensorFlow and Keras, and have TensorFlow look for its devices.

    Raises Tb2csvError where they are not installed. What they printed is shown where they cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if sys.__stderr__ is None:  # it was closed before we started
        _import()
        return
    descriptor = sys.__stderr__.fileno()
    sys.__stderr__.flush()
    terminal = os.dup(descriptor)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), descriptor)
        try:
            _import()
        except BaseException:
            printed.seek(0)
            with contextlib.suppress(OSError):
                os.write(terminal, printed.read())
            raise
        finally:
            os.dup2(terminal, descriptor)
            os.close(terminal)


def _import() -> None:
    try:
        import keras  # noqa: F401 - it is the import that takes the time and prints
        import tensorflow as tf
    except ModuleNotFoundError as error:
        message = f"This needs {error.name}, which is not installed; install tb2csv[tensorflow]."
        raise Tb2csvError(message) from error
    tf.zeros([])
