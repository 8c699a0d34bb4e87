"""Metrics, weights and gradients of a training loop of one's own, as CSV tables.

python examples/custom_loop_metrics.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import tb2csv
from tb2csv.recorders import TrainingRecorder


def main(out: Path) -> None:
    """Fit a line to points, and write tables of how it went into ``out``."""
    x = tf.constant(np.linspace(-1, 1, 40), tf.float32)
    y = 2 * x + 1
    slope, offset = tf.Variable(0.0, name="slope"), tf.Variable(0.0, name="offset")
    recorder = TrainingRecorder(out / "logs" / "run", gradients_every=1, weights_every=1)

    @tf.function
    def train_step(step: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - (slope * x + offset)))
        gradients = tape.gradient(loss, [slope, offset])
        for variable, gradient in zip([slope, offset], gradients, strict=True):
            variable.assign_sub(0.5 * gradient)
        recorder.gradients(gradients, [slope, offset], step)
        recorder.weights([slope, offset], step)
        recorder.scalars({"loss": loss}, step)
        return loss

    with recorder.as_default():
        step = 0
        for epoch in range(3):
            losses = []
            for first in range(0, 40, 10):
                step += 1
                rows = slice(first, first + 10)
                losses.append(float(train_step(tf.constant(step, tf.int64), x[rows], y[rows])))
                recorder.scalars({"epoch": epoch}, step)
            recorder.scalars({"loss": np.mean(losses)}, epoch, unit="epoch")
    recorder.close()

    tb2csv.convert(out / "logs", out / "tables")
    print(f"loss of each step: {out}/tables/run/scalars/batch/loss.csv")
    print(f"loss of each epoch: {out}/tables/run/scalars/epoch/loss.csv")
    print(f"gradients of each step: {out}/tables/run/tensors/gradients/slope.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
