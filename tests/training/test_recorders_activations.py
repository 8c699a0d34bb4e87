"""Outputs of layers in the forward passes of ``fit``, against models that output each layer."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from recordings import at, numpy_statistics, recorded, steps

import tb2csv
from tb2csv.errors import RecorderError
from tb2csv.recorders import RecorderWarning, TrainingRecorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(10, 4)).astype(np.float32)
Y = RANDOM.normal(size=(10, 2)).astype(np.float32)
BATCHES = [slice(0, 4), slice(4, 8), slice(8, 10)]

Outputs = dict[str, Any]


@pytest.fixture(autouse=True)
def _seed() -> None:
    keras.utils.set_random_seed(3)


def dense(units: int, name: str, activation: str | None = "tanh") -> keras.layers.Layer:
    return keras.layers.Dense(units, activation=activation, name=name)


def functional() -> tuple[keras.Model, Callable[[Any], Outputs]]:
    """A layer that is used twice, a model inside the model, and a layer with three outputs."""
    inside = keras.Input((3,))
    hidden = dense(3, "hidden")(inside)
    encoder = keras.Model(inside, keras.layers.BatchNormalization(name="norm")(hidden), name="encoder")
    inputs = keras.Input((4,))
    shared = dense(3, "shared", "relu")
    first = dense(4, "first")(inputs)
    uses = [shared(inputs), shared(first)]
    added = keras.layers.Add(name="add")(uses)
    encoded = encoder(added)
    sequence, *state = keras.layers.LSTM(2, return_state=True, name="lstm")(keras.ops.expand_dims(encoded, 1))
    last = dense(2, "last", None)(sequence)
    model = keras.Model(inputs, last, name="functional")
    outer = {"first": first, "shared#0": uses[0], "shared#1": uses[1], "add": added, "last": last}
    outer |= {"encoder": encoded, "lstm/0": sequence, "lstm/1": state[0], "lstm/2": state[1]}
    observer = keras.Model(inputs, outer)
    inner = keras.Model(encoder.input, {"encoder/hidden": hidden, "encoder/norm#0": encoder.output})

    def outputs(x: Any) -> Outputs:
        found = observer(x, training=True)
        return found | inner(found["add"], training=True)

    return model, outputs


class Subclassed(keras.Model):
    """A model whose middle is a tf.function."""

    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.first = dense(3, "first")
        self.middle = dense(3, "middle", "relu")
        self.last = dense(2, "last", None)

    @tf.function
    def through_middle(self, x: Any) -> Any:
        return self.middle(x) + x

    def call(self, x: Any) -> Any:
        return self.last(self.through_middle(self.first(x)))


def subclassed() -> tuple[keras.Model, Callable[[Any], Outputs]]:
    model = Subclassed()
    model(X)

    def outputs(x: Any) -> Outputs:
        (kernel, bias), (middle_kernel, middle_bias), (last_kernel, last_bias) = (
            layer.get_weights() for layer in (model.first, model.middle, model.last)
        )
        first = np.tanh(x @ kernel + bias)
        middle = np.maximum(first @ middle_kernel + middle_bias, 0)
        return {"first": first, "middle": middle, "last": (middle + first) @ last_kernel + last_bias}

    return model, outputs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "how"),
    [
        (functional, "graph"),
        (functional, "eager"),
        (subclassed, "xla"),
        (subclassed, "eager"),
        (subclassed, "several batches at one go"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_outputs_in_fit_are_those_of_each_batch(make: Any, how: str, tmp_path: Path) -> None:
    model, outputs = make()
    is_compiled = how == "xla"
    model.compile(
        keras.optimizers.SGD(0.0),
        "mse",
        run_eagerly=how == "eager",
        steps_per_execution=2 if how.startswith("several") else 1,
        jit_compile=is_compiled,
    )
    recorder = TrainingRecorder(
        tmp_path,
        activation_statistics_every=1,
        activations_every=None if is_compiled else 2,
        layer_errors_every=None if is_compiled else 3,
    )
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    for step, rows in enumerate(BATCHES * 2, 1):
        expected = {name: np.asarray(value) for name, value in outputs(X[rows]).items()}
        prefix = "activations/"
        norms = {tag for tag in found if tag.startswith(prefix) and tag.endswith("/norm")}
        assert {tag.removeprefix(prefix).removesuffix("/norm") for tag in norms} >= set(expected)
        for name, value in expected.items():
            for statistic, number in numpy_statistics(value).items():
                kept = float(at(found[f"{prefix}{name}/{statistic}"], step))
                assert kept == pytest.approx(number, rel=1e-4, abs=1e-6), (name, statistic)
            if step % 2 == 0 and not is_compiled:
                tensor = at(found[prefix + name], step)
                assert tensor.dtype == np.float32
                np.testing.assert_allclose(tensor, value, rtol=1e-5, atol=1e-6)
        assert int(at(found["batch/epoch"], step)) == (step - 1) // 3
    if not is_compiled:
        assert steps(found["activations/first"]) == [2, 4, 6]
        assert steps(found["layer_errors/first"]) == [3, 6]


def convolutional(*, is_compiled: bool = False) -> keras.Model:
    keras.utils.set_random_seed(11)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Dropout(0.3, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(2, name="dense"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=is_compiled)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "is_compiled"),
    [
        ({"activation_statistics_every": 1}, False),
        ({"activation_statistics_every": 1}, True),
        ({"activations_every": 2, "activation_histograms_every": 3}, False),
    ],
)
def test_weights_are_the_same_bits_without_the_recorder(
    options: dict[str, int], is_compiled: bool, tmp_path: Path
) -> None:
    images = np.random.default_rng(1).normal(size=(16, 6, 6, 1)).astype(np.float32)
    targets = np.random.default_rng(2).normal(size=(16, 2)).astype(np.float32)
    trained = []
    for callbacks in ([], [TrainingRecorder(tmp_path, **options)]):
        model = convolutional(is_compiled=is_compiled)
        model.fit(images, targets, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
        trained.append([weight.tobytes() for weight in model.get_weights()])
    assert trained[0] == trained[1]
    assert any(tag.startswith("activations/relu") for tag in recorded(tmp_path))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_outputs_in_mixed_precision_keep_their_dtype(policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        first = dense(3, "first")
        model = keras.Sequential([keras.Input((4,)), first, dense(2, "last", None)])
        model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
        recorder = TrainingRecorder(tmp_path, activations_every=1, activation_statistics_every=1)
        model.fit(X[:4], Y[:4], batch_size=4, shuffle=False, verbose=0, callbacks=[recorder])
        expected = first(X[:4]).numpy()
    finally:
        keras.config.set_dtype_policy("float32")
    found = recorded(tmp_path)
    tensor = at(found["activations/first"], 1)
    assert tensor.dtype.name == policy.removeprefix("mixed_")
    np.testing.assert_allclose(tensor.astype(np.float32), expected.astype(np.float32), rtol=2**-7)
    norm = float(at(found["activations/first/norm"], 1))
    assert norm == pytest.approx(np.linalg.norm(tensor.astype(np.float64)), rel=1e-5)


@pytest.mark.slow
def test_chosen_layers_and_histograms(tmp_path: Path) -> None:
    model, outputs = functional()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(tmp_path, activation_histograms_every=3, layers=["encoder/hidden"], batch_every=None)
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    assert {tag for tag in found if tag.startswith("activations")} == {"activations/encoder/hidden/histogram"}
    hidden = outputs(X[BATCHES[2]])["encoder/hidden"].numpy()
    buckets = at(found["activations/encoder/hidden/histogram"], 3)
    counts, edges = np.histogram(hidden.astype(np.float64), 30)
    np.testing.assert_array_equal(buckets[:, 2], counts)
    np.testing.assert_allclose(buckets[:, 0], edges[:-1], atol=1e-6)


class Generator(keras.Model):
    """A custom train step that calls one of its models twice, and not itself."""

    def __init__(self) -> None:
        super().__init__(name="gan")
        self.critic = keras.Sequential([keras.Input((4,)), dense(1, "score", None)], name="critic")
        self.counts = keras.layers.Lambda(lambda x: keras.ops.cast(x > 0, "complex64"), name="complex")
        self.built = True

    def call(self, x: Any) -> Any:
        return self.critic(x)

    def train_step(self, data: Any) -> Any:
        x, _ = data
        real, fake = self.critic(x), self.critic(-x)
        self.counts(x)
        return {"difference": keras.ops.mean(real - fake)}


def test_custom_train_step_and_outputs_that_are_not_real_numbers(tmp_path: Path) -> None:
    model = Generator()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(tmp_path, activations_every=1)
    with pytest.warns(RecorderWarning, match=r"activations/complex \(\d x complex64, in each step\)"):
        model.fit(X, Y, batch_size=10, verbose=0, shuffle=False, callbacks=[recorder])
    found = recorded(tmp_path)
    kernel, bias = model.critic.get_weights()
    np.testing.assert_allclose(at(found["activations/critic/score#0"], 1), X @ kernel + bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(at(found["activations/critic/score#1"], 1), bias - X @ kernel, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_long_training_keeps_every_step(tmp_path: Path) -> None:
    """More steps than are kept in memory, over two fits, and an epoch that ends with a smaller batch."""
    model, _ = subclassed()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(tmp_path, activation_statistics_every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, batch_size=1, epochs=7, verbose=0, callbacks=[recorder])
        model.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    for name in ("first", "middle", "last"):
        assert steps(found[f"activations/{name}/norm"]) == [*range(1, 74)]


def test_calls_in_a_loop_have_a_row_each(tmp_path: Path) -> None:
    class Repeating(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="repeating")
            self.halve = keras.layers.Rescaling(0.5, name="halve")
            self.last = dense(2, "last", None)

        def call(self, x: Any) -> Any:
            done = (tf.constant(0), x)
            return self.last(tf.while_loop(lambda i, _: i < 70, lambda i, x: (i + 1, self.halve(x)), done)[1])

    model = Repeating()
    model(X)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(tmp_path, activation_statistics_every=1)
    with pytest.warns(RecorderWarning, match=r"activations/halve \(5 x computed in a loop within a step\)"):
        model.fit(X, Y, batch_size=10, verbose=0, callbacks=[recorder])
    rows = recorded(tmp_path)["activations/halve/max"]
    expected = [X.max() / 2.0**call for call in range(6, 71)]
    np.testing.assert_allclose([value for _, value in rows], expected, rtol=1e-6)


@pytest.mark.slow
def test_diagnose_finds_saturated_outputs(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), dense(8, "flat"), dense(2, "last", None)])
    model.layers[0].set_weights([np.full((4, 8), 40, np.float32), np.zeros(8, np.float32)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(tmp_path, activations_every=1)
    model.fit(X, Y, batch_size=2, verbose=0, callbacks=[recorder])
    found = tb2csv.diagnose(tmp_path).findings
    assert ("saturated_outputs", "activations", "flat") in set(found.select("rule", "family", "layer").rows())


def test_unknown_layer_and_invalid_interval_are_refused(tmp_path: Path) -> None:
    model, _ = functional()
    model.compile("sgd", "mse")
    with pytest.raises(RecorderError, match="activation_statistics_every=0"):
        TrainingRecorder(tmp_path, activation_statistics_every=0)
    recorder = TrainingRecorder(tmp_path, activation_statistics_every=1, layers=["frist"])
    with pytest.raises(RecorderError, match="frist"):
        model.fit(X, Y, verbose=0, callbacks=[recorder])
