"""Keras models that predict: live ones, and ``.keras`` and ``.h5`` files, whose code does not run unless trusted."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.model_state.foreign_errors import reason_of
from tb2csv.prediction.loaded_model import TRUST, BatchSizes, ModelInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Channels

_LAMBDA: Final = {"Lambda", "__lambda__"}


class KerasModel:
    """A live Keras model."""

    channels: Channels = "last"

    def __init__(self, model: Any) -> None:
        """Predict with this model. Raises RecorderError if it is not a Keras model, or Keras is too old."""
        keras = _keras()
        if not isinstance(model, keras.Model):
            message = f"A {type(model).__name__} is not a Keras model; give one, or the path of a saved model."
            raise RecorderError(message)
        self._model = model
        given = keras.tree.flatten(getattr(model, "inputs", None) or [])
        self.inputs = {each.name: _input(each) for each in given} or {"": ModelInput()}
        self.batch_sizes = BatchSizes.common(BatchSizes.of_axis(each.shape[0]) for each in given)

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs for some samples, in the order and by the names of the model's outputs."""
        return named_outputs(self._model, self._model.predict_on_batch(self._packed(batch)))

    def _packed(self, batch: Mapping[str, npt.NDArray[Any]]) -> Any:
        """Return a batch in the structure that the model takes; if that is unknown, in the one that was given."""
        import keras

        if self.inputs.keys() == {""}:
            values = list(batch.values())
            is_named = not all(name.isdigit() for name in batch)
            return values[0] if len(values) == 1 else dict(batch) if is_named else values
        values = [batch[name] for name in self.inputs]
        structure = _input_structure(self._model)
        return values[0] if structure is None else keras.tree.pack_sequence_as(structure, values)


def _input(tensor: Any) -> ModelInput:
    """Return an input of a model from its KerasTensor."""
    return ModelInput(tuple(tensor.shape[1:]), np.dtype(np.str_ if tensor.dtype == "string" else tensor.dtype))


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


def open_keras(path: Path, *, trust: bool) -> KerasModel:
    """Load a ``.keras`` file. Raises RecorderError if it cannot be loaded, or may run code and is not trusted."""
    return _open(path, _keras_config, trust=trust)


def open_hdf5(path: Path, *, trust: bool) -> KerasModel:
    """Load an HDF5 file of a model. Raises RecorderError as ``open_keras`` does."""
    return _open(path, _hdf5_config, trust=trust)


def _keras() -> Any:
    """Import Keras. Raises RecorderError if it is too old."""
    import keras

    from tb2csv.recorders.keras_version import check_keras

    check_keras()
    return keras


def _open(path: Path, read_config: Callable[[Path], str | bytes], *, trust: bool) -> KerasModel:
    keras = _keras()
    try:
        config = read_config(path)
        if not trust:
            _refuse_code(path, config)
        loaded = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except RecorderError:
        raise
    except Exception as error:
        message = f"{path} cannot be loaded by Keras ({reason_of(error)}); load it yourself, and give the model."
        raise RecorderError(message) from error
    return KerasModel(loaded)


def _keras_config(path: Path) -> str | bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("config.json")


def _hdf5_config(path: Path) -> str | bytes:
    import h5py

    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            message = f"{path} holds weights but not a model; give the file that model.save wrote."
            raise RecorderError(message)
        config: str | bytes = file.attrs["model_config"]
        return config


def _refuse_code(path: Path, config: str | bytes) -> None:
    """Raise RecorderError if a description names a lambda, or a class that is not part of Keras."""

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("class_name") in _LAMBDA:
                fact = f"{path} is not loaded, because it has a Lambda layer, which is Python code that would run"
                raise RecorderError(fact, TRUST)
            module = part.get("module")
            if (
                "class_name" in part
                and isinstance(module, str)
                and module.partition(".")[0] not in {"keras", "builtins"}
            ):
                fact = (
                    f"{path} is not loaded, because it names {part['class_name']} of the module {module}, which is not "
                    "part of Keras and would be imported"
                )
                raise RecorderError(fact, TRUST)
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(json.loads(config))
