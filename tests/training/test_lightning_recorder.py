"""``LightningRecorder`` records what a loop of plain PyTorch computes, at the steps of Lightning's loggers."""

from __future__ import annotations

import copy
import csv
import inspect
import logging
import os
import pickle
import runpy
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import pytorch_lightning
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from recordings import assert_recorded, at, event_files, gradients_of, recorded, steps, weights_of
from torch import nn
from torch.utils.data import DataLoader

import tb2csv
from tb2csv.errors import RecorderError
from tb2csv.recorders import LightningRecorder, TorchRecorder
from tb2csv.recorders.pytorch.trainer_recorder import TorchOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytorch_lightning.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]

DATA = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
BATCHES = [DATA[start : start + 3] for start in range(0, 12, 3)]
RATE = 0.5


@pytest.fixture(autouse=True)
def _is_quiet() -> Iterator[None]:
    logger = logging.getLogger("pytorch_lightning")
    level, logger.level = logger.level, logging.ERROR
    yield
    logger.setLevel(level)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))


def loss_of(net: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return (net(batch) - batch.sum(1, keepdim=True)).float().square().mean()


class Module(pytorch_lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        loss = loss_of(self.net, batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: torch.Tensor, _: int) -> None:
        self.log("val/loss", loss_of(self.net, batch))

    def test_step(self, batch: torch.Tensor, number: int) -> None:
        self.log("test_loss", loss_of(self.net, batch))

    def predict_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return self.net(batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=RATE)


class Manual(Module):
    """One optimizer for each layer; in the first batch of an epoch, only the second does a step."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: torch.Tensor, number: int) -> None:
        first, second = self.optimizers()
        for optimizer in (second,) if number == 0 else (first, second):
            self.zero_grad()
            loss = loss_of(self.net, batch)
            self.log("train_loss", loss)
            self.manual_backward(loss)
            optimizer.step()

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(layer.parameters(), lr=RATE) for layer in (self.net[0], self.net[2])]


def trainer(folder: Path, *callbacks: Any, package: Any = pytorch_lightning, **options: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    plain = {"accelerator": "cpu", "logger": False, "max_epochs": 1, "log_every_n_steps": 1, "default_root_dir": folder}
    return package.Trainer(callbacks=list(callbacks), **(quiet | plain | options))


def fit(folder: Path, recorder: Any, module: Any = None, *, is_validated: bool = False, **options: Any) -> Any:
    module = Module() if module is None else module
    loaders = [DataLoader(DATA, 3)] * (2 if is_validated else 1)
    trainer(folder, *([recorder] if recorder else []), **options).fit(module, *loaders)
    return module


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"max_epochs": 2},
    "validated": {"is_validated": True, "val_check_interval": 2, "num_sanity_val_steps": 2},
    "accumulated": {"accumulate_grad_batches": 2},
    "clipped": {"gradient_clip_val": 0.01},
    "mixed": {"precision": "bf16-mixed"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_recording_equals_a_loop_of_plain_torch(name: str, tmp_path: Path) -> None:
    settings = SETTINGS[name]
    recorder = LightningRecorder(tmp_path / "run", gradients_every=1, weights_every=1, layer_errors_every=1)
    module = fit(tmp_path, recorder, **settings)
    found = recorded(tmp_path / "run")
    net = network()
    errors: list[Any] = []

    def take_error(_: Any, __: Any, output: torch.Tensor) -> None:
        output.register_hook(errors.append)

    net[0].register_forward_hook(take_error)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    assert_recorded(found, "weights/net.", -1, weights_of(net))
    accumulate = settings.get("accumulate_grad_batches", 1)
    step = 0
    for number, batch in enumerate(BATCHES * settings.get("max_epochs", 1), 1):
        with torch.autocast("cpu", torch.bfloat16) if name == "mixed" else nullcontext():
            loss = loss_of(net, batch)
        (loss / accumulate).backward()
        if number % accumulate:
            continue
        if name == "clipped":
            nn.utils.clip_grad_norm_(net.parameters(), 0.01)
        assert_recorded(found, "gradients/net.", step, gradients_of(net))
        np.testing.assert_array_equal(
            at(found["layer_errors/net.0"], step).astype(np.float32), errors[-1].float().numpy()
        )
        optimizer.step()
        assert_recorded(found, "weights/net.", step, weights_of(net))
        optimizer.zero_grad()
        step += 1
    assert steps(found["gradients/net.0.weight"]) == steps(found["batch/learning_rate"]) == list(range(step))
    assert steps(found["weights/net.0.weight"]) == list(range(-1, step))
    assert at(found["batch/epoch"], step - 1) == settings.get("max_epochs", 1) - 1
    assert_recorded(found, "weights/net.", step - 1, weights_of(module.net))


class Quasi(Module):
    def configure_optimizers(self) -> Any:
        return torch.optim.LBFGS(self.parameters(), lr=RATE, max_iter=3)


def test_gradients_of_lbfgs_are_those_of_the_last_call_of_its_closure(tmp_path: Path) -> None:
    fit(tmp_path, LightningRecorder(tmp_path / "run", gradients_every=1, weights_every=1), Quasi())
    found = recorded(tmp_path / "run")
    net = network()
    optimizer = torch.optim.LBFGS(net.parameters(), lr=RATE, max_iter=3)
    for step, batch in enumerate(BATCHES):

        def closure(batch: torch.Tensor = batch) -> torch.Tensor:
            optimizer.zero_grad()
            loss = loss_of(net, batch)
            loss.backward()
            return loss

        optimizer.step(closure)
        assert_recorded(found, "gradients/net.", step, gradients_of(net))
        assert_recorded(found, "weights/net.", step, weights_of(net))
    assert steps(found["gradients/net.0.weight"]) == list(range(len(BATCHES)))


def test_gradients_are_the_change_of_weights_by_the_rate(tmp_path: Path) -> None:
    fit(tmp_path, LightningRecorder(tmp_path / "run", gradients_every=1, weights_every=1))
    found = recorded(tmp_path / "run")
    for step in range(4):
        before, after = (at(found["weights/net.2.weight"], each).astype(float) for each in (step - 1, step))
        np.testing.assert_allclose(at(found["gradients/net.2.weight"], step), (before - after) / RATE, rtol=1e-4)


def test_weights_after_a_fit_are_the_same_without_a_recorder(tmp_path: Path) -> None:
    recorder = LightningRecorder(tmp_path / "run", gradient_histograms_every=1, activations_every=1)
    with_recorder = fit(tmp_path, recorder)
    without = fit(tmp_path, None)
    for one, other in zip(with_recorder.parameters(), without.parameters(), strict=True):
        assert torch.equal(one, other)


def test_several_optimizers_share_the_steps_of_the_logger(tmp_path: Path) -> None:
    recorder = LightningRecorder(tmp_path / "run", gradients_every=1, weights_every=1, activations_every=1)
    fit(tmp_path, recorder, Manual())
    found = recorded(tmp_path / "run")
    assert steps(found["gradients/net.0.weight"]) == [1, 2, 3]
    assert steps(found["gradients/net.2.weight"]) == [0, 1, 2, 3]
    assert steps(found["batch/learning_rate_0"]) == [1, 2, 3]
    assert steps(found["batch/learning_rate_1"]) == steps(found["batch/epoch"]) == [0, 1, 2, 3]
    assert steps(found["activations/net.2"]) == [0, 1, 1, 2, 2, 3, 3]  # each has a pass of its own
    net = network()
    assert_recorded(found, "weights/net.", -1, weights_of(net))
    for step, batch in enumerate(BATCHES):
        for layer in (2,) if step == 0 else (0, 2):
            net.zero_grad()
            loss_of(net, batch).backward()
            gradients = {name: each for name, each in gradients_of(net).items() if name.startswith(str(layer))}
            assert_recorded(found, "gradients/net.", step, gradients)
            torch.optim.SGD(net[layer].parameters(), lr=RATE).step()
        assert_recorded(found, "weights/net.", step, weights_of(net))  # after the steps of both


@pytest.mark.slow
def test_tables_have_what_the_logger_and_the_recorder_wrote(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path / "csv"), TensorBoardLogger(tmp_path / "logs")]
    recorder = LightningRecorder(gradient_statistics_every=2)
    fit(tmp_path, recorder, logger=loggers, is_validated=True)
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "tables")
    # Lightning logs the epoch twice after a validation; neither file is taken for a restart.
    assert [(note.kind, note.counts) for note in report.notes] == [("steps_repeated", (("epoch", 1),))]
    folder = tmp_path / "tables/lightning_logs/version_0/scalars"
    losses = pl.read_csv(folder / "train_loss.csv")
    assert losses["step"].to_list() == [0, 1, 2, 3]
    assert losses["value"][0] == pytest.approx(loss_of(network(), BATCHES[0]).item())
    norms = pl.read_csv(folder / "gradients/net.0.weight/norm.csv")
    assert norms["step"].to_list() == [1, 3]  # where log_every_n_steps=2 would log
    assert pl.read_csv(folder / "batch/learning_rate.csv")["value"].to_list() == [RATE] * 4
    assert pl.read_csv(folder / "val/loss.csv")["step"].to_list() == [3]


def test_metrics_of_another_logger_are_recorded_with_its_steps(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="name")
    fit(tmp_path, LightningRecorder(), logger=logger, is_validated=True, max_epochs=2)
    found = recorded(tmp_path / "name/version_0")
    with open(tmp_path / "name/version_0/metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in ("train_loss", "val/loss"):
        logged = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        assert [(step, pytest.approx(float(value))) for step, value in found[name]] == logged
    assert "log_metrics" not in vars(logger)


def test_steps_continue_after_a_checkpoint(tmp_path: Path) -> None:
    first = trainer(tmp_path, LightningRecorder(tmp_path / "run", gradients_every=1), max_steps=2)
    first.fit(Module(), DataLoader(DATA, 3))
    first.save_checkpoint(tmp_path / "half.ckpt")
    second = trainer(tmp_path, LightningRecorder(tmp_path / "run", gradients_every=1, weights_every=1), max_epochs=2)
    second.fit(Module(), DataLoader(DATA, 3), ckpt_path=tmp_path / "half.ckpt")
    found = recorded(tmp_path / "run")
    assert steps(found["gradients/net.0.weight"]) == list(range(second.global_step))
    assert steps(found["weights/net.0.weight"]) == list(range(2, second.global_step))


def test_each_fit_has_the_folder_of_its_logger(tmp_path: Path) -> None:
    recorder = LightningRecorder(gradients_every=1)
    for _ in range(2):
        fit(tmp_path, recorder, logger=CSVLogger(tmp_path, name=""))
    for version in ("version_0", "version_1"):
        assert steps(recorded(tmp_path / version)["gradients/net.0.weight"]) == [0, 1, 2, 3]


def test_an_exception_closes_the_file_and_removes_the_hooks(tmp_path: Path) -> None:
    class Failing(Module):
        def training_step(self, batch: torch.Tensor, number: int) -> torch.Tensor:
            if number == 2:
                message = "no more"
                raise ValueError(message)
            return super().training_step(batch, number)

    recorder = LightningRecorder(tmp_path / "run", gradients_every=1, activations_every=1, layers=["net.?", "nothing*"])
    with pytest.raises(RecorderError, match="nothing"):
        fit(tmp_path, recorder)
    recorder = LightningRecorder(tmp_path / "run", gradients_every=1, activations_every=1)
    module = Failing()
    with pytest.raises(ValueError, match="no more"):
        fit(tmp_path, recorder, module)
    assert steps(recorded(tmp_path / "run")["gradients/net.0.weight"]) == [0, 1]
    assert not any(each._forward_hooks for each in module.modules())
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    loss_of(module.net, BATCHES[0]).backward()
    optimizer.step()
    assert len(event_files(tmp_path / "run")) == 1


def test_nothing_is_written_without_a_fit(tmp_path: Path) -> None:
    recorder = LightningRecorder(tmp_path / "run", activation_statistics_every=1, weights_every=1)
    runner = trainer(tmp_path, recorder)
    module = Module()
    runner.validate(module, DataLoader(DATA, 3), verbose=False)
    runner.test(module, DataLoader(DATA, 3), verbose=False)
    runner.predict(module, DataLoader(DATA, 3))
    assert not (tmp_path / "run").exists()


def test_a_folder_is_needed_without_loggers(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match="log_dir="):
        fit(tmp_path, LightningRecorder())
    fit(tmp_path, LightningRecorder(gradients_every=1), fast_dev_run=True)
    assert not list(tmp_path.rglob("*tfevents*"))


def test_options_are_checked_before_a_fit() -> None:
    with pytest.raises(TypeError, match="gradient_every"):
        LightningRecorder(gradient_every=1)  # type: ignore[call-arg]
    for options in ({"gradients_every": 0}, {"on_error": "ignore"}, {"log_dir": "s3://bucket/run"}):
        with pytest.raises(RecorderError):
            LightningRecorder(**options)
    given_by_trainers = {"model", "log_dir", "optimizer", "scaler", "first_step"}
    assert TorchOptions.__annotations__.keys() == inspect.signature(TorchRecorder).parameters.keys() - given_by_trainers


def test_copies_record_for_themselves(tmp_path: Path) -> None:
    class Copying(LightningRecorder):
        def on_train_batch_end(self, *arguments: Any) -> None:
            super().on_train_batch_end(*arguments)
            self.copied = copy.deepcopy(self)
            self.module = copy.deepcopy(arguments[1])

    recorder = Copying(tmp_path / "run", gradients_every=1, activations_every=1)
    fit(tmp_path, recorder)
    loss_of(recorder.module.net, BATCHES[0]).backward()
    assert steps(recorded(tmp_path / "run")["activations/net.0"]) == [0, 1, 2, 3]
    assert type(recorder.copied) is type(recorder)
    plain = pickle.loads(pickle.dumps(LightningRecorder(tmp_path / "other", gradients_every=2)))
    assert isinstance(plain, pytorch_lightning.Callback)
    fit(tmp_path, plain)
    assert steps(recorded(tmp_path / "other")["gradients/net.0.weight"]) == [1, 3]
    assert plain.state_dict() == {}
    assert plain.state_key == "LightningRecorder"


@pytest.mark.slow
def test_one_class_is_a_callback_of_both_packages(tmp_path: Path) -> None:
    import lightning.pytorch

    class Other(lightning.pytorch.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        training_step = Module.training_step
        configure_optimizers = Module.configure_optimizers

    recorder = LightningRecorder(tmp_path / "one", gradients_every=1)
    assert isinstance(recorder, lightning.pytorch.Callback)
    assert isinstance(recorder, pytorch_lightning.Callback)
    fit(tmp_path, recorder)
    runner = trainer(tmp_path, LightningRecorder(tmp_path / "other", gradients_every=1), package=lightning.pytorch)
    runner.fit(Other(), DataLoader(DATA, 3))
    one, other = recorded(tmp_path / "one"), recorded(tmp_path / "other")
    assert one.keys() == other.keys()
    for tag in one:
        for (step, value), (other_step, other_value) in zip(one[tag], other[tag], strict=True):
            assert step == other_step
            np.testing.assert_array_equal(value, other_value)


class OfRank(Module):
    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return loss_of(self.net, batch * (1 + self.global_rank))


def fit_in_two_processes(folder: Path) -> None:
    recorder = LightningRecorder(folder / "run", gradients_every=1)
    fit(folder, recorder, OfRank(), strategy="ddp_fork", devices=2, use_distributed_sampler=False)


@pytest.mark.slow
def test_the_first_of_two_processes_records(tmp_path: Path) -> None:
    """A process of its own forks them: other tests leave threads of JAX in this one."""
    program = "import sys, test_lightning_recorder as test; test.fit_in_two_processes(test.Path(sys.argv[1]))"
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=os.environ | path, timeout=300)
    assert len(event_files(tmp_path / "run")) == 1
    found = recorded(tmp_path / "run")
    net = network()
    for rank in range(2):
        (loss_of(net, BATCHES[0] * (1 + rank)) / 2).backward()
    for name, gradient in gradients_of(net).items():
        np.testing.assert_allclose(at(found[f"gradients/net.{name}"], 0), gradient, rtol=1e-5)


def elements(path: Path, step: int) -> Any:
    """Return the tensor of a step, from a table with a row for each element."""
    rows = pl.read_csv(path).filter(pl.col("step") == step)
    shape = [rows[axis].max() + 1 for axis in rows.columns if axis.startswith("i")]
    return rows["value"].to_numpy().astype(float).reshape(shape)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning")
def test_the_example_writes_tables_of_one_run(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "examples/lightning_training.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 40
    runpy.run_path(str(source))["main"](tmp_path)
    tables = tmp_path / "tables/version_0"
    losses = pl.read_csv(tables / "scalars/train_loss.csv")
    assert losses["step"].to_list() == [0, 1, 2, 3]
    for step, loss in losses.select("step", "value").iter_rows():  # by hand, from the weights before the step
        rows = np.linspace(-1, 1, 256).reshape(8, 32)[2 * step :][:2]
        weight, bias = (elements(tables / f"tensors/weights/layer.{name}.csv", step - 1) for name in ("weight", "bias"))
        distance = rows @ weight.T + bias - rows.sum(1, keepdims=True)
        assert loss == pytest.approx(np.mean(distance**2), rel=1e-3)
        gradient = elements(tables / "tensors/gradients/layer.weight.csv", step)
        np.testing.assert_allclose(gradient, distance.T @ rows * 2 / distance.size, rtol=1e-3, atol=1e-5)
