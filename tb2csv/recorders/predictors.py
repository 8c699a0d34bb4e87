"""Predictors: live Keras models, and model files that are loaded without running their code."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from tb2csv.atomic_files import home_expanded
from tb2csv.errors import RecorderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

#: What a SavedModel must not do when it is loaded or run: call Python, or write a file of its choice.
_REFUSED_OPERATIONS: Final = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "WriteFile"}

_LAMBDA: Final = {"Lambda", "__lambda__"}


class Predictor(Protocol):
    """A model that predicts, however it was loaded. KerasPredictor and SavedModelPredictor implement it."""

    #: The shape of each input without the samples, by name; None for a free size, or for a shape that is free.
    input_shapes: dict[str, tuple[int | None, ...] | None]

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs by name for a batch of inputs by name."""


def predictor_of(model: Any) -> Predictor:
    """Return a predictor for a live Keras model, or for a ``.keras`` or ``.h5`` file or a SavedModel folder.

    Raises RecorderError if a file is not one of these, cannot be loaded, or would run code when loaded.
    """
    if not isinstance(model, (str, os.PathLike)):
        return KerasPredictor(model)
    path = Path(home_expanded(model))
    if path.is_dir():
        return SavedModelPredictor(path)
    if not path.exists():
        message = f"There is no model at {path}."
        raise RecorderError(message)
    read_config = _CONFIGS.get(path.suffix.lower())
    if read_config is None:
        message = (
            f"{path} is not a model that can be loaded; give a .keras file, a .h5 file or the folder of a SavedModel."
        )
        raise RecorderError(message)
    import keras

    try:
        _refuse_code(path, read_config(path))
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    except RecorderError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        message = f"{path} cannot be loaded by Keras ({lines[0]}); load it yourself, and give the model."
        raise RecorderError(message) from error
    return KerasPredictor(loaded)


def _keras_config(path: Path) -> str | bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("config.json")


def _h5_config(path: Path) -> str | bytes:
    import h5py

    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            message = f"{path} holds weights but not a model; give the file that model.save wrote."
            raise RecorderError(message)
        config: str | bytes = file.attrs["model_config"]
        return config


_CONFIGS: Final = {".keras": _keras_config, ".h5": _h5_config, ".hdf5": _h5_config}


def _refuse_code(path: Path, config: str | bytes) -> None:
    """Raise RecorderError if a description names a lambda, or a class that is not part of Keras."""
    import json

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("class_name") in _LAMBDA:
                message = (
                    f"{path} has a Lambda layer, which is Python code that would run on loading; "
                    "load it yourself if you trust it, and give the model."
                )
                raise RecorderError(message)
            module = part.get("module")
            if (
                "class_name" in part
                and isinstance(module, str)
                and module.partition(".")[0] not in {"keras", "builtins"}
            ):
                message = (
                    f"{path} names {part['class_name']} of the module {module}, which is not part "
                    "of Keras, so it is not loaded; load it yourself, and give the model."
                )
                raise RecorderError(message)
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(json.loads(config))


class KerasPredictor:
    """A live Keras model."""

    def __init__(self, model: Any) -> None:
        """Predict with this model. Raises RecorderError if it is not a Keras model."""
        import keras

        if not isinstance(model, keras.Model):
            message = f"A {type(model).__name__} is not a Keras model; give one, or the path of a saved model."
            raise RecorderError(message)
        self._model = model
        inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
        self.input_shapes: dict[str, tuple[int | None, ...] | None] = {
            each.name: tuple(each.shape[1:]) for each in inputs
        } or {"": None}

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs for some samples, in the order and by the names of the model's outputs."""
        import keras

        values = [batch[name] for name in self.input_shapes]
        structure = _input_structure(self._model) if self.input_shapes.keys() != {""} else None
        inputs = values[0] if structure is None else keras.tree.pack_sequence_as(structure, values)
        return named_outputs(self._model, self._model.predict_on_batch(inputs))


def _input_structure(model: Any) -> Any:
    """Return the structure of a model's inputs, or None if it is unknown."""
    try:
        return getattr(model, "input", None)
    except ValueError:  # a Sequential that was not called, in Keras 3.1; it has one input
        return None


def named_outputs(model: Any, outputs: Any) -> dict[str, npt.NDArray[Any]]:
    """Return outputs that Keras gave as arrays by their names: keys, names of the model's outputs, or numbers."""
    import keras

    if isinstance(outputs, dict):
        return {str(name): np.asarray(output) for name, output in outputs.items()}
    flat = [np.asarray(output) for output in keras.tree.flatten(outputs)]
    names = getattr(model, "output_names", None) or []
    if len(names) != len(flat) or len(set(names)) != len(flat):
        names = ["output"] if len(flat) == 1 else [f"output_{place}" for place in range(len(flat))]
    return dict(zip(names, flat, strict=True))


class SavedModelPredictor:
    """The serving signature of a SavedModel."""

    def __init__(self, folder: Path) -> None:
        """Load a SavedModel. Raises RecorderError if it is not one, or would run Python or write files."""
        import tensorflow as tf

        _refuse_operations(folder)
        try:
            self._loaded = tf.saved_model.load(str(folder))  # variables live as long as this
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            message = f"{folder} cannot be loaded as a SavedModel ({lines[0]})."
            raise RecorderError(message) from error
        signatures = dict(self._loaded.signatures)
        if not signatures:
            message = f"The SavedModel {folder} has no signature; save it with one, such as by model.export."
            raise RecorderError(message)
        self._signature = signatures.get("serving_default") or next(iter(signatures.values()))
        specs = self._signature.structured_input_signature[1]
        self._dtypes = {name: spec.dtype for name, spec in specs.items()}
        self.input_shapes: dict[str, tuple[int | None, ...] | None] = {
            name: None if spec.shape.rank is None else tuple(spec.shape.as_list()[1:]) for name, spec in specs.items()
        }

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs for some samples, by their names in the signature."""
        import tensorflow as tf

        tensors = {name: tf.cast(np.asarray(batch[name]), dtype) for name, dtype in self._dtypes.items()}
        outputs = self._signature(**tensors)
        return {name: outputs[name].numpy() for name in sorted(outputs)}


def _refuse_operations(folder: Path) -> None:
    """Raise RecorderError if a graph of the SavedModel calls Python or writes files, whatever these are."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    file = folder / "saved_model.pb"
    if not file.exists():
        message = f"{folder} is not a SavedModel, because it has no saved_model.pb."
        raise RecorderError(message)
    saved = SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except DecodeError as error:
        message = f"{file} is damaged: it does not describe a SavedModel."
        raise RecorderError(message) from error
    for graph in (each.graph_def for each in saved.meta_graphs):
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        for node in nodes:
            if node.op in _REFUSED_OPERATIONS:
                message = (
                    f"The SavedModel {folder} is not loaded, because its operation {node.op} runs Python or "
                    "writes files; load it yourself if you trust it."
                )
                raise RecorderError(message)
