"""Outputs of a model, during its training and from its file: python examples/recorded_outputs.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import tb2csv
from tb2csv.recorders import PredictionRecorder


def main(out: Path) -> None:
    """Train a small model, and write outputs of its hidden layer and of itself into ``out``."""
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(1).normal(size=(32, 3)).astype(np.float32)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(2, activation="tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="sum")(hidden))
    model.compile(keras.optimizers.SGD(0.1), "mse")

    # During the training: what the model says of four samples after each epoch.
    recorder = PredictionRecorder(x, log_dir=out / "logs" / "training", sample_size=4)
    model.fit(x, x.sum(axis=1), epochs=2, verbose=0, callbacks=[recorder])
    tb2csv.convert(out / "logs", out / "tables")

    # From a file: the hidden layer, as a model that ends there, and the whole.
    keras.Model(inputs, hidden).save(out / "hidden.keras")
    tb2csv.predict(out / "hidden.keras", x, out / "hidden.csv")
    model.save(out / "model.keras")
    tb2csv.predict(out / "model.keras", x, out / "sum.csv")
    print(f"during the training: {out}/tables/training/tensors/predictions/sum.csv")
    print(f"of the hidden layer: {out}/hidden.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
