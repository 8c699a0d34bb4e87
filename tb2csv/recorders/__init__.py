"""Recorders for TensorFlow and Keras: what a training has that a table should show, written into event files.

They need TensorFlow with Keras 3.1 or later, which ``pip install tb2csv[tensorflow]`` brings; with an older Keras the
import raises RecorderError. Nothing that reads event files is used here.
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
