"""Gradients and layer errors that a recorder writes on JAX, compared with those of jax.grad and of central differences.

Its argument is a new folder for ``result.json`` and the logs. The environment has KERAS_BACKEND=jax, JAX_ENABLE_X64=1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
from recordings import at, recorded

from tb2csv.recorders import TrainingRecorder

#: Steps of central differences: the error of the quotient is about its square.
STEP = 1e-5


class Shift(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Adds a constant to its input: the derivative by the constant is the error of the layer before."""

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(shape=(4, *shape[1:]), initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        return inputs + self.shift


# The activations are JAX's, because Keras computes some of its own in float32.


def dense(inputs: Any) -> Any:
    return Shift(name="shift")(keras.layers.Dense(3, activation=jax.numpy.tanh, name="probed")(inputs))


def conv(inputs: Any) -> Any:
    hidden = keras.layers.Reshape((4, 3, 1))(inputs)
    return Shift(name="shift")(keras.layers.Conv2D(2, 2, activation=jax.numpy.tanh, name="probed")(hidden))


def lstm(inputs: Any) -> Any:
    layer = keras.layers.LSTM(3, activation=jax.numpy.tanh, recurrent_activation=jax.nn.sigmoid, name="probed")
    return Shift(name="shift")(layer(keras.layers.Reshape((4, 3))(inputs)))


def attention(inputs: Any) -> Any:
    hidden = keras.layers.Reshape((4, 3))(inputs)
    return Shift(name="shift")(keras.layers.MultiHeadAttention(2, 2, name="probed")(hidden, hidden))


def residual(inputs: Any) -> Any:
    hidden = keras.layers.Dense(12, activation=jax.numpy.tanh, name="inner")(inputs)
    return Shift(name="shift")(keras.layers.Add(name="probed")([inputs, hidden]))


def shared(inputs: Any) -> Any:
    layer = keras.layers.Dense(12, activation=jax.numpy.tanh, name="probed")
    return layer(Shift(name="shift")(layer(inputs)))


def nested(inputs: Any) -> Any:
    deep = keras.layers.Dense(5, activation=jax.numpy.tanh, name="deep")
    return Shift(name="shift")(keras.Sequential([keras.Input(batch_shape=(4, 12)), deep], name="probed")(inputs))


NETWORKS = (dense, conv, lstm, attention, residual, shared, nested)


def compare(folder: Path, build: Any) -> dict[str, float]:
    """Return the largest differences, relative to the largest number, from each oracle."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input(batch_shape=(4, 12))
    outputs = keras.layers.Dense(2, name="last")(keras.layers.Flatten()(build(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    random = np.random.default_rng(0)
    x, y = random.normal(size=(4, 12)), random.normal(size=(4, 2))
    trained = [jax.numpy.array(each.value) for each in model.trainable_variables]
    fixed = [jax.numpy.array(each.value) for each in model.non_trainable_variables]
    names = [each.path for each in model.trainable_variables]
    (place,) = (at for at, each in enumerate(model.non_trainable_variables) if each.path.startswith("shift/"))

    @jax.jit
    def loss(trained: Any, shift: Any) -> Any:
        others = [*fixed[:place], shift, *fixed[place + 1 :]]
        predicted, _ = model.stateless_call(trained, others, x, training=True)
        return jax.numpy.mean(jax.numpy.square(predicted - y))

    by_grad = jax.grad(loss, argnums=(0, 1))(trained, fixed[place])

    def difference(move: Any, array: Any) -> Any:
        numbers = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            up, down = (float(move(array.at[index].add(step))) for step in (STEP, -STEP))
            numbers[index] = (up - down) / (2 * STEP)
        return numbers

    by_difference = (
        [
            difference(lambda moved, at=number: loss([*trained[:at], moved, *trained[at + 1 :]], fixed[place]), each)
            for number, each in enumerate(trained)
        ],
        difference(lambda moved: loss(trained, moved), fixed[place]),
    )

    recorder = TrainingRecorder(folder, gradients_every=1, gradient_statistics_every=1, layer_errors_every=1)
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(folder)
    gradients = [at(found[f"gradients/{name}"], 1) for name in names]
    layer = "probed#0" if "layer_errors/probed#0" in found else "probed"
    error = at(found[f"layer_errors/{layer}"], 1)
    result = {"is_float64": float(all(each.dtype == np.float64 for each in (*gradients, error)))}
    for oracle, (expected, expected_error) in (("grad", by_grad), ("difference", by_difference)):
        pairs = [*zip(gradients, expected, strict=True), (error, np.reshape(expected_error, error.shape))]
        # The bias of an attention's keys has a gradient of 0.
        largest = max(float(np.abs(other).max()) for _, other in pairs)
        result[oracle] = max(float(np.abs(one - other).max()) for one, other in pairs) / largest
    return result


if __name__ == "__main__":
    out = Path(sys.argv[1])
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    results = {build.__name__: compare(out / build.__name__, build) for build in NETWORKS}
    (out / "result.json").write_text(json.dumps(results), encoding="utf-8")
