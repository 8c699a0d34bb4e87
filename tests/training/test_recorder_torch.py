"""The recorder for any framework with tensors of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from raw_events import summary_values

from tb2csv.recorders import Recorder
from tb2csv.recorders.pytorch import host_arrays as module
from tb2csv.recorders.pytorch.host_arrays import host_arrays

if TYPE_CHECKING:
    from pathlib import Path

#: Dtypes that NumPy lacks, and their numbers in types.proto.
BITS = {"bfloat16": 14, "float8_e5m2": 24, "float8_e4m3fn": 25, "float8_e5m2fnuz": 28, "float8_e4m3fnuz": 26}


def recorded(folder: Path) -> dict[str, Any]:
    """Return the serialized tensors of a folder by their tags."""
    return {tag: value.tensor for tag, value in summary_values(folder).items()}


@pytest.mark.parametrize("name", BITS)
def test_dtypes_that_numpy_lacks_keep_their_bits(tmp_path: Path, name: str) -> None:
    values = torch.tensor([0.25, -3.0, 1.75, 0.0]).to(getattr(torch, name))
    with Recorder(tmp_path) as recorder:
        recorder.tensors({"tensor": values}, 1)
        recorder.scalars({"scalar": values[1]}, 1)
        recorder.histograms({"histogram": values}, 1)
    found = recorded(tmp_path)
    assert found["tensor"].dtype == BITS[name]
    assert found["tensor"].tensor_content == bytes(values.view(torch.uint8).tolist())
    assert found["scalar"].tensor_content == np.float32(-3.0).tobytes()
    buckets = np.frombuffer(found["histogram"].tensor_content).reshape(30, 3)
    assert (buckets[0, 0], buckets[-1, 1], buckets[:, 2].sum()) == (-3.0, 1.75, 4)


def test_parameters_and_views_are_recorded(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    model(torch.ones(1, 3)).sum().backward()
    tree = {
        "weights": dict(model.named_parameters()),
        "gradients": {name: each.grad for name, each in model.named_parameters()},
        "views": [model.weight.T, torch.tensor([1 + 2j]).conj(), torch.eye(2).to_sparse()],
    }
    with Recorder(tmp_path) as recorder:
        recorder.tensors(tree, torch.tensor(5))
    found = recorded(tmp_path)
    for name, parameter in model.named_parameters():
        assert found[f"weights/{name}"].tensor_content == parameter.detach().numpy().tobytes()
        assert found[f"gradients/{name}"].tensor_content == parameter.grad.numpy().tobytes()
    assert found["views/0"].tensor_content == model.weight.detach().numpy().T.tobytes()
    assert found["views/1"].tensor_content == np.complex64(1 - 2j).tobytes()
    assert found["views/2"].tensor_content == np.eye(2, dtype=np.float32).tobytes()


def test_tensors_of_a_device_are_packed_into_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of another device, with tensors of the CPU, because a machine without one runs this."""
    tensors = [torch.tensor([True]), torch.arange(3.0).double(), torch.ones(2, 2).bfloat16(), torch.zeros(0, 4)]
    expected = host_arrays(tensors)
    monkeypatch.setattr(module, "_HOST", "other")
    packed = host_arrays([*tensors, torch.tensor(7)])
    for (array, dtype), (other, other_dtype) in zip(packed[:-1], expected, strict=True):
        np.testing.assert_array_equal(array, other)
        assert (array.shape, array.dtype, dtype) == (other.shape, other.dtype, other_dtype)
    assert packed[-1].array == 7
