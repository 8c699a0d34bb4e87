"""Any tensor within a tf.function, as a CSV table: python examples/recorded_in_function.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tb2csv
from tb2csv.recorders import TrainingRecorder


def main(out: Path) -> None:
    """Record what a layer makes of two batches, and write it into ``out``."""
    keras.utils.set_random_seed(1)
    layer = keras.layers.Dense(2, activation="tanh")
    recorder = TrainingRecorder(out / "logs" / "run")

    @tf.function
    def forward(step: tf.Tensor, batch: tf.Tensor) -> None:
        recorder.tensors({"outputs/hidden": layer(batch)}, step)

    batches = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)
    with recorder.as_default():
        for step, batch in enumerate(batches):
            forward(tf.constant(step, tf.int64), tf.constant(batch))
    np.savez(out / "layer.npz", kernel=layer.kernel, bias=layer.bias)
    tb2csv.convert(out / "logs", out / "tables")
    print(f"outputs of each step: {out}/tables/run/tensors/outputs/hidden.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
