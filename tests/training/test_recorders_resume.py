"""A training that was interrupted and goes on from a backup of Keras: steps are those of the batches."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from recordings import at, event_files, recorded, steps

from tb2csv.recorders import TrainingRecorder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    # Keras' own, when it saves and loads.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

X = np.arange(1, 9, dtype=np.float32)[:, np.newaxis] / 8
Y = np.zeros((8, 1), np.float32)

RECORDED = {"weights_every": 1, "gradient_statistics_every": 1}


def line(**options: Any) -> keras.Model:
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones", name="dense")(inputs), name="line")
    model.compile(keras.optimizers.SGD(0.1, **options), "mse", jit_compile=False)
    return model


class Interrupted(Exception):  # noqa: N818 - what a user does
    pass


class Watching(keras.callbacks.Callback):
    """Keeps the kernel after each batch, and interrupts the training in one of them."""

    def __init__(self, interrupt_in: int | None = None) -> None:
        super().__init__()
        self.kernels: list[float] = []
        self.interrupt_in = interrupt_in

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if len(self.kernels) + 1 == self.interrupt_in:
            raise Interrupted

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.kernels.append(float(self.model.get_weights()[0].item()))


def fit(model: keras.Model, *callbacks: Any) -> None:
    model.fit(X, Y, batch_size=2, epochs=3, shuffle=False, verbose=0, callbacks=list(callbacks))


def kernels(rows: Any) -> list[float]:
    return [float(value.item()) for _, value in rows]


#: How often is saved; batches that are then done when the eighth is interrupted. An epoch has four.
SAVED = {"epoch": 4, 3: 6}


@pytest.mark.parametrize("recorder_first", [True, False], ids=["recorder first", "backup first"])
@pytest.mark.parametrize("save_freq", SAVED)
def test_steps_continue_from_the_backup(save_freq: Any, recorder_first: bool, tmp_path: Path) -> None:
    sessions = []
    for session, interrupt_in in enumerate([8, None]):
        recorder = TrainingRecorder(tmp_path / str(session), **RECORDED)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)
        callbacks = [recorder, backup] if recorder_first else [backup, recorder]
        watching = Watching(interrupt_in)
        if interrupt_in:
            with pytest.raises(Interrupted):
                fit(line(), *callbacks, watching)
            recorder.close()
        else:
            fit(line(), *callbacks, watching)
        sessions.append(watching.kernels)
    first, second = recorded(tmp_path / "0"), recorded(tmp_path / "1")
    assert steps(first["batch/loss"]) == list(range(1, 8))
    assert steps(first["weights/dense/kernel"]) == list(range(8))
    assert kernels(first["weights/dense/kernel"]) == [1.0, *sessions[0]]
    # Keras begins the interrupted epoch again, at its first batch: two epochs of four batches are left.
    expected = list(range(SAVED[save_freq] + 1, SAVED[save_freq] + 9))
    for tag in ("batch/loss", "batch/epoch", "weights/dense/kernel", "gradients/dense/kernel/norm"):
        assert steps(second[tag]) == expected
    assert kernels(second["weights/dense/kernel"]) == sessions[1]
    assert kernels(second["batch/epoch"]) == [1] * 4 + [2] * 4
    assert steps(second["epoch/loss"]) == [1, 2]
    if save_freq == "epoch":  # nothing of the interruption is left
        whole = Watching()
        fit(line(), whole)
        assert sessions[1] == whole.kernels[4:]


@pytest.mark.parametrize("is_same_model", [True, False], ids=["same model", "new model"])
@pytest.mark.parametrize("first_batch", [None, 101])
def test_one_recorder_continues_from_the_backup(first_batch: int | None, is_same_model: bool, tmp_path: Path) -> None:
    model = line()
    recorder = TrainingRecorder(tmp_path / "run", first_batch=first_batch, **RECORDED)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(Interrupted):
        fit(model, recorder, backup, Watching(8))
    fit(model if is_same_model else line(), recorder, backup)
    start = first_batch or 1
    expected = [*range(start, start + 7), *range(start + 4, start + 12)]
    found = recorded(tmp_path / "run")
    assert steps(found["batch/loss"]) == steps(found["gradients/dense/kernel/norm"]) == expected


def test_batches_are_counted_and_not_updates(tmp_path: Path) -> None:
    for session, interrupt_in in enumerate([8, None]):
        recorder = TrainingRecorder(tmp_path / str(session))
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        if interrupt_in:
            with pytest.raises(Interrupted):
                fit(line(gradient_accumulation_steps=3), recorder, backup, Watching(interrupt_in))
            recorder.close()
        else:
            fit(line(gradient_accumulation_steps=3), recorder, backup)
    assert steps(recorded(tmp_path / "1")["batch/loss"]) == list(range(5, 13))


def test_steps_of_a_scaled_loss_continue(tmp_path: Path) -> None:
    def scaled() -> keras.Model:
        model = line()
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), "mse", jit_compile=False)
        return model

    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(Interrupted):
        fit(scaled(), backup, Watching(8))
    fit(scaled(), TrainingRecorder(tmp_path / "run"), backup)
    assert steps(recorded(tmp_path / "run")["batch/loss"]) == list(range(5, 13))


#: The same script twice, as a user runs it after the machine failed.
SCRIPT = """
    import os, sys
    import keras, numpy as np
    from tb2csv.recorders import TrainingRecorder

    class Failing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch
        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 1 and batch == 2 and sys.argv[2] == "fails":
                os._exit(9)

    x = np.ones((8, 1), np.float32)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="dense")], name="line")
    model.compile("adam", "mse")
    recorder = TrainingRecorder(sys.argv[1] + "/run", weights_every=1)
    backup = keras.callbacks.BackupAndRestore(sys.argv[1] + "/backup")
    model.fit(x, x, batch_size=2, epochs=2, verbose=0, callbacks=[recorder, backup, Failing()])
"""


def test_a_process_that_is_killed_and_started_again(tmp_path: Path) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for word, status in (("fails", 9), ("works", 0)):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), word]
        assert subprocess.run(command, env=environment, check=False).returncode == status
    found = recorded(tmp_path / "run")
    assert len(event_files(tmp_path / "run")) == 2
    assert steps(found["batch/loss"]) == [*range(1, 8), *range(5, 9)]
    assert steps(found["weights/line/dense/kernel"]) == [*range(8), *range(5, 9)]
    assert at(found["epoch/loss"], 1).ndim == 0
