"""Recorders, which write the data of a training run into event files.

``Recorder`` needs no framework. ``TorchRecorder``, ``TorchPredictionRecorder``, ``LightningRecorder`` and
``TransformersRecorder`` need PyTorch, the last two one of its trainers as well. The others need Keras 3.1 or later,
which the extra ``tensorflow`` brings; with an older Keras, their import raises RecorderError. Each framework is
imported with the first name that needs it. The package imports no code that reads event files.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import RecorderError
from tb2csv.recorders.omissions import RecorderWarning

if TYPE_CHECKING:
    from tb2csv.recorders.output_errors import layer_errors as layer_errors
    from tb2csv.recorders.output_errors import layer_mse as layer_mse
    from tb2csv.recorders.output_errors import record_layer_errors as record_layer_errors
    from tb2csv.recorders.predictions import PredictionRecorder as PredictionRecorder
    from tb2csv.recorders.pytorch.lightning_recorder import LightningRecorder as LightningRecorder
    from tb2csv.recorders.pytorch.prediction_recorder import TorchPredictionRecorder as TorchPredictionRecorder
    from tb2csv.recorders.pytorch.torch_recorder import TorchRecorder as TorchRecorder
    from tb2csv.recorders.pytorch.trainer_recorder import TorchOptions as TorchOptions
    from tb2csv.recorders.pytorch.transformers_recorder import TransformersRecorder as TransformersRecorder
    from tb2csv.recorders.recorder import Recorder as Recorder
    from tb2csv.recorders.training import TrainingRecorder as TrainingRecorder

_OF_KERAS: Final = {
    "PredictionRecorder": "predictions",
    "TrainingRecorder": "training",
    "layer_errors": "output_errors",
    "layer_mse": "output_errors",
    "record_layer_errors": "output_errors",
}
_MODULES: Final = {
    **_OF_KERAS,
    "LightningRecorder": "pytorch.lightning_recorder",
    "Recorder": "recorder",
    "TorchOptions": "pytorch.trainer_recorder",
    "TorchPredictionRecorder": "pytorch.prediction_recorder",
    "TorchRecorder": "pytorch.torch_recorder",
    "TransformersRecorder": "pytorch.transformers_recorder",
}

__all__ = [
    "LightningRecorder",
    "PredictionRecorder",
    "Recorder",
    "RecorderError",
    "RecorderWarning",
    "TorchOptions",
    "TorchPredictionRecorder",
    "TorchRecorder",
    "TrainingRecorder",
    "TransformersRecorder",
    "layer_errors",
    "layer_mse",
    "record_layer_errors",
]


def __getattr__(name: str) -> Any:
    """Import the module of a public name. Raises RecorderError if its framework is missing or too old."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    if name in _OF_KERAS:
        from tb2csv.recorders.keras_version import check_keras

        check_keras()
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
