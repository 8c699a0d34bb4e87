"""Gradients recorded in ``model.fit`` are those that the optimizer applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from recordings import at, numpy_statistics, recorded, steps

from tb2csv.errors import RecorderError
from tb2csv.recorders import TrainingRecorder
from tb2csv.recorders.optimizers import UPDATE_METHOD
from tb2csv.recorders.tensor_statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import Rows

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(20, 6, 6, 1))
Y = RANDOM.normal(size=(20, 2))


def shared_and_nested() -> keras.Model:
    """Conv2D, Dense, Add, a layer that is used twice, and a model in a model."""
    inner = keras.Sequential([keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(3)], name="inner")
    shared = keras.layers.Dense(3, activation="sigmoid", name="shared")
    inputs = keras.Input((6, 6, 1))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="tanh", name="conv")(inputs))
    left = inner(flat)
    right = keras.layers.Dense(3, name="right")(flat)
    added = keras.layers.Add(name="add")([shared(left), shared(right)])
    return keras.Model(inputs, keras.layers.Dense(2, name="last")(added), name="net")


@pytest.fixture(name="float64")
def _float64() -> Any:
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(3)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def tape_gradients(model: keras.Model, x: Any, y: Any) -> dict[str, Any]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    return {v.path: tf.convert_to_tensor(g).numpy() for v, g in zip(model.trainable_variables, gradients, strict=True)}


def finite_difference(loss: Callable[[], float], variable: Any, index: tuple[int, ...]) -> float:
    """Return the derivative of a loss by one element, from four values of the loss."""
    original = variable.numpy()
    width = 1e-3

    def at_offset(offset: float) -> float:
        moved = original.copy()
        moved[index] += offset
        variable.assign(moved)
        return loss()

    try:
        near = at_offset(width) - at_offset(-width)
        far = at_offset(2 * width) - at_offset(-2 * width)
    finally:
        variable.assign(original)
    return (8 * near - far) / (12 * width)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("how", ["graph", "xla", "eager", "several batches at one go"])
def test_against_gradient_tape_and_finite_differences(how: str, tmp_path: Path) -> None:
    model = shared_and_nested()
    model.compile(
        keras.optimizers.SGD(0.0),
        "mse",
        jit_compile=how == "xla",
        run_eagerly=how == "eager",
        steps_per_execution=4 if how.startswith("several") else 1,
    )
    recorder = TrainingRecorder(tmp_path, gradients_every=1, gradient_statistics_every=1)
    model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    variables = {variable.path: variable for variable in model.trainable_variables}
    for number, rows in enumerate([slice(0, 8), slice(8, 16), slice(16, 20)], 1):
        expected = tape_gradients(model, X[rows], Y[rows])

        def loss(rows: slice = rows) -> float:
            return float(tf.reduce_mean(tf.square(Y[rows] - model(X[rows]))))

        assert len(expected) == len(variables) == 12
        for path, gradient in expected.items():
            for step in (number, number + 3):
                value = at(found[f"gradients/{path}"], step)
                assert value.dtype == np.float64
                np.testing.assert_allclose(value, gradient, rtol=1e-9, atol=1e-15)
                statistics = numpy_statistics(gradient)
                for name in STATISTICS:
                    got = float(at(found[f"gradients/{path}/{name}"], step))
                    assert got == pytest.approx(statistics[name], rel=1e-5, abs=1e-8)
            index = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
            difference = finite_difference(loss, variables[path], index)
            assert value[index] == pytest.approx(difference, rel=1e-6)
    assert sorted((step, int(value)) for step, value in found["batch/epoch"]) == [
        *((step, 0) for step in (1, 2, 3)),
        *((step, 1) for step in (4, 5, 6)),
    ]


def one_weight(optimizer: Any, **compiled: Any) -> keras.Model:
    """A model with the gradient 2 * mean(x * (w * x - y)), which numpy can do."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="dense")
    model = keras.Sequential([keras.Input((1,)), layer], name="line")
    model.compile(optimizer, "mse", jit_compile=False, **compiled)
    return model


LINE_X = np.arange(1, 9, dtype=np.float32)[:, np.newaxis]
LINE_Y = np.zeros((8, 1), np.float32)


def fit_line(model: keras.Model, recorder: TrainingRecorder, batch_size: int = 2) -> None:
    model.fit(LINE_X, LINE_Y, batch_size=batch_size, shuffle=False, verbose=0, callbacks=[recorder])


def pairs(rows: Rows) -> list[tuple[int, float]]:
    return [(step, value.item()) for step, value in rows]


def approximately(expected: list[tuple[int, float]]) -> list[tuple[int, Any]]:
    return [(step, pytest.approx(value, rel=1e-5)) for step, value in expected]


TAG = "gradients/line/dense/kernel"


def line_gradient(first: int, weight: float = 1.0) -> float:
    pair = LINE_X[first : first + 2, 0]
    return float(np.mean(2 * pair * pair * weight))


@pytest.mark.parametrize(
    ("clipping", "expected"), [({"clipnorm": 1.5}, 1.5), ({"global_clipnorm": 2.0}, 2.0), ({"clipvalue": 0.5}, 0.5)]
)
def test_gradients_are_recorded_as_clipped(clipping: dict[str, float], expected: float, tmp_path: Path) -> None:
    fit_line(one_weight(keras.optimizers.SGD(0.0, **clipping)), TrainingRecorder(tmp_path, gradients_every=1))
    values = [value.item() for _, value in recorded(tmp_path)[TAG]]
    assert values == pytest.approx([expected] * 4)


def test_accumulated_gradients_are_recorded_when_they_are_applied(tmp_path: Path) -> None:
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    recorder = TrainingRecorder(tmp_path, gradients_every=1, gradient_statistics_every=1)
    fit_line(one_weight(optimizer), recorder)
    found = recorded(tmp_path)
    expected = [(2, (line_gradient(0) + line_gradient(2)) / 2), (4, (line_gradient(4) + line_gradient(6)) / 2)]
    assert pairs(found[TAG]) == approximately(expected)
    assert pairs(found[f"{TAG}/mean"]) == approximately(expected)


@pytest.mark.parametrize("scaling", ["dynamic", "fixed"])
def test_scaled_losses_give_unscaled_gradients_and_layer_errors(scaling: str, tmp_path: Path) -> None:
    if scaling == "dynamic":
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0), initial_scale=1024.0)
    else:
        optimizer = keras.optimizers.SGD(0.0, loss_scale_factor=64.0)
    fit_line(one_weight(optimizer), TrainingRecorder(tmp_path, gradients_every=1, layer_errors_every=1))
    found = recorded(tmp_path)
    assert [value.item() for _, value in found[TAG]] == pytest.approx([line_gradient(first) for first in (0, 2, 4, 6)])
    errors = np.concatenate([value for _, value in found["layer_errors/dense"]])
    np.testing.assert_allclose(errors, LINE_X, rtol=1e-6)  # 2 * (w x - y) / batch, of a batch of two


def test_a_step_that_loss_scaling_skips_has_no_gradient(tmp_path: Path) -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0), initial_scale=2.0**125)
    fit_line(one_weight(optimizer), TrainingRecorder(tmp_path, gradients_every=1, batch_every=1))
    found = recorded(tmp_path)
    assert steps(found["batch/loss"]) == [1, 2, 3, 4]
    assert 0 < len(found[TAG]) < 4
    for step, value in found[TAG]:
        assert value.item() == pytest.approx(line_gradient(2 * (step - 1)))


def test_mixed_precision_records_float32_gradients(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = one_weight(keras.optimizers.SGD(0.0))
    finally:
        keras.config.set_dtype_policy("float32")
    recorder = TrainingRecorder(tmp_path, gradients_every=1, layer_errors_every=4)
    model.fit(LINE_X / 64, LINE_Y, batch_size=2, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    assert {value.dtype for _, value in (*found[TAG], *found["layer_errors/dense"])} == {np.dtype(np.float32)}
    for step, value in found[TAG]:
        assert value.item() == pytest.approx(line_gradient(2 * (step - 1)) / 64**2, rel=1e-2)
    np.testing.assert_allclose(at(found["layer_errors/dense"], 4), LINE_X[6:] / 64, rtol=1e-3)


def test_embeddings_are_recorded_as_whole_tensors(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,), dtype="int32"), keras.layers.Embedding(5, 3, name="rows")], name="net")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(tmp_path, gradients_every=1, gradient_statistics_every=1)
    x, y = np.array([[1, 1], [3, 1]], np.int32), np.ones((2, 2, 3), np.float32)
    model.fit(x, y, verbose=0, callbacks=[recorder])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(x)))
    rows = tape.gradient(loss, model.trainable_variables[0].value)
    expected = tf.convert_to_tensor(rows).numpy()
    found = recorded(tmp_path)
    np.testing.assert_allclose(at(found["gradients/net/rows/embeddings"], 1), expected, rtol=1e-6)
    assert float(at(found["gradients/net/rows/embeddings/zero_share"], 1)) == pytest.approx(3 / 5)


class TwoOptimizers(keras.Model):
    """As a GAN has it: two parts, an optimizer for each, one of which takes two steps in each batch."""

    def __init__(self) -> None:
        super().__init__(name="pair")
        self.first = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="first")
        self.second = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="second")
        self.other = keras.optimizers.SGD(0.0, name="other")

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean(tf.square(y - self(x)))
        first = tape.gradient(loss, self.first.trainable_variables)
        second = tape.gradient(loss, self.second.trainable_variables)
        self.optimizer.apply_gradients(zip(first, self.first.trainable_variables, strict=True))
        self.other.apply_gradients(zip(second, self.second.trainable_variables, strict=True))
        doubled = [2 * gradient for gradient in second]
        self.other.apply_gradients(zip(doubled, self.second.trainable_variables, strict=True))
        return {"loss": loss}


def test_every_optimizer_of_a_custom_train_step_is_recorded(tmp_path: Path) -> None:
    model = TwoOptimizers()
    model.compile(keras.optimizers.SGD(0.0, name="main"))
    fit_line(model, TrainingRecorder(tmp_path, gradients_every=2, gradient_statistics_every=1))
    found = recorded(tmp_path)
    second, fourth = line_gradient(2), line_gradient(6)
    assert pairs(found["gradients/pair/first/kernel"]) == approximately([(2, second), (4, fourth)])
    assert sorted(pairs(found["gradients/pair/second/kernel"])) == approximately(
        [(2, second), (2, 2 * second), (4, fourth), (4, 2 * fourth)]
    )
    assert len(found["gradients/pair/second/kernel/norm"]) == 8
    assert {"batch/learning_rate/main", "batch/learning_rate/other"} <= set(found)


def test_more_steps_than_the_queue_holds_are_recorded(tmp_path: Path) -> None:
    model = one_weight(keras.optimizers.SGD(0.0), steps_per_execution=7)
    x = np.repeat(np.arange(1, 151, dtype=np.float32), 1)[:, np.newaxis]
    recorder = TrainingRecorder(tmp_path, gradient_statistics_every=1, gradients_every=3, batch_every=None)
    model.fit(x, np.zeros_like(x), batch_size=1, epochs=1, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    expected = [(step, 2.0 * step * step) for step in range(1, 151)]
    assert pairs(found[f"{TAG}/mean"]) == expected
    assert pairs(found[TAG]) == expected[2::3]
    assert sorted(steps(found["batch/epoch"])) == list(range(1, 151))


def test_the_model_keeps_no_trace_of_the_recorder(tmp_path: Path) -> None:
    model = one_weight(keras.optimizers.SGD(0.01))
    x, y = LINE_X, LINE_Y
    model.fit(x, y, verbose=0)
    original = model.train_function
    before = (set(vars(model)), set(vars(model.optimizer)), {id(layer): set(vars(layer)) for layer in model.layers})
    recorder = TrainingRecorder(tmp_path, gradients_every=1, layer_errors_every=1)
    fit_line(model, recorder)
    assert model.train_function is original
    assert (set(vars(model)), set(vars(model.optimizer))) == before[:2]
    assert {id(layer): set(vars(layer)) for layer in model.layers} == before[2]


def test_a_second_fit_continues_the_count_without_retracing(tmp_path: Path) -> None:
    traces = []

    class Traced(keras.Sequential):
        def train_step(self, data: Any) -> Any:
            traces.append(1)
            return super().train_step(data)

    model = Traced([keras.Input((1,)), keras.layers.Dense(1, name="dense")], name="line")
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    recorder = TrainingRecorder(tmp_path, gradients_every=1)
    fit_line(model, recorder)
    count = len(traces)
    fit_line(model, recorder)
    assert len(traces) == count
    found = recorded(tmp_path)
    assert steps(found[TAG]) == steps(found["batch/loss"]) == list(range(1, 9))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    fit_line(model, recorder)
    assert steps(recorded(tmp_path)[TAG]) == list(range(1, 13))


def test_training_gives_the_same_weights_with_and_without_a_recorder(tmp_path: Path) -> None:
    def trained(callbacks: list[Any]) -> list[Any]:
        keras.utils.set_random_seed(11)
        model = shared_and_nested()
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
        model.fit(X.astype(np.float32), Y.astype(np.float32), batch_size=4, epochs=3, verbose=0, callbacks=callbacks)
        return [weight.numpy() for weight in model.weights]

    every = {"gradients_every": 1, "gradient_histograms_every": 2, "gradient_statistics_every": 1}
    recorder = TrainingRecorder(tmp_path, weights_every=2, layer_errors_every=2, **every)
    for bare, seen in zip(trained([]), trained([recorder]), strict=True):
        np.testing.assert_array_equal(bare, seen)


def test_a_distribution_strategy_is_refused_for_gradients_and_not_for_metrics(tmp_path: Path) -> None:
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        model = one_weight(keras.optimizers.SGD(0.0))
    with pytest.raises(RecorderError, match="MirroredStrategy"):
        fit_line(model, TrainingRecorder(tmp_path, gradient_statistics_every=1))
    fit_line(model, TrainingRecorder(tmp_path, weights_every=1))
    assert steps(recorded(tmp_path)["weights/line/dense/kernel"]) == [0, 1, 2, 3, 4]


def test_an_optimizer_without_the_update_method_is_refused(tmp_path: Path) -> None:
    class Foreign:
        name = "foreign"

    model = one_weight(keras.optimizers.SGD(0.0))
    model.optimizer = Foreign()
    assert not hasattr(model.optimizer, UPDATE_METHOD)
    with pytest.raises(RecorderError, match="Foreign"):
        fit_line(model, TrainingRecorder(tmp_path, gradients_every=1))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_an_interval_is_a_number_of_steps(value: Any, tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match="weights_every="):
        TrainingRecorder(tmp_path, weights_every=value)
