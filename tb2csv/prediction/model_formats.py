"""The formats of models that can predict: files by their ending, live models by the package of their class.

A new format is one module with a function that returns a LoadedModel, and one line here.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import MissingExtraError, RecorderError
from tb2csv.local_paths import home_expanded

if TYPE_CHECKING:
    from tb2csv.prediction.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True)
class ModelFormat:
    """A format of models: the module and the function that load one, and the extra with what they import."""

    module: str
    function: str
    extra: str


_SAVED_MODEL: Final = ModelFormat("saved_models", "open_saved_model", "tensorflow")

#: By the ending of a file. The function takes a path and ``trust``.
FILES: Final = {
    ".keras": ModelFormat("keras_models", "open_keras", "tensorflow"),
    ".h5": ModelFormat("keras_models", "open_hdf5", "tensorflow"),
    ".hdf5": ModelFormat("keras_models", "open_hdf5", "tensorflow"),
    ".pt2": ModelFormat("exported_programs", "open_exported_program", "torch"),
    ".pt": ModelFormat("torchscript_models", "open_torchscript", "torch"),
    ".pth": ModelFormat("torchscript_models", "open_torchscript", "torch"),
    ".torchscript": ModelFormat("torchscript_models", "open_torchscript", "torch"),
    ".onnx": ModelFormat("onnx_models", "open_onnx", "onnx"),
}

#: By the package of a class that the class of a live model descends from. The function takes the model.
LIVE_MODELS: Final = {
    "keras": ModelFormat("keras_models", "KerasModel", "tensorflow"),
    "torch": ModelFormat("torch_models", "TorchModel", "torch"),
}


def format_of(model: Any) -> ModelFormat:
    """Return the format of a live model, or of the file or folder at a path.

    Raises RecorderError if there is no file, or the model is not of a known format.
    """
    if not isinstance(model, (str, os.PathLike)):
        packages = [cls.__module__.split(".", 1)[0] for cls in type(model).__mro__]
        live = next((LIVE_MODELS[each] for each in packages if each in LIVE_MODELS), None)
        if live is None:
            message = (
                f"A {type(model).__name__} is not a model that can predict; give a Keras model, a PyTorch module, or "
                "the path of a saved model."
            )
            raise RecorderError(message)
        return live
    path = Path(home_expanded(model))
    if path.is_dir():
        return _SAVED_MODEL
    if not path.exists():
        message = f"There is no model at {path}."
        raise RecorderError(message)
    found = FILES.get(path.suffix.lower())
    if found is None:
        message = (
            f"{path} is not a model that can be loaded; give a file that ends in {', '.join(FILES)}, or the folder of "
            "a SavedModel."
        )
        raise RecorderError(message)
    return found


def load_model(model: Any, *, trust: bool) -> LoadedModel:
    """Return a live model, or one from a file or folder, as a model that predicts.

    Args:
        model: a live model or a path.
        trust: load a file that may run code.

    Raises:
        RecorderError: the model is not of a known format, cannot be loaded, or may run code and is not trusted.
        MissingExtraError: the framework is not installed.
    """
    known = format_of(model)
    try:
        function = getattr(importlib.import_module(f"tb2csv.prediction.{known.module}"), known.function)
        is_live = not isinstance(model, (str, os.PathLike))
        loaded: LoadedModel = function(model) if is_live else function(Path(home_expanded(model)), trust=trust)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "tb2csv":
            raise
        raise MissingExtraError("Prediction", package, known.extra) from error
    return loaded
