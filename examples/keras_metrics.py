"""Metrics, learning rate and gradients of a Keras training, as CSV tables.

python examples/keras_metrics.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import tb2csv
from tb2csv.recorders import TrainingRecorder


def main(out: Path) -> None:
    """Train a small model for three epochs, and write tables of it into ``out``."""
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    x = random.normal(size=(96, 8)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)

    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="answer")(hidden))
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy"])

    # The one line: metrics of every batch and epoch, and seven numbers of every gradient.
    recorder = TrainingRecorder(out / "logs" / "run", gradient_statistics_every=1, gradients_every=6)
    model.fit(x, y, batch_size=16, epochs=3, shuffle=False, validation_split=0.25, verbose=0, callbacks=[recorder])
    tb2csv.convert(out / "logs", out / "tables")
    print(f"loss of each batch: {out}/tables/run/scalars/batch/loss.csv")
    print(f"loss of each epoch: {out}/tables/run/scalars/epoch/loss.csv")
    print(f"norm of a gradient: {out}/tables/run/scalars/gradients/hidden/kernel/norm.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
