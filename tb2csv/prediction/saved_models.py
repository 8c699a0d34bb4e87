"""SavedModels that predict: the serving signature of a folder, refused if it would run Python or write files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.model_state.foreign_errors import reason_of
from tb2csv.prediction.loaded_model import TRUST, BatchSizes, ModelInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Channels

#: What a SavedModel must not do when it is loaded or run: call Python, or write a file of its choice.
_REFUSED_OPERATIONS: Final = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "WriteFile"}


class SavedModel:
    """The serving signature of a SavedModel."""

    channels: Channels = "last"

    def __init__(self, folder: Path) -> None:
        """Load a SavedModel. Raises RecorderError if it is not one."""
        import tensorflow as tf

        try:
            self._loaded = tf.saved_model.load(str(folder))  # variables live as long as this
        except Exception as error:
            message = f"{folder} cannot be loaded as a SavedModel ({reason_of(error)})."
            raise RecorderError(message) from error
        signatures = dict(self._loaded.signatures)
        if not signatures:
            message = f"The SavedModel {folder} has no signature; save it with one, such as by model.export."
            raise RecorderError(message)
        self._signature = signatures.get("serving_default") or next(iter(signatures.values()))
        specs = self._signature.structured_input_signature[1]
        self._dtypes = {name: spec.dtype for name, spec in specs.items()}
        self.inputs = {name: _input(spec) for name, spec in specs.items()}
        self.batch_sizes = BatchSizes.common(
            BatchSizes.of_axis(spec.shape[0]) for spec in specs.values() if spec.shape.rank
        )

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs for some samples, by their names in the signature."""
        import tensorflow as tf

        tensors = {name: tf.constant(np.asarray(batch[name]), dtype) for name, dtype in self._dtypes.items()}
        outputs = self._signature(**tensors)
        return {name: outputs[name].numpy() for name in sorted(outputs)}


def _input(spec: Any) -> ModelInput:
    """Return an input of a model from its TensorSpec."""
    dtype = np.dtype(np.str_ if spec.dtype.name == "string" else spec.dtype.as_numpy_dtype)
    return ModelInput(None if spec.shape.rank is None else tuple(spec.shape.as_list()[1:]), dtype)


def open_saved_model(folder: Path, *, trust: bool) -> SavedModel:
    """Load a SavedModel.

    Raises RecorderError if it is not one, or would run Python or write files and is not trusted.
    """
    if not trust:
        _refuse_operations(folder)
    return SavedModel(folder)


def _refuse_operations(folder: Path) -> None:
    """Raise RecorderError if a graph of the SavedModel calls Python or writes files, whatever these are."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / "saved_model.pb"
    if not file.exists():
        message = f"{folder} is not a SavedModel, because it has no saved_model.pb."
        raise RecorderError(message)
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except DecodeError as error:
        message = f"{file} is damaged: it does not describe a SavedModel."
        raise RecorderError(message) from error
    for graph in (each.graph_def for each in saved.meta_graphs):
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        for node in nodes:
            if node.op in _REFUSED_OPERATIONS:
                fact = (
                    f"The SavedModel {folder} is not loaded, because its operation {node.op} runs Python or writes "
                    "files"
                )
                raise RecorderError(fact, TRUST)
