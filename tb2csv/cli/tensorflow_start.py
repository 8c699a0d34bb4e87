"""Start-up of TensorFlow without the messages that it prints to standard error."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile

from tb2csv.errors import MissingExtraError


def start_tensorflow() -> None:
    """Import TensorFlow and Keras, and let TensorFlow look for its devices.

    Their output is shown if the import fails. TensorFlow is left as it is if it was imported before.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if sys.__stderr__ is None:  # closed before the start
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
        importlib.import_module("keras")
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise MissingExtraError("This command", error.name or "TensorFlow", "tensorflow") from error
    tf.zeros([])
