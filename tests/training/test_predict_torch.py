"""Predictions of PyTorch: live modules, files of ``torch.export``, and TorchScript."""

from __future__ import annotations

import io
import logging
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prediction_tables import numbers, read
from torch import nn
from torch.export import Dim, export, save

from tb2csv import predict
from tb2csv.errors import RecorderError

torch.manual_seed(1)
X = torch.randn(23, 4)
ROWS = X.numpy()


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.linear, self.dropout = nn.Linear(4, 3), nn.Dropout(0.5)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.linear(features)).softmax(-1)


class Parts(nn.Module):
    """Several inputs, with a constant among them, and outputs of several dtypes in containers."""

    def forward(self, left: torch.Tensor, right: torch.Tensor, scale: int = 2) -> dict[str, Any]:
        return {
            "total/all": left.float() + right * scale,
            "small": (left.half(), right.bfloat16()),
            "least": left.argmin(1),
        }


def exported(folder: Path, model: nn.Module, inputs: tuple[Any, ...], size: Any = None, **kwargs: Any) -> Path:
    """Write a model as a file; ``size`` is the Dim of samples of each tensor, fixed if None."""
    shapes = None
    if size is not None:
        shapes = tuple({0: size} if isinstance(each, torch.Tensor) else None for each in inputs)
    path = folder / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(export(model.eval(), inputs, dynamic_shapes=shapes, **kwargs), path)
    return path


@pytest.fixture(scope="module")
def any_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a classifier that takes any number of samples."""
    return exported(tmp_path_factory.mktemp("any"), Classifier(), (X[:2],), Dim("samples"))


def scripted(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Classifier()), folder / "model.pt")
    return folder / "model.pt"


def expected(inputs: torch.Tensor = X) -> Any:
    with torch.no_grad():
        return Classifier().eval()(inputs).numpy()


CLASSES = ["label", "class_0", "class_1", "class_2"]


def test_live_module_exported_program_and_torchscript(any_size: Path, tmp_path: Path) -> None:
    live = Classifier().train()
    for number, model in enumerate((live, any_size, scripted(tmp_path))):
        out = tmp_path / f"{number}.csv"
        (table,) = predict(model, ROWS.astype(np.float64), out, batch_size=10, trust=True)
        assert (table.output, table.rows, table.padded) == ("output", 23, 0)
        found = numbers(out, CLASSES)
        np.testing.assert_allclose(found[:, 1:], expected(), rtol=1e-6)
        np.testing.assert_array_equal(found[:, 0], expected().argmax(axis=1))
    assert live.training


def test_bfloat16_inputs_are_those_of_a_module_in_bfloat16(tmp_path: Path) -> None:
    module, inputs = Classifier().to(torch.bfloat16).eval(), X.to(torch.bfloat16)
    predict(module, inputs, tmp_path / "out.csv", columns="classes", batch_size=len(X))
    with torch.no_grad():
        expected = module(inputs).float().numpy()
    np.testing.assert_array_equal(numbers(tmp_path / "out.csv", CLASSES)[:, 1:].astype(np.float32), expected)


@pytest.mark.parametrize("fixed", [8, 1])
def test_last_batch_is_padded_to_a_fixed_size(fixed: int, tmp_path: Path) -> None:
    path = exported(tmp_path, Classifier(), (X[:fixed],))
    (table,) = predict(path, ROWS[:19], tmp_path / "out.csv", trust=True)
    assert (table.rows, table.padded) == (19, -19 % fixed)
    np.testing.assert_allclose(numbers(tmp_path / "out.csv", CLASSES)[:, 1:], expected(X[:19]), rtol=1e-6)


def test_batches_have_a_size_in_the_range_of_the_model(tmp_path: Path) -> None:
    path = exported(tmp_path, Classifier(), (X[:4],), Dim("samples", min=3, max=6))
    (table,) = predict(path, ROWS[:13], tmp_path / "out.csv", trust=True)
    assert table.padded == 2
    np.testing.assert_allclose(numbers(tmp_path / "out.csv", CLASSES)[:, 1:], expected(X[:13]), rtol=1e-6)


def test_several_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    ids = torch.arange(6, dtype=torch.int64).reshape(3, 2)
    halves = torch.tensor([[0.5, 1], [2, 3], [4, 5]], dtype=torch.bfloat16)
    size = Dim("samples")
    path = exported(tmp_path, Parts(), (ids, halves, 2), size)
    np.savez(tmp_path / "x.npz", right=halves.float().numpy(), left=ids.numpy().astype(np.float64))
    live = {"right": halves.float().numpy(), "left": ids.numpy()}
    for model, inputs in ((path, tmp_path / "x.npz"), (Parts(), live)):
        tables = predict(model, inputs, tmp_path / "out.csv", trust=True, overwrite=True, columns="outputs")
        assert [table.output for table in tables] == ["total/all", "small/0", "small/1", "least"]
        two = ["output_0", "output_1"]
        total = numbers(tmp_path / "out.total%2Fall.csv", two)
        np.testing.assert_array_equal(total, ids.numpy() + 2 * halves.float().numpy())
        np.testing.assert_array_equal(numbers(tmp_path / "out.small%2F0.csv", two), ids.numpy())
        np.testing.assert_array_equal(numbers(tmp_path / "out.small%2F1.csv", two), halves.float().numpy())
        assert read(tmp_path / "out.least.csv")[1] == [["0", "0"], ["1", "0"], ["2", "0"]]


def test_values_that_an_input_cannot_hold_are_refused(tmp_path: Path) -> None:
    ids = torch.arange(6, dtype=torch.int32).reshape(3, 2)
    path = exported(tmp_path, Parts(), (ids, ids.float(), 2), Dim("samples"))
    whole, floats = np.ones((3, 2), np.int64), np.ones((3, 2), np.float32)
    for left, right in (
        (whole * 1.5, floats),
        (whole * np.nan, floats),
        (whole * 2**40, floats),
        (whole, np.full((3, 2), 1e300)),
        (np.full((3, 2), "1"), floats),
    ):
        with pytest.raises(RecorderError, match=r"The input (left takes int32|right takes float32)"):
            predict(path, {"left": left, "right": right}, tmp_path / "out.csv", trust=True)
    assert not (tmp_path / "out.csv").exists()


# What is refused


class Bait:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_in_an_untrusted_file_runs(any_size: Path, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    with zipfile.ZipFile(any_size) as old, zipfile.ZipFile(tmp_path / "bait.pt2", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if "sample_inputs" in name:
                held = io.BytesIO()
                torch.save((Bait(bait),), held)
                content = held.getvalue()
            new.writestr(name, content)
    with pytest.raises(RecorderError, match="may run code that is in the file; trust=True if you trust its source"):
        predict(tmp_path / "bait.pt2", ROWS, tmp_path / "out.csv")
    assert not bait.exists()
    with pytest.raises(RecorderError, match=r"TorchScript is a program.*; trust=True if you trust its source"):
        predict(scripted(tmp_path), ROWS, tmp_path / "out.csv")


@pytest.mark.parametrize("trust", [False, True])
def test_what_torch_save_wrote_is_not_a_model(trust: bool, tmp_path: Path) -> None:
    torch.save(Classifier().state_dict(), tmp_path / "weights.pt")
    (tmp_path / "pickled.pth").write_bytes(pickle.dumps(Bait(tmp_path / "bait")))
    for name in ("weights.pt", "pickled.pth"):
        with pytest.raises(RecorderError, match=f"{name} is not a TorchScript file"):
            predict(tmp_path / name, ROWS, tmp_path / "out.csv", trust=trust)
    assert not (tmp_path / "bait").exists()


def test_damaged_files_are_one_sentence(any_size: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cut.pt2").write_bytes(any_size.read_bytes()[:900])
    content = scripted(tmp_path).read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    for name in ("cut.pt2", "cut.pt"):
        with pytest.raises(RecorderError, match=f"{name} (cannot be loaded|is not)") as caught:
            predict(tmp_path / name, ROWS, tmp_path / "out.csv", trust=True)
        assert "\n" not in str(caught.value)
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


class Nested(nn.Module):
    def forward(self, pair: dict[str, torch.Tensor], *, more: list[torch.Tensor]) -> torch.Tensor:
        return pair["a"] - 2 * pair["b"] + more[0]


def test_arguments_in_containers_have_names(tmp_path: Path) -> None:
    path, size = tmp_path / "model.pt2", {0: Dim("samples")}
    inputs, more = {"a": X, "b": X + 1}, {"more": [X + 2]}
    save(export(Nested(), (inputs,), more, dynamic_shapes={"pair": {"a": size, "b": size}, "more": [size]}), path)
    predict(path, {"more_0": ROWS + 2, "pair_b": ROWS + 1, "pair_a": ROWS}, tmp_path / "out.csv", trust=True)
    found = numbers(tmp_path / "out.csv", [f"output_{place}" for place in range(4)])
    np.testing.assert_allclose(found, ROWS - 2 * (ROWS + 1) + ROWS + 2, atol=1e-5)


def test_a_program_that_was_exported_in_training_mode_is_refused(tmp_path: Path) -> None:
    for number, model in enumerate((Classifier().train(), nn.BatchNorm1d(4).train())):
        path = tmp_path / f"{number}.pt2"
        save(export(model, (X[:8],)), path)
        with pytest.raises(RecorderError, match=r"was exported in training mode.* (dropout|batch_norm)"):
            predict(path, ROWS, tmp_path / "out.csv", trust=True)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.utils.data.DataLoader(X), "The DataLoader has no rows; give an array"),  # type: ignore[arg-type]
        (X.clone().requires_grad_(), "The Tensor cannot be read as an array .*detach"),
        (None, "The NoneType has no rows"),
        ([X, 3.0], "The float has no rows"),
    ],
)
def test_inputs_that_are_not_arrays_are_refused(inputs: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match=message):
        predict(Classifier(), inputs, tmp_path / "out.csv")
    with pytest.raises(RecorderError, match="batch_size='8' is not a number of samples"):
        predict(Classifier(), X, tmp_path / "out.csv", batch_size="8")  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())
