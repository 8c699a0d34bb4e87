"""The part of a recorder that depends on the backend of Keras."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from tb2csv.errors import RecorderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.fits import Fit
    from tb2csv.recorders.recording_plan import FitPlan, RecordingPlan


class KerasBackend(Protocol):
    """The part of a TrainingRecorder that depends on the backend."""

    def fit(self, log: EventWriter, model: Any, plan: FitPlan) -> Fit:
        """Prepare to record a model that is about to train. Raises RecorderError if it cannot be recorded."""

    def write_variables(
        self, log: EventWriter, plan: RecordingPlan, step: int, variables: Mapping[str, Any], wall_time: float
    ) -> None:
        """Write what of variables, by their names, is due at a step."""

    def record(self, log: EventWriter, plan: RecordingPlan, values: Mapping[str, Any], step: Any) -> None:
        """Record values of a custom loop, by their names, as far as they are due."""

    def tensor(self, value: Any) -> Any:
        """Return a value as a tensor, or as it is if it cannot be one or need not be."""

    def dense(self, gradient: Any, variable: Any) -> Any:
        """Return a gradient as one tensor of the shape of its variable."""

    def deliver(self, log: EventWriter, write: Callable[..., None], step: Any, values: Sequence[Any]) -> None:
        """Call ``write(step, *values)`` with arrays in place of tensors, under the guard of ``log``."""

    def summaries(self, log: EventWriter) -> AbstractContextManager[None]:
        """Return a block in which other functions that record write into the same run."""

    def close(self, log: EventWriter) -> None:
        """Close what the backend has opened."""


_BACKENDS: Final = {
    "jax": ("jax_backend", "JaxBackend"),
    "tensorflow": ("tensorflow_backend", "TensorFlowBackend"),
    "torch": ("pytorch.keras_backend", "TorchBackend"),
}


def keras_backend() -> KerasBackend:
    """Return the backend that Keras runs on. Raises RecorderError if recorders cannot use it."""
    import keras

    name = keras.backend.backend()
    if name not in _BACKENDS:
        message = f"Recorders need Keras on {', '.join(_BACKENDS)}, not on {name}; set KERAS_BACKEND."
        raise RecorderError(message)
    module, backend = _BACKENDS[name]
    found: KerasBackend = getattr(importlib.import_module(f"tb2csv.recorders.{module}"), backend)()
    return found


def check_tensorflow(function: str) -> None:
    """Raise RecorderError if Keras does not run on TensorFlow, which a function needs."""
    import keras

    name = keras.backend.backend()
    if name != "tensorflow":
        message = f"{function} needs Keras on TensorFlow, not on {name}; set KERAS_BACKEND."
        raise RecorderError(message)
