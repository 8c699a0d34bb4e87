"""Predictions that ``TorchPredictionRecorder`` records are the model's own, and recording them changes nothing."""

from __future__ import annotations

import copy
import dataclasses
import gc
import random
import re
import runpy
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import torch
from prediction_tables import numbers
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import tb2csv
from tb2csv.errors import RecorderError
from tb2csv.recorders import RecorderWarning, TorchPredictionRecorder
from tb2csv.recorders.pytorch.evaluation import preserved_generators

if TYPE_CHECKING:
    from collections.abc import Iterator

torch.manual_seed(5)
X = torch.randn(23, 4)
Y = torch.arange(23) % 3


class Classifier(nn.Module):
    """A network that depends on its mode in two ways."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).softmax(-1)


def tensors(log_dir: Path) -> dict[str, dict[int, Any]]:
    """Return the tensors of a run by tag and step."""
    found: dict[str, dict[int, Any]] = {}
    table = tb2csv.open_logdir(log_dir).tensors()
    for (tag, step), rows in table.partition_by("tag", "step", as_dict=True, maintain_order=True).items():
        axes = [rows[name].drop_nulls() for name in rows.columns if name in {"i0", "i1", "i2"}]
        shape = [int(axis.max()) + 1 for axis in axes if len(axis)]  # type: ignore[arg-type]
        found.setdefault(str(tag), {})[int(step)] = rows["value"].to_numpy().reshape(shape)  # type: ignore[arg-type]
    return found


def expected(model: nn.Module, rows: Any, inputs: torch.Tensor = X) -> Any:
    """Return what a copy of a model predicts."""
    with torch.no_grad():
        return copy.deepcopy(model).eval()(inputs[torch.as_tensor(rows)]).numpy()


def test_the_same_rows_every_so_many_epochs(tmp_path: Path) -> None:
    model = Classifier()
    seen = {}
    with TorchPredictionRecorder(
        model, X, tmp_path, targets=Y, sample_size=6, every=2, seed=9, batch_size=4
    ) as recorder:
        for epoch in range(4):
            with torch.no_grad():
                model.layers[0].weight += 0.5
            recorder.end_epoch(epoch)
            seen[epoch] = expected(model, recorder.rows)
    found = tensors(tmp_path)
    assert set(found) == {"predictions/sample", *(f"predictions/output{end}" for end in ("", "/label", "/target"))}
    assert len(set(recorder.rows.tolist())) == 6
    for tag in found:
        assert list(found[tag]) == [1, 3]
    for epoch in (1, 3):
        np.testing.assert_array_equal(found["predictions/sample"][epoch], recorder.rows)
        np.testing.assert_allclose(found["predictions/output"][epoch], seen[epoch], rtol=1e-6)
        np.testing.assert_array_equal(found["predictions/output/label"][epoch], seen[epoch].argmax(axis=1))
        np.testing.assert_array_equal(found["predictions/output/target"][epoch], Y[recorder.rows])
    again = TorchPredictionRecorder(model, X, tmp_path, sample_size=6, seed=9)
    np.testing.assert_array_equal(again.rows, recorder.rows)


class Noisy(Dataset[Any]):
    """A dataset that draws from every generator."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, place: int) -> Any:
        return X[place] + 0.1 * (torch.rand(()) + random.random() + np.random.rand()), Y[place]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["eager", "compiled", "compiled in place"])
def test_training_is_bit_equal_with_and_without_it(way: str, tmp_path: Path) -> None:
    compilations = []

    def compiled(graph: Any, inputs: Any) -> Any:
        compilations.append(graph)
        return graph

    def train(*, is_recorded: bool) -> Any:
        random.seed(1)
        np.random.seed(1)
        model = Classifier()
        model.layers[1].eval()  # frozen, and to stay so
        used: Any = torch.compile(model, backend=compiled) if way == "compiled" else model
        if way == "compiled in place":
            model.compile(backend=compiled)
        loader = DataLoader(Noisy(), batch_size=8, shuffle=True, drop_last=True)
        optimizer = torch.optim.Adam(model.parameters(), 0.1)
        recorder = TorchPredictionRecorder(used, loader, tmp_path, sample_size=5) if is_recorded else None
        draws = []
        for epoch in range(2):
            for x, y in loader:
                optimizer.zero_grad()
                nn.functional.nll_loss(used(x).log(), y).backward()
                optimizer.step()
            if recorder is not None:
                recorder.end_epoch(epoch)
            draws += [torch.rand(()), random.random(), np.random.rand()]
        if recorder is not None:
            recorder.close()
        modes = [module.training for module in model.modules()]
        return [*model.state_dict().values(), *map(torch.as_tensor, draws), *map(torch.as_tensor, modes)]

    without = train(is_recorded=False)
    torch.compiler.reset()
    count = len(compilations)
    assert (count > 0) == (way != "eager")
    with_recorder = train(is_recorded=True)
    assert len(compilations) == 2 * count
    assert all(torch.equal(one, other) for one, other in zip(without, with_recorder, strict=True))
    assert list(tensors(tmp_path)["predictions/sample"]) == [0, 1]


@pytest.mark.parametrize("kind", ["mps", "cuda", "meta"])
def test_generator_of_a_device_is_put_back(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices without data have none."""
    name = "cuda:1" if kind == "cuda" else kind
    states = {name: "before"}
    if kind != "meta":
        module = getattr(torch, kind)
        monkeypatch.setattr(module, "get_rng_state", lambda device: states[str(device)])
        monkeypatch.setattr(module, "set_rng_state", lambda state, device: states.update({str(device): state}))
    before = torch.get_rng_state()
    with preserved_generators(torch.device(name)):
        states[name] = "after"
        torch.rand(())
    assert states[name] == ("after" if kind == "meta" else "before")
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_of_a_loader_are_those_of_its_dataset(tmp_path: Path) -> None:
    model = Classifier()
    read = []

    class Watched(TensorDataset):
        def __getitem__(self, place: int) -> Any:
            read.append(place)
            return super().__getitem__(place)

    loader = DataLoader(Watched(X, Y), batch_size=4, shuffle=True, drop_last=True)
    recorder = TorchPredictionRecorder(model, loader, tmp_path, sample_size=7, seed=3)
    assert read == recorder.rows.tolist()
    recorder.record(5)
    found = tensors(tmp_path)
    np.testing.assert_allclose(found["predictions/output"][5], expected(model, read), rtol=1e-6)
    np.testing.assert_array_equal(found["predictions/output/target"][5], Y[read])


def test_first_rows_of_a_dataset_that_can_only_be_iterated(tmp_path: Path) -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter(zip(X, Y, strict=True))

    model = Classifier()
    recorder = TorchPredictionRecorder(model, DataLoader(Stream(), batch_size=4), tmp_path, sample_size=6)
    recorder.end_step(1)
    assert recorder.rows.tolist() == list(range(6))
    np.testing.assert_allclose(tensors(tmp_path)["predictions/output"][1], expected(model, range(6)), rtol=1e-6)


@dataclasses.dataclass
class Answer:
    total: torch.Tensor
    loss: torch.Tensor
    parts: tuple[torch.Tensor, ...]


class Several(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> Answer:
        return Answer(left + right, left.sum(), (left.half(), right.bfloat16()))


def test_several_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    batches = [{"left": X[n], "right": X[n] + 1, "labels": Y[n]} for n in range(23)]
    recorder = TorchPredictionRecorder(Several(), DataLoader(batches, batch_size=5), tmp_path, targets="labels")  # type: ignore[arg-type]
    recorder.record(0)
    with pytest.warns(RecorderWarning, match=r"predictions/loss \(1 x no row for each sample\)"):
        recorder.close()
    found = {tag: steps[0] for tag, steps in tensors(tmp_path).items()}
    assert set(found) == {f"predictions/{name}" for name in ("sample", "total", "total/target", "parts/0", "parts/1")}
    np.testing.assert_array_equal(found["predictions/total"], (X + (X + 1)).numpy())
    np.testing.assert_array_equal(found["predictions/parts/0"], X.half().float().numpy())
    np.testing.assert_array_equal(found["predictions/parts/1"], (X + 1).bfloat16().float().numpy())
    by_position = TorchPredictionRecorder(Several(), [X, X + 1], tmp_path / "list")
    by_position.record(0)
    with pytest.warns(RecorderWarning):
        by_position.close()
    np.testing.assert_array_equal(tensors(tmp_path / "list")["predictions/total"][0], (X + (X + 1)).numpy())


def test_nothing_keeps_a_graph_or_later_changes(tmp_path: Path) -> None:
    model = Classifier()
    inputs = X.clone()
    recorder = TorchPredictionRecorder(model, inputs, tmp_path)
    inputs.zero_()
    outputs = []
    model.register_forward_hook(lambda module, given, output: outputs.append(weakref.ref(output)))
    recorder.record(0)
    gc.collect()
    assert outputs[0]() is None
    np.testing.assert_allclose(tensors(tmp_path)["predictions/output"][0], expected(model, range(23)), rtol=1e-6)


def test_a_model_that_fails_does_not_stop_the_training(tmp_path: Path) -> None:
    model = Classifier().train()
    recorder = TorchPredictionRecorder(model, X[:, :3], tmp_path)
    recorder.end_epoch(0)
    assert model.training
    with pytest.warns(RecorderWarning, match="predictions .1 x RuntimeError: mat1 and mat2"):
        recorder.close()
    assert not list(tmp_path.iterdir())


def test_only_the_first_of_several_processes_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others read nothing, and never wait for the first."""
    for method, value in (("is_initialized", True), ("get_rank", 1)):
        monkeypatch.setattr(torch.distributed, method, lambda value=value: value)
    with TorchPredictionRecorder(Classifier(), DataLoader(Noisy()), tmp_path) as recorder:
        recorder.end_epoch(0)
    assert not recorder.rows.size
    assert not list(tmp_path.iterdir())


def test_misfits_are_refused(tmp_path: Path) -> None:
    model = Classifier()
    triples = DataLoader(TensorDataset(X, X, Y))
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (X, {"targets": Y[:4]}, "different numbers of rows .4, 23."),
        (X, {"sample_size": 0}, "sample_size=0 is not a number of rows"),
        (X, {"batch_size": "8"}, "batch_size='8' is not a number of rows"),
        (X[:0], {}, "The inputs have no rows"),
        (None, {}, "There are no inputs"),
        ("x.npy", {}, "str is not an array of numbers"),
        (X, {"every": 0}, "every=0"),
        (triples, {}, "which are targets .3 parts.; give split="),
        (triples, {"targets": Y}, "A DataLoader has its targets in its batches"),
        (DataLoader([{"x": 1.0}]), {"targets": "y"}, "A batch has no 'y' for targets; it has x"),  # type: ignore[arg-type]
        (DataLoader(TensorDataset(X[:0])), {}, "The DataLoader has no rows"),
    ]
    for data, options, message in cases:
        with pytest.raises(RecorderError, match=message):
            TorchPredictionRecorder(model, data, tmp_path, **options)
    with pytest.raises(RecorderError, match=r"function is not a model of PyTorch"):
        TorchPredictionRecorder(lambda x: x, X, tmp_path)  # type: ignore[arg-type]
    TorchPredictionRecorder(model, triples, tmp_path, split=lambda batch: (batch[0], batch[2])).record(0)
    assert "predictions/output/target" in tensors(tmp_path)


def test_the_page_records_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs/predictions.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    exec(block, {"model": Classifier(), "validation_loader": loader, "training_loader": loader, "epochs": 4})
    found = tensors(tmp_path / "logs/run")
    assert set(found) == {"predictions/sample", *(f"predictions/output{end}" for end in ("", "/label", "/target"))}
    assert all(list(steps) == [1, 3] for steps in found.values())
    assert found["predictions/output"][1].shape == (16, 3)


def test_the_example_writes_what_the_model_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same training in NumPy, with the gradient of the loss by hand."""
    source = Path(__file__).parents[2] / "examples/torch_predictions.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 40
    monkeypatch.setattr(sys, "argv", [str(source), str(tmp_path)])
    runpy.run_path(str(source), run_name="__main__")
    torch.manual_seed(0)
    x, y = torch.randn(30, 2).double().numpy(), np.arange(30) % 3
    layer = nn.Linear(2, 3)
    weight, bias = (each.detach().double().numpy() for each in (layer.weight, layer.bias))
    labels = {}
    for epoch in range(3):
        shares = softmax(x @ weight.T + bias)
        error = (shares - np.eye(3)[y]) / 30
        weight, bias = weight - 0.5 * error.T @ x, bias - 0.5 * error.sum(axis=0)
        labels[epoch] = softmax(x @ weight.T + bias).argmax(axis=1)
    tables = [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    rows = tensors(tmp_path / "logs")["predictions/sample"][0].astype(int)
    written = pl.read_csv(tables[0]).rows_by_key("step", named=True)
    assert {step: [row["value"] for row in found] for step, found in written.items()} == {
        epoch: found[rows].tolist() for epoch, found in labels.items()
    }
    found = numbers(Path(tables[1]), ["label", "target", "class_0", "class_1", "class_2"])
    np.testing.assert_allclose(found[:, 2:], softmax(x @ weight.T + bias), rtol=1e-4)
    np.testing.assert_array_equal(found[:, 1], y)


def softmax(scores: Any) -> Any:
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True)
