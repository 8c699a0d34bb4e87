"""ONNX models, which onnxruntime runs on the processor.

A model is a graph of known operations, so no code of the file runs. It may keep its weights in other files, which must
be in its own folder.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.model_state.foreign_errors import reason_of
from tb2csv.prediction.loaded_model import BatchSizes, ClassScores, ModelInput
from tb2csv.prediction.onnx_checks import check_external_data, check_training_mode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Channels, Output

#: The domains whose operators onnxruntime has; the empty one is that of ONNX itself.
_KNOWN_DOMAINS: Final = {
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.preview.training",
    "com.microsoft",
}
#: Errors only: its warnings are about the graphs of other people.
_ERRORS: Final = 3


def open_onnx(path: Path, *, trust: bool) -> OnnxModel:
    """Load an ONNX file.

    Raises RecorderError if it cannot be loaded, or reads files outside its folder. That is refused even if it is
    trusted, because onnxruntime refuses it as well, at least from 1.32 on.
    """
    import onnx
    import onnxruntime
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        message = f"{path} is not a readable ONNX file ({reason_of(error)})."
        raise RecorderError(message) from error
    check_training_mode(path, proto)
    check_external_data(path, proto)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    # What was checked is what is loaded: a file could otherwise be taken for one of onnxruntime's own format.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        defined = {function.domain for function in proto.functions}
        own = sorted({node.domain for node in proto.graph.node} - defined - _KNOWN_DOMAINS)
        if own:
            message = f"{path} needs operators of {', '.join(own)}, which onnxruntime does not have."
        else:
            message = f"{path} cannot be loaded by onnxruntime ({reason_of(error)})."
        raise RecorderError(message) from error
    return OnnxModel(path, proto, session)


class OnnxModel:
    """A session of onnxruntime."""

    #: Exporters of PyTorch write one kind, and those of TensorFlow the other.
    channels: Channels | None = None

    def __init__(self, path: Path, proto: Any, session: Any) -> None:
        """Predict with a session. Raises RecorderError if the model takes or returns what has no samples."""
        self._session = session
        self._outputs = [each.name for each in session.get_outputs()]
        for each in session.get_outputs():
            if not each.type.startswith(("tensor(", "seq(map(")):
                message = f"The output {each.name} of {path} is a {each.type}, which has no row for each sample."
                raise RecorderError(message)
        taken = {each.name for each in session.get_inputs()}
        # onnxruntime gives the same shape for a tensor of unknown rank and for a single number.
        types = {each.name: each.type for each in proto.graph.input if each.name in taken}
        self._types = {name: _element_type(path, name, each) for name, each in types.items()}
        shapes = {name: _sizes(each.tensor_type) for name, each in types.items()}
        for name, shape in shapes.items():
            if shape == ():
                raise RecorderError(f"The input {name} of {path} is a single number, so it has no samples.")
        self.inputs = {
            name: ModelInput(None if shape is None else shape[1:], _dtype(self._types[name]))
            for name, shape in shapes.items()
        }
        self.batch_sizes = BatchSizes.common(BatchSizes.of_axis(shape[0]) for shape in shapes.values() if shape)

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, Output]:
        """Return the outputs for some samples by their names."""
        small = {each.name for each in self._session.get_outputs() if each.type == "tensor(bfloat16)"}
        if small or any(each.dtype.kind == "V" for each in batch.values()):
            return self._predict_values(batch)
        found = self._session.run(self._outputs, dict(batch))
        return {name: _output(name, each) for name, each in zip(self._outputs, found, strict=True)}

    def _predict_values(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, Output]:
        """Predict with dtypes that NumPy does not have, by the bits of the numbers."""
        from onnxruntime import OrtValue

        given = {}
        for name, array in batch.items():
            if array.dtype.kind == "V":
                bits = np.ascontiguousarray(array).view(np.dtype(f"u{array.dtype.itemsize}"))
                given[name] = OrtValue.ortvalue_from_numpy_with_onnx_type(bits, self._types[name])
            else:
                given[name] = OrtValue.ortvalue_from_numpy(array)
        found = self._session.run_with_ort_values(self._outputs, given)
        return {name: _output(name, _host(value)) for name, value in zip(self._outputs, found, strict=True)}


def _element_type(path: Path, name: str, kind: Any) -> int:
    if kind.WhichOneof("value") != "tensor_type":
        message = f"The input {name} of {path} is not a tensor, so it has no samples."
        raise RecorderError(message)
    element_type: int = kind.tensor_type.elem_type
    return element_type


def _sizes(tensor_type: Any) -> tuple[int | None, ...] | None:
    """Return the shape of a tensor, None for free sizes; None if the rank is not known."""
    if not tensor_type.HasField("shape"):
        return None
    return tuple(each.dim_value if each.HasField("dim_value") else None for each in tensor_type.shape.dim)


def _dtype(element_type: int) -> np.dtype[Any]:
    import onnx

    is_text = element_type == onnx.TensorProto.STRING
    return np.dtype(np.str_) if is_text else np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element_type))


def _host(value: Any) -> npt.NDArray[Any]:
    """Return a value of onnxruntime as an array; of bfloat16, which it cannot convert, from its memory."""
    if value.data_type() != "tensor(bfloat16)":
        array: npt.NDArray[Any] = value.numpy()
        return array
    import ml_dtypes

    shape = tuple(value.shape())
    memory = (ctypes.c_uint16 * int(np.prod(shape))).from_address(value.data_ptr())
    bits = np.array(memory, np.uint16).reshape(shape)
    return bits.view(np.dtype(ml_dtypes.bfloat16))


def _output(name: str, found: Any) -> Output:
    """Return an output as an array, or as scores if it has a map from classes to numbers for each sample."""
    if isinstance(found, np.ndarray):
        return found
    classes = tuple(found[0])
    if any(tuple(each) != classes for each in found):
        message = f"The output {name} does not have the same classes for each sample."
        raise RecorderError(message)
    values = np.array([tuple(each.values()) for each in found])
    return ClassScores(values, tuple(map(str, classes)))
