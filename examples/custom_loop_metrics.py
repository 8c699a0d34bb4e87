"""Metrics, weights and gradients of a training loop of one's own: python examples/custom_loop_metrics.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

import tb2csv
from tb2csv.recorders import TrainingRecorder


def main(out: Path) -> None:
    """Fit a line to points, and write tables of how it went into ``out``."""
    points = tf.linspace(-1.0, 1.0, 40)
    line = [tf.Variable(0.0, name="slope"), tf.Variable(0.0, name="offset")]
    recorder = TrainingRecorder(out / "logs" / "run", gradients_every=1, weights_every=1)

    @tf.function
    def train_step(step: tf.Tensor, x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(2 * x + 1 - (line[0] * x + line[1])))
        gradients = tape.gradient(loss, line)
        for variable, gradient in zip(line, gradients, strict=True):
            variable.assign_sub(0.5 * gradient)
        recorder.gradients(gradients, line, step)
        recorder.weights(line, step)
        recorder.scalars({"loss": loss}, step)

    with recorder.as_default():
        for step in range(1, 13):
            train_step(tf.constant(step, tf.int64), points[(step - 1) % 4 * 10 :][:10])
    tb2csv.convert(out / "logs", out / "tables")
    print(f"loss of each step: {out}/tables/run/scalars/batch/loss.csv")
    print(f"gradients of each step: {out}/tables/run/tensors/gradients/slope.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
