"""Rankings of real trainings: hyperparameters are those that Lightning and Keras Tuner put beside their logs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from pytorch_lightning.loggers import TensorBoardLogger

import tb2csv

# Keras' way to TensorFlow's numbers under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.filterwarnings("ignore")
def test_the_file_of_lightning_adds_what_the_log_does_not_have(tmp_path: Path) -> None:
    """The logger writes hyperparameters that a model saves later to its file alone."""
    for number, lr in enumerate([1e-3, 1e-5]):
        logger = TensorBoardLogger(tmp_path, "logs")
        logger.log_hyperparams({"lr": lr})
        logger.hparams.update(
            betas=(0.9, 0.999), data=Path("/data/set"), model=argparse.Namespace(depth=2), act=dict, name="a: b"
        )
        logger.log_metrics({"val/acc": number / 4}, step=7)
        logger.save()
        logger.finalize("success")
    ranking = tb2csv.best(tmp_path / "logs", "val/acc")
    assert ranking.table.drop("duration").rows(named=True) == [
        {
            "rank": rank, "run": f"version_{number}", "value": number / 4, "step": 7, "lr": lr, "act": "builtins.dict",
            "betas": "[0.9, 0.999]", "data": "/data/set", "model/depth": 2, "name": "a: b",
        }
        for rank, number, lr in [(1, 1, 1e-5), (2, 0, 1e-3)]
    ]  # fmt: skip
    assert [note.kind for note in ranking.notes] == ["goal_by_name"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # KerasTuner 1.4.8 uses old names of threads
def test_trials_of_keras_tuner_have_their_hyperparameters(tmp_path: Path) -> None:
    """Each trial writes its logs into its own folder, without the hparams plugin."""

    class Tuner(keras_tuner.GridSearch):  # type: ignore[misc] # KerasTuner is not typed
        def run_trial(self, trial: Any, *arguments: Any, **options: Any) -> Any:
            folder = Path(self.get_trial_dir(trial.trial_id)) / "logs"
            model = self.hypermodel.build(trial.hyperparameters)
            history = model.fit(*arguments, callbacks=[keras.callbacks.TensorBoard(str(folder))], **options)
            losses[trial.trial_id] = (trial.hyperparameters.get("units"), history.history["val_loss"])
            return history

    def build(values: Any) -> Any:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(values.Choice("units", [2, 3]))])
        values.Fixed("act", "none")
        model.add(keras.layers.Dense(1))
        model.compile("sgd", "mse")
        return model

    losses: dict[str, tuple[int, list[float]]] = {}
    tuner = Tuner(build, objective="val_loss", directory=tmp_path, project_name="p")
    x = np.random.default_rng(0).random((16, 2), np.float32)
    tuner.search(x, x[:, :1], epochs=2, verbose=0, validation_split=0.25)
    ranking = tb2csv.best(tmp_path / "p", "epoch_loss", run="*/validation")
    expected = sorted(
        (float(np.float32(min(values))), f"trial_{trial}", units) for trial, (units, values) in losses.items()
    )
    rows = ranking.table.select("value", "run", "units", "act").rows()
    assert rows == [(value, f"{trial}/logs/validation", units, "none") for value, trial, units in expected]
    assert len(rows) == 2
