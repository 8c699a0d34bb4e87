"""Outputs of a layer as CSV tables: during the training, from a saved model, and from inside a tf.function.

python examples/recorded_outputs.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tb2csv
from tb2csv.recorders import PredictionRecorder, TrainingRecorder


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

    # From inside a tf.function: any tensor, under a tag of one's own.
    loop = TrainingRecorder(out / "logs" / "function")
    layer = model.get_layer("hidden")

    @tf.function
    def forward(step: tf.Tensor, batch: tf.Tensor) -> None:
        loop.tensors({"outputs/hidden": layer(batch)}, step)

    with loop.as_default():
        for step in (1, 2):
            forward(tf.constant(step, tf.int64), tf.constant(x[:step]))
    loop.close()

    # From a saved model: here only as far as the hidden layer.
    keras.Model(inputs, hidden).save(out / "hidden.keras")
    tb2csv.predict(out / "hidden.keras", x, out / "hidden.csv")

    tb2csv.convert(out / "logs", out / "tables")
    print(f"during the training: {out}/tables/training/tensors/predictions/sum.csv")
    print(f"from inside a tf.function: {out}/tables/function/tensors/outputs/hidden.csv")
    print(f"from a saved model: {out}/hidden.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
