"""The sample logs that TensorFlow and Keras write; see ``make_sample_logs.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = 20
STEPS: Final = 60


def make_tf2(folder: Path) -> None:
    """Write with ``tf.summary`` of TensorFlow 2: a small training run and a value of every kind."""
    keras.utils.set_random_seed(SEED)
    with tf.summary.create_file_writer(str(folder)).as_default():
        _train_with_gradients()
        _write_histograms()
        _write_texts()
        _write_media()
        _write_dtypes()
        for step, value in enumerate([0.5, np.nan, np.inf, -np.inf, 1.0]):
            tf.summary.scalar("not_finite", value, step=step)
        _write_graphs()


def _train_with_gradients() -> None:
    """Write loss, learning rate and, every tenth step, the gradient and weights of each layer."""
    model, inputs, targets = _regression()
    optimizer = keras.optimizers.SGD(0.1)
    for step in range(STEPS):
        optimizer.learning_rate = 0.1 * 0.97**step
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(inputs) - targets))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        tf.summary.scalar("loss", loss, step=step, description="Mean *squared* error.")
        tf.summary.scalar("learning_rate", optimizer.learning_rate, step=step)
        if step % 10 == 0:
            for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
                name = variable.path.removeprefix(f"{model.name}/")
                # No metadata: such a tensor belongs to no plugin, and no dashboard shows it.
                tf.summary.write(f"gradients/{name}", gradient, step=step)
                tf.summary.histogram(f"weights/{name}", variable, step=step)


def _write_histograms() -> None:
    """Write the histograms that need care: of a constant, of nothing, and with few buckets."""
    for step in range(3):
        tf.summary.histogram("histograms/constant", tf.fill([50], float(step)), step=step)
        tf.summary.histogram("histograms/empty", tf.zeros([0]), step=step)
        tf.summary.histogram("histograms/five_buckets", tf.random.normal([100], seed=SEED), step=step, buckets=5)


def _write_texts() -> None:
    """Write a text per step, and a vector of texts per step."""
    for step in range(3):
        tf.summary.text("notes", f'Step {step}: the *loss* fell, "as hoped".\nA second line.', step=step)
        tf.summary.text("notes/vector", ["first, with a comma", f"second of step {step}", "", "naïve ☃"], step=step)


def _write_media() -> None:
    """Write two 8x8 images and one clip of 20 ms for each of three steps."""
    rng = np.random.default_rng(SEED)
    for step in range(3):
        images = rng.integers(0, 256, size=(2, 8, 8, 3), dtype=np.uint8)
        tf.summary.image("pattern", images, step=step, max_outputs=2)
        tf.summary.audio("tone", _tone(440.0 * (step + 1)), 8000, step=step)


def _write_dtypes() -> None:
    """Write tensors of further element types, without metadata."""
    grid = np.arange(6).reshape(2, 3) / 4
    for step in range(3):
        tensors = {
            "int64": tf.constant(2**40 + step, tf.int64),
            "bool": tf.constant([True, False, step == 1]),
            "complex64": tf.constant([1 + 2j, step - 0.5j], tf.complex64),
            "float16": tf.constant(grid + step, tf.float16),
            "bfloat16": tf.constant(grid + step, tf.bfloat16),
            "float64": tf.constant(0.1 + step, tf.float64),
            "string": tf.constant(["a", f"step {step}", "c,d"]),
            "uint8": tf.constant([[0, 255, step]], tf.uint8),
            "no_elements": tf.zeros([0, 3]),
        }
        for name, tensor in tensors.items():
            tf.summary.write(f"dtypes/{name}", tensor, step=step)


def _write_graphs() -> None:
    """Write the graph of a function twice: by itself, and as the trace of a call."""

    @tf.function
    def double_and_add(x: tf.Tensor) -> tf.Tensor:
        return 2.0 * x + 1.0

    tf.summary.graph(double_and_add.get_concrete_function(tf.TensorSpec([2], tf.float32)).graph)
    tf.summary.trace_on(graph=True)
    double_and_add(tf.zeros([3]))
    tf.summary.trace_export("double_and_add", step=0)


def make_tf2_hparams(folder: Path) -> None:
    """Write with TensorFlow's hparams API: an experiment in the root run and two sessions with metrics.

    The first session writes its hyperparameters itself and never says that it ended; the second
    lets the Keras callback do both.
    """
    rate = hp.HParam("rate", hp.RealInterval(0.001, 1.0), display_name="learning rate")
    units = hp.HParam("units", hp.Discrete([2, 4]))
    shuffle = hp.HParam("shuffle", hp.Discrete([True, False]))
    optimizer = hp.HParam("optimizer", hp.Discrete(["adam", "sgd"]), description="Which *optimizer*.")
    metric = hp.Metric("evaluation/loss", display_name="loss")
    with tf.summary.create_file_writer(str(folder)).as_default():
        hp.hparams_config(hparams=[rate, units, shuffle, optimizer], metrics=[metric])

    writer = tf.summary.create_file_writer(str(folder / "session_0"))
    with writer.as_default():
        hp.hparams({rate: 0.1, units: 2, shuffle: True, optimizer: "sgd"}, trial_id="trial_0")
        for step in range(5):
            tf.summary.scalar("evaluation/loss", 1.0 / (step + 1), step=step)

    writer = tf.summary.create_file_writer(str(folder / "session_1"))
    model, inputs, targets = _regression()
    model.compile("adam", "mse")
    values = {rate: 0.01, units: 4, shuffle: False, optimizer: "adam"}
    model.fit(inputs, targets, verbose=0, callbacks=[hp.KerasCallback(writer, values, trial_id="trial_1")])
    with writer.as_default():
        for step in range(5):
            tf.summary.scalar("evaluation/loss", 0.5 / (step + 1), step=step)


def make_keras(folder: Path) -> None:
    """Write with Keras's TensorBoard callback: three epochs of four batches, with validation."""
    keras.utils.set_random_seed(SEED)
    model, inputs, targets = _regression()
    model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    callback = keras.callbacks.TensorBoard(str(folder), histogram_freq=1, update_freq=1, write_graph=True)
    model.fit(
        inputs,
        targets,
        batch_size=8,
        epochs=3,
        verbose=0,
        validation_data=(inputs[:8], targets[:8]),
        callbacks=[callback],
    )


def make_tf1(folder: Path) -> None:
    """Write with ``tf.compat.v1.summary.FileWriter``: many values in one event, and the legacy protos."""
    v1 = tf.compat.v1
    rng = np.random.default_rng(SEED)
    with tf.Graph().as_default() as graph, v1.Session() as session:
        step_input = v1.placeholder(tf.float32, [], name="step")
        images = v1.placeholder(tf.uint8, [2, 8, 8, 3], name="images")
        values = v1.placeholder(tf.float32, [50], name="samples")
        clip = v1.placeholder(tf.float32, [1, 160, 1], name="clip")
        scalars = v1.summary.merge(
            [v1.summary.scalar(f"part_{part}/loss", tf.exp(-step_input / (10.0 + part))) for part in range(5)]
        )
        rest = v1.summary.merge(
            [
                v1.summary.histogram("values", values),
                v1.summary.image("pattern", images, max_outputs=2),
                v1.summary.audio("tone", clip, sample_rate=8000),
                v1.summary.text("notes", tf.strings.join(["step ", tf.strings.as_string(step_input, precision=0)])),
                v1.summary.tensor_summary("tensor", tf.reshape(values[:6], [2, 3])),
            ]
        )
        with v1.summary.FileWriter(str(folder), graph) as writer:
            writer.add_session_log(v1.SessionLog(status=v1.SessionLog.START), 0)
            for step in range(30):
                writer.add_summary(session.run(scalars, {step_input: step}), step)
                if step % 10 == 0:
                    feed = {
                        step_input: step,
                        images: rng.integers(0, 256, size=(2, 8, 8, 3), dtype=np.uint8),
                        values: rng.normal(step, 1, 50),
                        clip: _tone(440.0 + 44.0 * step),
                    }
                    writer.add_summary(session.run(rest, feed), step)


def _regression() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Return a net of two layers, named the same every time, and 32 samples for it to fit."""
    inputs = np.random.default_rng(SEED).normal(size=(32, 3)).astype(np.float32)
    targets = inputs @ np.array([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]], np.float32)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "tanh", name="dense"), keras.layers.Dense(2, name="dense_1")],
        name="net",
    )
    return model, inputs, targets


def _tone(hertz: float) -> np.ndarray:
    """Return 20 ms of a sine at 8 kHz, shaped as a batch of one mono clip."""
    return (np.sin(2 * np.pi * hertz * np.arange(160) / 8000) / 2).astype(np.float32).reshape(1, 160, 1)
