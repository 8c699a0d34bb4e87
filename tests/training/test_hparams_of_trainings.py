"""The table of trials of real trainings: its numbers are those that the training loops had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import accelerate
import keras
import keras_tuner
import numpy as np
import pytest
import pytorch_lightning as lightning
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.plugins.hparams import api as hp
from torch.utils.tensorboard import SummaryWriter

import tb2csv
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

# Keras' way to TensorFlow's numbers under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

UNITS = (2, 3)
#: The metrics of a Keras training: where the TensorBoard callback writes each, and its key in ``logs``.
KERAS_METRICS = {
    "train/epoch_loss": "loss",
    "train/epoch_mae": "mae",
    "validation/epoch_loss": "val_loss",
    "validation/epoch_mae": "val_mae",
}


class Kept(keras.callbacks.Callback):  # type: ignore[misc] # Keras is not typed
    """Keeps the logs of all epochs, by the folder of the trial."""

    logs: dict[str, list[dict[str, float]]]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the numbers of an epoch."""
        self.logs.setdefault(str(self.model.units), []).append(dict(logs or {}))


def kept() -> Kept:
    callback = Kept()
    callback.logs = {}
    return callback


def build_model(units: int) -> Any:
    keras.utils.set_random_seed(units)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    model.units = units
    return model


def samples() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    x = np.random.default_rng(0).random((32, 4), np.float32)
    return x, x.sum(axis=1, keepdims=True)


def series(row: dict[str, Any], metric: str) -> list[float]:
    """Return last, smallest and largest value of a metric."""
    return [row[metric], row[f"{metric}:min"], row[f"{metric}:max"]]


def series_of(values: Sequence[float]) -> list[float]:
    """Return last, smallest and largest value, as an event file has them."""
    stored = [float(np.float32(value)) for value in values]
    return [stored[-1], min(stored), max(stored)]


def check_keras(logdir: Path, logs: dict[str, list[dict[str, float]]]) -> None:
    rows = list(tb2csv.open_logdir(logdir).hparams().iter_rows(named=True))
    assert sorted(row["units"] for row in rows) == list(UNITS)
    for row in rows:
        assert row["status"] == "success"
        epochs = logs[str(row["units"])]
        assert len(epochs) == 3
        for metric, key in KERAS_METRICS.items():
            assert series(row, metric) == series_of([epoch[key] for epoch in epochs])


@pytest.mark.parametrize("experiment", [False, True])
def test_keras_callback_beside_the_tensorboard_callback(tmp_path: Path, *, experiment: bool) -> None:
    if experiment:
        import tensorflow as tf

        with tf.summary.create_file_writer(str(tmp_path)).as_default():
            metrics = [hp.Metric(metric.partition("/")[2], group=metric.partition("/")[0]) for metric in KERAS_METRICS]
            hp.hparams_config(hparams=[hp.HParam("units", hp.Discrete(list(UNITS)))], metrics=metrics)
    keep = kept()
    x, y = samples()
    for units in UNITS:
        folder = str(tmp_path / f"run{units}")
        recorders = [keras.callbacks.TensorBoard(folder), hp.KerasCallback(folder, {"units": units}), keep]
        build_model(units).fit(x, y, epochs=3, verbose=0, validation_split=0.25, callbacks=recorders)
    check_keras(tmp_path, keep.logs)


# KerasTuner 1.4.8 uses old names of Python's threading.
@pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")
def test_keras_tuner(tmp_path: Path) -> None:
    keep: dict[str, list[dict[str, float]]] = {}

    class Model(keras_tuner.HyperModel):  # type: ignore[misc] # KerasTuner is not typed
        def build(self, values: Any) -> Any:
            return build_model(values.Choice("units", list(UNITS)))

        def fit(self, values: Any, model: Any, *arguments: Any, **options: Any) -> Any:
            history = model.fit(*arguments, **options)
            rows = zip(*history.history.values(), strict=True)
            keep[str(model.units)] = [dict(zip(history.history, row, strict=True)) for row in rows]
            return history

    tuner = keras_tuner.GridSearch(Model(), objective="val_loss", directory=tmp_path / "search", project_name="p")
    x, y = samples()
    callbacks = [keras.callbacks.TensorBoard(str(tmp_path / "logs"))]
    tuner.search(x, y, epochs=3, verbose=0, validation_split=0.25, callbacks=callbacks)
    check_keras(tmp_path / "logs", keep)


class Regression(lightning.LightningModule):  # type: ignore[misc] # seen as untyped where it is not installed
    """A model that keeps the numbers that it logs."""

    def __init__(self, lr: float, *, has_score: bool) -> None:
        super().__init__()
        self.save_hyperparameters("lr")
        self.layer = torch.nn.Linear(4, 1)
        self.has_score = has_score
        self.losses: list[float] = []

    def training_step(self, batch: Sequence[torch.Tensor], _number: int) -> torch.Tensor:
        """Return the loss of a batch."""
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch: Sequence[torch.Tensor], _number: int) -> None:
        """Log the loss of the only batch, before the training too if a sanity check is made."""
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.losses.append(loss.item())
        self.log("val_loss", loss)
        if self.has_score:
            self.log("hp_metric", -10 * loss)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer with the hyperparameter."""
        return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])


@pytest.fixture
def batches() -> torch.utils.data.DataLoader[Any]:
    x, y = map(torch.from_numpy, samples())
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=len(x))


def train(logdir: Path, model: Regression, batches: Any, logger: TensorBoardLogger) -> None:
    trainer = lightning.Trainer(
        logger=logger,
        default_root_dir=logdir,
        max_epochs=3,
        accelerator="cpu",
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, batches, batches)
    assert len(model.losses) == 3


# Lightning advises more workers, and torch.jit.script of its model is deprecated.
@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path: Path, batches: Any) -> None:
    models = [Regression(0.1, has_score=True), Regression(0.01, has_score=False)]
    for model in models:
        train(tmp_path, model, batches, TensorBoardLogger(tmp_path, "logs"))
    log = tb2csv.open_logdir(tmp_path / "logs")
    scored, unscored = log.hparams(Selection(tags=("hp_metric", "val_loss"))).sort("run").iter_rows(named=True)
    assert [scored["run"], unscored["run"]] == ["version_0", "version_1"]
    assert [scored["lr"], unscored["lr"]] == [0.1, 0.01]
    for row, model in zip([scored, unscored], models, strict=True):
        assert series(row, "val_loss") == series_of(model.losses)
    assert series(scored, "hp_metric") == pytest.approx(series_of([-10 * loss for loss in models[0].losses]))
    # Lightning's placeholder, which is all that the second training has.
    assert series(unscored, "hp_metric") == [-1, -1, -1]


@pytest.mark.filterwarnings("ignore")
def test_lightning_with_metrics_of_its_own(tmp_path: Path, batches: Any) -> None:
    model = Regression(0.1, has_score=False)
    logger = TensorBoardLogger(tmp_path, "logs", default_hp_metric=False)
    train(tmp_path, model, batches, logger)
    logger.log_hyperparams({"lr": 0.1, "depth": 1}, {"best": min(model.losses)}, step=3)
    logger.finalize("success")
    rows = list(tb2csv.open_logdir(tmp_path / "logs").hparams().iter_rows(named=True))
    assert series(rows[-1], "best") == series_of([min(model.losses)])
    assert (rows[-1]["lr"], rows[-1]["depth"]) == (0.1, 1)


def losses_of_training(lr: float, batches: Any) -> Iterator[float]:
    """Yield the loss of each of three steps."""
    layer = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr)
    for _ in range(3):
        for x, y in batches:
            loss = torch.nn.functional.mse_loss(layer(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def test_accelerate(tmp_path: Path, batches: Any) -> None:
    losses: dict[float, list[float]] = {}
    for number, lr in enumerate((0.1, 0.01)):
        accelerator = accelerate.Accelerator(cpu=True, log_with="tensorboard", project_dir=tmp_path)
        accelerator.init_trackers(f"trial{number}", config={"lr": lr, "note": "a, b"})
        losses[lr] = list(losses_of_training(lr, batches))
        for step, loss in enumerate(losses[lr]):
            accelerator.log({"train_loss": loss}, step=step)
        accelerator.end_training()
    rows = list(tb2csv.open_logdir(tmp_path).hparams(Selection(tags=("train_loss",))).iter_rows(named=True))
    assert sorted(row["lr"] for row in rows) == [0.01, 0.1]
    for row in rows:
        assert row["note"] == "a, b"
        assert series(row, "train_loss") == series_of(losses[row["lr"]])


def test_torch_add_hparams(tmp_path: Path, batches: Any) -> None:
    losses: dict[float, list[float]] = {}
    with SummaryWriter(tmp_path) as writer:
        for lr in (0.1, 0.01):
            losses[lr] = list(losses_of_training(lr, batches))
            writer.add_hparams({"lr": lr}, {"hparam/loss": losses[lr][-1], "hparam/first": losses[lr][0]})
    rows = list(tb2csv.open_logdir(tmp_path).hparams().iter_rows(named=True))
    assert sorted(row["lr"] for row in rows) == [0.01, 0.1]
    for row in rows:
        assert series(row, "hparam/loss") == series_of(losses[row["lr"]][-1:])
        assert series(row, "hparam/first") == series_of(losses[row["lr"]][:1])
