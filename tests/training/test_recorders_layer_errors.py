"""Layer errors: the gradient of the loss with respect to what a layer gives, in models of every sort."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from recordings import at, recorded, steps

from tb2csv.errors import RecorderError
from tb2csv.recorders import TrainingRecorder, layer_errors, layer_mse, record_layer_errors
from tb2csv.recorders.event_writer import EventWriter
from tb2csv.recorders.output_errors import write_layer_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(10, 4))
Y = RANDOM.normal(size=(10, 2))


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(3)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def dense(units: int, name: str, activation: str | None = "tanh") -> keras.layers.Layer:
    return keras.layers.Dense(units, activation=activation, name=name)


def functional() -> keras.Model:
    """A skip connection past a dropout, which gives back what it gets; an Add; a layer that is used twice."""
    inputs = keras.Input((4,))
    first = dense(3, "first")(inputs)
    dropped = keras.layers.Dropout(0.5, name="dropout")(first)
    shared = dense(3, "shared")
    added = keras.layers.Add(name="add")([shared(dropped), shared(first)])
    return keras.Model(inputs, dense(2, "last", None)(added), name="functional")


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), dense(3, "first"), dense(2, "last", None)], name="sequential")


def nested() -> keras.Model:
    encoder = keras.Sequential([keras.Input((4,)), dense(3, "first"), dense(3, "second")], name="encoder")
    inputs = keras.Input((4,))
    return keras.Model(inputs, dense(2, "last", None)(encoder(inputs)), name="nested")


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.first = dense(3, "first")
        self.rest = [dense(3, "middle"), dense(2, "last", None)]

    def call(self, x: Any) -> Any:
        x = self.first(x)
        return self.rest[1](self.rest[0](x) + x)


def subclassed() -> keras.Model:
    model = Subclassed()
    model(X)
    return model


def mse(y: Any, predictions: Any) -> Any:
    return tf.reduce_mean(tf.square(y - predictions))


#: Of each model, the outputs and how to compute the loss from what is added to one of them.
MODELS = {
    functional: {"first", "dropout", "shared#0", "shared#1", "add", "last"},
    sequential: {"first", "last"},
    nested: {"encoder", "encoder/first", "encoder/second", "last"},
    subclassed: {"first", "middle", "last"},
}


def loss_with(model: keras.Model, layer: keras.layers.Layer, use: int, added: Any) -> float:
    """Return the loss with ``added`` on top of the output of the layer's call number ``use``."""
    calls = []
    original = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        output = original(*args, **kwargs)
        return output + added if len(calls) == use + 1 else output

    layer.call = call
    try:
        return float(mse(Y, model(X, training=False)))
    finally:
        del layer.call


def find(model: keras.Model, name: str) -> tuple[keras.layers.Layer, int]:
    path, _, use = name.partition("#")
    layer = model
    for part in path.split("/"):
        (layer,) = [each for each in layer.layers if each.name == part]
    return layer, int(use or 0)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_against_finite_differences(make: Any) -> None:
    model = make()
    errors = layer_errors(model, X, Y, mse)
    assert set(errors) == MODELS[make]
    for name, tensor in errors.items():
        error = tensor.numpy()
        layer, use = find(model, name)
        for index in [(0, 0), np.unravel_index(np.abs(error).argmax(), error.shape)]:
            added = np.zeros_like(error)
            added[index] = 1e-4
            far = loss_with(model, layer, use, 2 * added) - loss_with(model, layer, use, -2 * added)
            near = loss_with(model, layer, use, added) - loss_with(model, layer, use, -added)
            assert error[index] == pytest.approx((8 * near - far) / 12e-4, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("how", ["graph", "eager", "several batches at one go"])
def test_in_fit_they_are_those_of_each_batch(make: Any, how: str, tmp_path: Path) -> None:
    model = make()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # in training its random choice could not be repeated
    model.compile(
        keras.optimizers.SGD(0.0),
        "mse",
        run_eagerly=how == "eager",
        steps_per_execution=2 if how.startswith("several") else 1,
        jit_compile=how == "graph",
    )
    recorder = TrainingRecorder(tmp_path, layer_errors_every=1)
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[recorder])
    assert model.jit_compile is (how == "graph")
    found = recorded(tmp_path)
    for step, rows in enumerate([slice(0, 4), slice(4, 8), slice(8, 10)] * 2, 1):
        expected = layer_errors(model, X[rows], Y[rows], mse)
        for name in MODELS[make]:
            error = expected[name].numpy()
            np.testing.assert_allclose(at(found[f"layer_errors/{name}"], step), error, rtol=1e-9, atol=1e-15)
            norm = float(at(found[f"layer_errors/{name}/norm"], step))
            assert norm == pytest.approx(np.linalg.norm(error), rel=1e-6)
        assert int(at(found["batch/epoch"], step)) == (step - 1) // 3


def test_chosen_layers_at_chosen_steps_summed_over_the_samples(tmp_path: Path) -> None:
    model = nested()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(
        tmp_path, layer_errors_every=2, layers=["encoder/second"], layer_error_samples="sum", batch_every=None
    )
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    assert {tag for tag in found if tag.startswith("layer_errors/")} == {
        "layer_errors/encoder/second",
        "layer_errors/encoder/second/norm",
    }
    assert steps(found["layer_errors/encoder/second"]) == [2]
    expected = layer_errors(model, X[4:8], Y[4:8], mse)["encoder/second"].numpy()
    np.testing.assert_allclose(at(found["layer_errors/encoder/second"], 2), expected.sum(axis=0), rtol=1e-9)


@pytest.mark.parametrize("in_graph", [False, True])
def test_in_a_custom_loop(in_graph: bool, tmp_path: Path) -> None:
    model = functional()
    recorder = TrainingRecorder(tmp_path)

    def step(number: Any, x: Any, y: Any) -> Any:
        return record_layer_errors(model, x, y, mse, step=number, layers=["shared", "add"])

    run = tf.function(step) if in_graph else step
    with recorder.as_default():
        for number in (1, 2):
            returned = run(tf.constant(number, tf.int64), tf.constant(X * number), tf.constant(Y))
    found = recorded(tmp_path)
    for name in ("shared#0", "shared#1", "add"):
        assert steps(found[f"layer_errors/{name}"]) == [1, 2]
        np.testing.assert_allclose(at(found[f"layer_errors/{name}"], 2), returned[name].numpy(), rtol=1e-12)
        expected = layer_errors(model, X, Y, mse)[name].numpy()
        np.testing.assert_allclose(at(found[f"layer_errors/{name}"], 1), expected, rtol=1e-9)


def test_outputs_of_higher_rank_are_a_row_for_each_sample(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((5, 5, 1)), keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Flatten(), dense(2, "last")]
    )
    x = RANDOM.normal(size=(3, 5, 5, 1))
    with TrainingRecorder(tmp_path).as_default():
        errors = record_layer_errors(model, x, Y[:3], mse, step=4, layers=["conv"])
    assert errors["conv"].shape == (3, 3, 3, 2)
    np.testing.assert_array_equal(at(recorded(tmp_path)["layer_errors/conv"], 4), errors["conv"].numpy().reshape(3, 18))


def test_a_layer_with_several_outputs_has_an_error_for_each() -> None:
    inputs = keras.Input((3, 4))
    output, state, _ = keras.layers.LSTM(2, return_state=True, name="lstm")(inputs)
    model = keras.Model(inputs, keras.layers.Add(name="add")([output, state]))
    errors = layer_errors(model, RANDOM.normal(size=(5, 3, 4)), Y[:5], mse)
    # The loss depends on the output and on the first state, which are alike; not on the second state.
    assert set(errors) == {"lstm/0", "lstm/1", "add"}
    np.testing.assert_allclose(errors["lstm/0"], errors["add"].numpy())


def test_mse_of_layers(tmp_path: Path) -> None:
    model = functional()
    target = RANDOM.normal(size=(10, 3))
    first = model.get_layer("first")(X).numpy()
    shared = model.get_layer("shared")(first).numpy()
    with TrainingRecorder(tmp_path).as_default():
        errors = layer_mse(model, X, {"first": target, "shared#1": target}, step=3)
    expected = {"first": np.mean((first - target) ** 2), "shared#1": np.mean((shared - target) ** 2)}
    assert {name: float(error) for name, error in errors.items()} == pytest.approx(expected, rel=1e-12)
    found = recorded(tmp_path)
    for name, value in expected.items():
        assert float(at(found[f"layer_mse/{name}"], 3)) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    "kind",
    [np.asarray, tf.constant, np.ndarray.tolist, keras.Variable],
    ids=["array", "tensor", "list", "variable"],
)
def test_mse_of_a_given_output(kind: Any, tmp_path: Path) -> None:
    output, target = RANDOM.normal(size=(10, 3)), RANDOM.normal(size=(10, 3))
    expected = np.mean((output - target) ** 2)
    assert float(layer_mse(kind(output), kind(target))) == pytest.approx(expected, rel=1e-6)
    with TrainingRecorder(tmp_path).as_default():
        assert float(layer_mse(kind(output), target, step=3, name="add")) == pytest.approx(expected, rel=1e-6)
    found = recorded(tmp_path)
    assert list(found) == ["layer_mse/add"]
    assert float(at(found["layer_mse/add"], 3)) == pytest.approx(expected, rel=1e-6)


def test_mse_of_whole_numbers_is_not_rounded() -> None:
    assert float(layer_mse(np.array([1, 2]), np.array([1.5, 2.0]))) == 0.125
    assert float(layer_mse([3, 4], [1, 4])) == 2


def test_mse_in_a_graph_compares_shapes_when_it_runs(tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None, 2])])
    def error(output: Any, target: Any) -> Any:
        return layer_mse(output, target, step=tf.constant(4), name="last")

    with TrainingRecorder(tmp_path).as_default():
        assert float(error(tf.ones([5, 2]), tf.zeros([5, 2]))) == 1
        with pytest.raises(tf.errors.InvalidArgumentError, match="The target of last"):
            error(tf.ones([5, 2]), tf.zeros([1, 2]))
    assert steps(recorded(tmp_path)["layer_mse/last"]) == [4]


def test_mse_of_unequal_shapes_and_half_a_record_are_refused(tmp_path: Path) -> None:
    for output, target in [((10, 3), (10, 1)), ((10, 1), (10,)), ((4,), (1,))]:
        with pytest.raises(RecorderError, match="The target of the output has the shape"):
            layer_mse(np.zeros(output), np.zeros(target))
    with pytest.raises(RecorderError, match="not an array of numbers"):
        layer_mse([[1.0], [1.0, 2.0]], [[1.0], [1.0, 2.0]])
    with pytest.raises(RecorderError, match="not an array of numbers"):
        layer_mse("a", "b")
    with TrainingRecorder(tmp_path).as_default():
        for half in ({"step": 3}, {"name": "add"}):
            with pytest.raises(RecorderError, match="step= and name= together"):
                layer_mse(np.zeros(2), np.zeros(2), **half)
    with pytest.raises(RecorderError, match="no recorder to write to"):
        layer_mse(np.zeros(2), np.zeros(2), step=3, name="add")
    with pytest.raises(RecorderError, match="takes an array for each layer"):
        layer_mse(sequential(), X)  # type: ignore[call-overload]
    with pytest.raises(RecorderError, match=r"ndarray is not a keras\.Model"):
        layer_mse(X, X, {"first": X})  # type: ignore[call-overload]


def test_norms_of_large_errors_are_those_of_numpy(tmp_path: Path) -> None:
    error = RANDOM.normal(size=(3, 70_000)).astype(np.float32)
    log = EventWriter(tmp_path)
    write_layer_errors(log, 1, {"wide": error, "empty": error[:, :0]}, "each", 0.0)
    write_layer_errors(log, 2, {"wide": error}, "sum", 0.0)
    log.close()
    found = recorded(tmp_path)
    np.testing.assert_array_equal(at(found["layer_errors/wide"], 1), error)
    norm = found["layer_errors/wide/norm"]
    assert at(norm, 1) == pytest.approx(np.linalg.norm(error.astype(np.float64)), rel=2e-6)
    assert at(norm, 2) == pytest.approx(np.linalg.norm(error.sum(axis=0).astype(np.float64)), rel=2e-6)
    assert at(found["layer_errors/empty/norm"], 1) == 0


#: Powers of two at which squares in float32 are zero, inexact, ordinary, or infinite.
EXPONENTS = [-149, -126, -75, -64, -50, -49, 0, 63, 64, 120]


@given(
    dtype=st.sampled_from([np.float32, np.float64]),
    size=st.sampled_from([1, 63, 64, 65, 1000]),
    seed=st.integers(0, 2**32 - 1),
    exponents=st.lists(st.sampled_from(EXPONENTS), min_size=1, max_size=3),
    special=st.sampled_from([0.0, 0.0, 0.0, np.inf, -np.inf, np.nan]),
)
@example(dtype=np.float32, size=1000, seed=0, exponents=[-75], special=0.0)
@example(dtype=np.float32, size=1000, seed=0, exponents=[64], special=0.0)
def test_norms_are_those_of_exact_sums(dtype: type, size: int, seed: int, exponents: list[int], special: float) -> None:
    random = np.random.default_rng(seed)
    error = random.normal(size=(1, size)) * 2.0 ** random.choice(exponents, size=(1, size))
    error[0, seed % size] = special
    error = error.astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        log = EventWriter(folder)
        write_layer_errors(log, 1, {"any": error}, "each", 0.0)
        log.close()
        norm = float(at(recorded(Path(folder))["layer_errors/any/norm"], 1))
    exact = math.sqrt(math.fsum((error.astype(np.float64) ** 2).ravel()))
    # A float32 has half a step more, which is a part of the number or of the smallest one.
    assert norm == pytest.approx(exact, rel=2e-6 + 2**-24, abs=2**-149, nan_ok=True)


def test_errors_of_two_backward_passes_in_a_train_step_are_all_recorded(tmp_path: Path) -> None:
    class Twice(keras.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape(persistent=True) as tape:
                predictions = self(x, training=True)
                first, second = mse(y, predictions), 3 * mse(y, predictions)
            for loss in (first, second):
                tape.gradient(loss, self.trainable_variables)
            return {"loss": first}

    inputs = keras.Input((4,))
    model = Twice(inputs, dense(2, "last", None)(dense(3, "first")(inputs)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    recorder = TrainingRecorder(tmp_path, layer_errors_every=1)
    model.fit(X, Y, batch_size=5, shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    for name in ("first", "last"):
        for step, rows in enumerate([slice(0, 5), slice(5, 10)], 1):
            expected = layer_errors(model, X[rows], Y[rows], mse)[name].numpy()
            passes = [value for number, value in found[f"layer_errors/{name}"] if number == step]
            passes.sort(key=np.linalg.norm)
            np.testing.assert_allclose(passes, [expected, 3 * expected], rtol=1e-9)
            norms = sorted(float(value) for number, value in found[f"layer_errors/{name}/norm"] if number == step)
            assert norms == pytest.approx([np.linalg.norm(expected), 3 * np.linalg.norm(expected)], rel=1e-6)


def test_errors_of_a_scaled_loss_are_those_without_the_scale(tmp_path: Path) -> None:
    model = sequential()
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0)), "mse")
    model.fit(
        X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[TrainingRecorder(tmp_path, layer_errors_every=1)]
    )
    found = recorded(tmp_path)
    for step, rows in enumerate([slice(0, 4), slice(4, 8), slice(8, 10)], 1):
        expected = layer_errors(model, X[rows], Y[rows], mse)
        for name in MODELS[sequential]:
            np.testing.assert_allclose(at(found[f"layer_errors/{name}"], step), expected[name].numpy(), rtol=1e-9)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12, dtype=np.int16)[::-3],
        np.float32(1.5),
        np.zeros((0, 3), np.float32),
        np.array([[True], [False]]),
        np.array([1 + 2j, 3j], np.complex64),
        tf.constant([1.5, -0.0, np.nan], tf.bfloat16).numpy(),
        np.broadcast_to(np.uint8(7), (2, 3)),
    ],
    ids=["transposed", "strided", "number", "empty", "bool", "complex", "bfloat16", "read-only"],
)
def test_tensors_of_any_layout_keep_dtype_shape_and_bytes(value: Any, tmp_path: Path) -> None:
    log = EventWriter(tmp_path)
    log.tensor(3, "any", value)
    log.close()
    stored = at(recorded(tmp_path)["any"], 3)
    assert (stored.dtype, stored.shape) == (value.dtype, value.shape)
    assert stored.tobytes() == value.tobytes()


def test_invalid_calls_are_refused(tmp_path: Path) -> None:
    model = nested()
    with pytest.raises(RecorderError, match="no recorder"):
        record_layer_errors(model, X, Y, mse, step=1)
    with pytest.raises(RecorderError, match=r"'fist'.*input_layer.*, encoder, encoder/first"):
        layer_errors(model, X, Y, mse, layers=["fist"])
    with pytest.raises(RecorderError, match=r"'none'.*encoder/first"):
        layer_mse(model, X, {"none": X})
    with pytest.raises(RecorderError, match=r"encoder .*\(10, 4\).*\(10, 3\)"):
        layer_mse(model, X, {"encoder": X})
    with pytest.raises(RecorderError, match="no layers"):
        layer_errors(keras.Sequential(), X, Y, mse)
    with pytest.raises(RecorderError, match="samples='all'"):
        TrainingRecorder(tmp_path, layer_errors_every=1, layer_error_samples="all")  # type: ignore[arg-type]
