"""Models with train steps of their own on JAX, each trained with and without a recorder.

Its argument is a new folder for ``result.json`` and the logs. The environment has KERAS_BACKEND=jax.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from tb2csv.recorders import RecorderWarning, TrainingRecorder

EVERYTHING: Any = {"gradients_every": 1, "activations_every": 1, "layer_errors_every": 1}


class Own(keras.Model):  # type: ignore[misc] # Keras ships no types
    """Differentiates a function of its own, which returns other results than Keras'."""

    def compute_loss_and_updates(self, trained: Any, untrained: Any, x: Any, y: Any) -> Any:
        predictions, untrained = self.stateless_call(trained, untrained, x, training=True)
        return self.compute_loss(x, y, predictions), untrained

    def train_step(self, state: Any, data: Any) -> Any:
        trained, untrained, optimizer, metrics = state
        differentiate = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, updated), gradients = differentiate(trained, untrained, *data)
        trained, optimizer = self.applied(optimizer, gradients, trained)
        return {"loss": loss}, (trained, self.kept(untrained, updated), optimizer, metrics)

    def applied(self, optimizer: Any, gradients: Any, trained: Any) -> Any:
        return self.optimizer.stateless_apply(optimizer, gradients, trained)

    def kept(self, given: Any, updated: Any) -> Any:
        return updated


class Dropping(Own):
    """Drops the variables that are not trained."""

    def kept(self, given: Any, updated: Any) -> Any:
        return given


class ByHand(Own):
    """Changes the weights without an optimizer."""

    def applied(self, optimizer: Any, gradients: Any, trained: Any) -> Any:
        return [value - 0.1 * gradient for value, gradient in zip(trained, gradients, strict=True)], optimizer


class Counting(Own):
    """Takes exactly the variables of its two layers."""

    def train_step(self, state: Any, data: Any) -> Any:
        _, _, _, _ = state[0]
        return super().train_step(state, data)


def trained(kind: type[Any], *callbacks: Any) -> list[Any]:
    """Return the weights after a training of two epochs."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    hidden = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(4, name="hidden")(inputs))
    model = kind(inputs, keras.layers.Dense(1, name="last")(hidden))
    model.get_layer("norm").gamma.trainable = model.get_layer("norm").beta.trainable = False
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(8, size)).astype(np.float32) for size in (3, 1))
    model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
    weights: list[Any] = model.get_weights()
    return weights


def main(out: Path) -> None:
    result = {}
    for kind in (keras.Model, Own, Dropping, ByHand, Counting):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            recorder = TrainingRecorder(out / kind.__name__, **EVERYTHING)
            weights = trained(kind, recorder)
            recorder.close()
        result[kind.__name__] = {
            "is_equal": all(np.array_equal(one, other) for one, other in zip(weights, trained(kind), strict=True)),
            "warnings": [str(each.message) for each in caught if issubclass(each.category, RecorderWarning)],
        }
    (out / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
