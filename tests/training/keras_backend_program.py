"""A training with recorders on the backend that KERAS_BACKEND names, in a process of its own.

python tests/training/keras_backend_program.py OUT
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np

import tb2csv
from tb2csv.recorders import (
    PredictionRecorder,
    RecorderError,
    RecorderWarning,
    TrainingRecorder,
    layer_mse,
    record_layer_errors,
)

WEIGHTS = {"weights_every": 1, "weight_statistics_every": 2, "weight_histograms_every": 3}
INSIDE: Any = {
    "gradients_every": 1,
    "gradient_statistics_every": 2,
    "activations_every": 1,
    "activation_statistics_every": 2,
    "layer_errors_every": 2,
}
SCALED: Any = {
    "gradients_every": 1,
    "gradient_statistics_every": 1,
    "activation_statistics_every": 1,
    "layer_errors_every": 1,
}


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    return random.normal(size=(10, 3)).astype(np.float32), random.normal(size=(10, 1)).astype(np.float32)


def network(dtype: str = "float32", **compiled: Any) -> Any:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden", dtype=dtype)(inputs)
    same = keras.layers.Activation("linear", name="same", dtype=dtype)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="last", dtype=dtype)(same))
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.05])
    model.compile(**{"optimizer": keras.optimizers.SGD(rate), "loss": "mse", **compiled})
    return model


def fit(model: Any, *callbacks: Any) -> Any:
    x, y = data()
    return model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))


def refusal(call: Any) -> str:
    try:
        call()
    except RecorderError as error:
        return str(error)
    return ""


def branching(folder: Path) -> dict[str, Any]:
    """Train a model that applies its gradients in a branch of the compiled step, with and without a recorder."""
    import jax

    class Branching(keras.Model):  # type: ignore[misc] # Keras ships no types
        def train_step(self, state: Any, data: Any) -> Any:
            step = super().train_step
            return jax.lax.cond(jax.numpy.ones(()) > 0, lambda: step(state, data), lambda: step(state, data))

    models = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for callbacks in ([], [TrainingRecorder(folder, gradients_every=2)]):
            plain = network()
            model = Branching(plain.input, plain.output)
            model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
            fit(model, *callbacks)
            models.append(model.get_weights())
    pairs = zip(*models, strict=True)
    return {
        "is_equal": all((one == other).all() for one, other in pairs),
        "warnings": [str(each.message) for each in caught if issubclass(each.category, RecorderWarning)],
    }


def scaled(out: Path) -> bool:
    """Train with a scaled loss, of which the second batch overflows; return whether recorders change nothing."""
    x, y = data()
    y[4] = 1e38  # in the second batch
    weights = []
    for recorder in ([], [TrainingRecorder(out / "scaled", **SCALED)]):
        inner = keras.optimizers.SGD(0.1, clipvalue=0.25)
        model = network(optimizer=keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0))
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=recorder)
        weights.append(model.get_weights())
    fixed = network(optimizer=keras.optimizers.SGD(0.1, loss_scale_factor=8.0))
    fit(fixed, TrainingRecorder(out / "fixed", layer_errors_every=1, gradients_every=1))
    return all((one == other).all() for one, other in zip(*weights, strict=True))


class Failing(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Fails at one of the points at which Keras calls it."""

    def __init__(self, point: str) -> None:
        super().__init__()
        setattr(self, point, self.fail)

    def fail(self, *_: Any, **__: Any) -> None:
        raise KeyboardInterrupt


def failing(out: Path) -> dict[str, bool]:
    """Return whether Keras' own train function runs after a fit failed, by the point at which it did."""
    found = {}
    for point in ("on_train_batch_begin", "on_train_batch_end", "on_epoch_end"):
        model = network()
        recorder = TrainingRecorder(out / point, **INSIDE)
        with contextlib.suppress(KeyboardInterrupt):
            fit(model, recorder, Failing(point))
        is_own = not hasattr(model.train_function, "announce")
        fit(model)
        recorder.close()
        found[point] = is_own and not hasattr(model.train_function, "announce")
    return found


class Interrupting(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            raise KeyboardInterrupt


def interrupted(*callbacks: Any) -> Any:
    """Return a model whose first training was interrupted, and whose second one has no recorder."""
    model = network()
    with contextlib.suppress(KeyboardInterrupt):
        fit(model, *callbacks, Interrupting())
    fit(model)
    return model


def unusual(out: Path) -> dict[str, Any]:
    """Train without XLA, with a frozen layer and NaN, and after an interruption; return what that changed."""
    x, y = data()
    without_xla = network(jit_compile=False)
    fit(without_xla, TrainingRecorder(out / "without_xla", **INSIDE))
    frozen = network()
    frozen.get_layer("hidden").trainable = False
    frozen.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    x[4] = np.nan  # in the second batch
    frozen.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[TrainingRecorder(out / "nan", **INSIDE)])
    model, bare = interrupted(TrainingRecorder(out / "interrupted", **INSIDE)), interrupted()
    pairs = zip(model.get_weights(), bare.get_weights(), strict=True)
    return {
        "is_equal": all((one == other).all() for one, other in pairs),
        "has_original_step": not hasattr(model.train_function, "announce"),
    }


def main(out: Path) -> None:
    torch = keras.backend.backend() == "torch"
    model = network()
    history = fit(model, TrainingRecorder(out / "fit", **WEIGHTS, **INSIDE))
    bare = network()
    fit(bare)
    pairs = zip(model.get_weights(), bare.get_weights(), strict=True)
    result: dict[str, Any] = {
        "history": {name: list(map(float, numbers)) for name, numbers in history.history.items()},
        "is_equal": all((one == other).all() for one, other in pairs),
        "has_original_step": not hasattr(model.train_function, "announce"),
    }

    recorder = TrainingRecorder(out / "resumed", batch_every=1)
    fit(model, recorder)  # the optimizer has done 6 batches
    x, y = data()
    model.fit(x, y, verbose=0, callbacks=[recorder])
    recorder.close()

    half = network("bfloat16")
    fit(half, TrainingRecorder(out / "half", weights_every=6))

    with TrainingRecorder(out / "loop", gradients_every=1, weights_every=2).as_default() as loop:
        for step in (1, 2):
            gradients = [keras.ops.ones(each.shape) * step for each in model.trainable_variables]
            loop.gradients(gradients, model.trainable_variables, step)
            loop.weights(model, keras.ops.convert_to_tensor(step))
            loop.scalars({"loss": keras.ops.convert_to_tensor(0.5)}, step)
            loop.tensors({"tensor": keras.ops.arange(3), "half": keras.ops.ones(2, "bfloat16")}, step)
            loop.histograms({"histogram": keras.ops.arange(4)}, step)
        result["refused_loss"] = refusal(
            lambda: record_layer_errors(model, x, y, keras.losses.MeanSquaredError(), step=1)
        )
        result["refused_mse"] = refusal(lambda: layer_mse(x, x))
    loop.close()

    fit(model, PredictionRecorder(x, y, log_dir=out / "predictions", every_epochs=2))
    np.save(out / "predicted.npy", model.predict(x, verbose=0))
    tb2csv.predict(model, x, out / "predictions.csv")

    result["is_scaled_equal"] = scaled(out)
    result["fails"] = failing(out / "fails")
    result["refused_twice"] = refusal(
        lambda: fit(
            network(),
            TrainingRecorder(out / "first", gradients_every=1),
            TrainingRecorder(out / "second", gradients_every=1),
        )
    )
    if torch:
        compiled = network(jit_compile=True)
        result["refused"] = refusal(lambda: fit(compiled, TrainingRecorder(out / "refused", gradients_every=1)))
    else:
        with mock.patch.object(keras, "__version__", "3.11.3"):
            result["refused"] = refusal(lambda: fit(network(), TrainingRecorder(out / "refused", gradients_every=1)))
        several = network(steps_per_execution=2)
        fit(several, TrainingRecorder(out / "several", weights_every=1, gradients_every=1, layer_errors_every=3))
        result["several"] = [each.tolist() for each in several.get_weights()]
        eager = network(run_eagerly=True)
        fit(eager, TrainingRecorder(out / "eager", **INSIDE))
        accumulating = network(optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
        fit(accumulating, TrainingRecorder(out / "accumulating", gradients_every=1))
        result["branching"] = branching(out / "branching")
        result["interrupted"] = unusual(out)
    (out / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    assert os.environ["KERAS_BACKEND"] != "tensorflow"
    warnings.simplefilter("error", UserWarning)
    main(Path(sys.argv[1]))
