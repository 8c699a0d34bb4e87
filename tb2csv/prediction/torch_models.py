"""PyTorch modules that predict: live ones, and those that a file of another format gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tb2csv.errors import RecorderError
from tb2csv.prediction.input_batches import converted
from tb2csv.prediction.loaded_model import BatchSizes, ModelInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Channels


class TorchModel:
    """A module that takes what it is given: arguments by position, or by name if the arrays have names.

    Floats are converted to the dtype of the module's parameters.
    """

    channels: Channels = "first"

    def __init__(self, module: Any) -> None:
        """Predict with a module, in evaluation mode. Raises RecorderError if it is not a module."""
        if not isinstance(module, torch.nn.Module):
            message = f"A {type(module).__name__} is not a PyTorch module; give one, or the path of a saved model."
            raise RecorderError(message)
        self._module = module
        self.inputs = {"": ModelInput()}
        self.batch_sizes = BatchSizes()

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs for some samples by their names."""
        from tb2csv.recorders.pytorch.evaluation import called, device_of, evaluation, float_dtype_of

        device, dtype = device_of(self._module), numpy_dtype(float_dtype_of(self._module))
        arrays = {
            name: converted(name, each, dtype) if each.dtype.kind in "fV" else each for name, each in batch.items()
        }
        tensors = {name: tensor_of(array).to(device) for name, array in arrays.items()}
        is_named = not all(name.isdigit() or not name for name in tensors)
        with evaluation(self._module):
            outputs = called(self._module, tensors if is_named else list(tensors.values()))
        return arrays_of(outputs)


def tensor_of(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return an array as a tensor; NumPy's dtypes of small floats become those of PyTorch."""
    writable = np.require(array, requirements=["C", "W", "O"])
    if writable.dtype.kind == "V":
        bits = torch.from_numpy(writable.view(np.dtype(f"u{writable.dtype.itemsize}")))
        return bits.view(getattr(torch, writable.dtype.name))
    return torch.from_numpy(writable)


def arrays_of(outputs: Any) -> dict[str, npt.NDArray[Any]]:
    """Return what a module returned as arrays by name; floats that NumPy does not have are widened to float32."""
    from tb2csv.recorders.pytorch.evaluation import named_outputs
    from tb2csv.recorders.pytorch.host_arrays import host_array

    arrays = {}
    for name, tensor in named_outputs(outputs).items():
        array, bits = host_array(tensor)
        arrays[name] = array if bits is None else tensor.detach().float().cpu().numpy()
    if not arrays:
        message = f"The model returns a {type(outputs).__name__} without tensors, so there is nothing to write."
        raise RecorderError(message)
    return arrays


def numpy_dtype(torch_dtype: torch.dtype) -> np.dtype[Any]:
    """Return the dtype of NumPy, or of ml_dtypes, with the name of a dtype of PyTorch."""
    name = str(torch_dtype).removeprefix("torch.")
    if hasattr(np, name) or name == "bool":
        return np.dtype(name)
    import ml_dtypes

    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype
