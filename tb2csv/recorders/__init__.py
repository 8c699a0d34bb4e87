"""Recorders for TensorFlow and Keras, which write the data of a training run into event files.

They need TensorFlow with Keras 3.1 or later, which ``pip install tb2csv[tensorflow]`` brings; with an older Keras the
import raises RecorderError. The package imports no code that reads event files.
"""

from tb2csv.errors import RecorderError
from tb2csv.recorders.keras_version import check_keras
from tb2csv.recorders.layer_errors import layer_errors, layer_mse, record_layer_errors
from tb2csv.recorders.omissions import RecorderWarning
from tb2csv.recorders.prediction_tables import PredictionTable, predict_to_csv
from tb2csv.recorders.predictions import PredictionRecorder
from tb2csv.recorders.training import TrainingRecorder

__all__ = [
    "PredictionRecorder",
    "PredictionTable",
    "RecorderError",
    "RecorderWarning",
    "TrainingRecorder",
    "layer_errors",
    "layer_mse",
    "predict_to_csv",
    "record_layer_errors",
]

check_keras()
