"""The state of Keras models, live and in files: out, back, and on with the training."""

from __future__ import annotations

import csv
import json
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tb2csv.errors import StateError
from tb2csv.model_state import (
    STYLES,
    ModelState,
    diff_states,
    export_state,
    load_state,
    restore_file,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Keras' own, when it takes a variable's values.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

X = np.random.default_rng(0).normal(size=(64, 6, 6, 1)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(64, 2)).astype(np.float32)


def build(
    seed: int = 0, *, optimizer: Any = None, name: str = "first", dtype: str = "float32", is_compiled: bool = True
) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.RandomFlip(name="flip")(inputs)
    x = keras.layers.Conv2D(3, 3, name=name, dtype=dtype)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Flatten()(x)
    x = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3, name="inner")], name="block")(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    if is_compiled:
        model.compile(optimizer or keras.optimizers.Adam(1e-2), keras.losses.MeanSquaredError())
    return model


def train(model: keras.Model, first: int, last: int) -> list[float]:
    return [float(model.train_on_batch(X[i * 8 : i * 8 + 8], Y[i * 8 : i * 8 + 8])) for i in range(first, last)]


def contents(what: Any) -> list[bytes]:
    return [bytes(tensor.content()) for tensor in state_of(what).tensors]


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "Adam": lambda: keras.optimizers.Adam(1e-2, amsgrad=True, use_ema=True),
    "SGD": lambda: keras.optimizers.SGD(1e-2, momentum=0.9, nesterov=True),
    "decaying RMSprop": lambda: keras.optimizers.RMSprop(keras.optimizers.schedules.ExponentialDecay(1e-2, 2, 0.5)),
    "accumulating": lambda: keras.optimizers.AdamW(1e-2, gradient_accumulation_steps=2),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2)),
}


@pytest.mark.parametrize("style", STYLES)
def test_training_continues_as_if_never_stopped(style: str, tmp_path: Path) -> None:
    whole = build()
    losses = train(whole, 0, 7)
    stopped = build()
    train(stopped, 0, 3)
    export_state(stopped, tmp_path / "s.csv", style=style, max_cell=200)
    resumed = build(seed=9)
    assert load_state(tmp_path / "s.csv", resumed) == []
    assert train(resumed, 3, 7) == losses[3:]
    assert contents(resumed) == contents(whole)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_continues_with_every_optimizer(name: str, tmp_path: Path) -> None:
    whole, stopped, resumed = (build(seed, optimizer=OPTIMIZERS[name]()) for seed in (0, 0, 5))
    losses = train(whole, 0, 6)
    train(stopped, 0, 3)  # an odd number: gradients have been accumulated
    export_state(stopped, tmp_path / "s.csv")
    load_state(tmp_path / "s.csv", resumed)
    assert train(resumed, 3, 6) == losses[3:]
    assert contents(resumed) == contents(whole)


def test_names_columns_and_metadata(tmp_path: Path) -> None:
    model = build()
    train(model, 0, 1)
    export_state(model, tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = {row["tensor_name"]: row for row in csv.DictReader(file)}
    kernel = model.get_layer("block").get_layer("inner").kernel.numpy()
    row = rows["block/inner/kernel"]
    metadata = json.loads(row["tensor_metadata"])
    assert (metadata["shape"], metadata["layer_type"], metadata["trainable"]) == ([4, 3], "Dense", True)
    np.testing.assert_array_equal(np.array(row["tensor_data"].split(","), np.float32).reshape(4, 3), kernel)
    assert {"flip/seed_generator_state", "optimizer/iteration", "optimizer/learning_rate"} <= set(rows)
    assert int(rows["optimizer/iteration"]["tensor_data"]) == 1


def test_elements_of_a_convolution_have_all_their_indices(tmp_path: Path) -> None:
    model = build()
    export_state(model, tmp_path / "s.csv", style="elements")
    kernel = model.get_layer("first").kernel.numpy()
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["layer"], row["parameter"]) == ("first", "kernel")]
    found = {tuple(map(int, row["index"].split(","))): np.float32(row["value"]) for row in rows}
    assert found == {index: kernel[index] for index in np.ndindex(*kernel.shape)}
    assert {row["layer_type"] for row in rows} == {"Conv2D"}


DTYPES = [
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "float8_e4m3fn",
    "float8_e5m2",
    "int8",
    "uint32",
    "int64",
    "bool",
]


@pytest.fixture(scope="module")
def holder() -> keras.Model:
    class Holder(keras.layers.Layer):
        def build(self, _: Any) -> None:
            for dtype in DTYPES:
                zeros = np.zeros((2, 3), getattr(ml_dtypes, dtype, dtype))
                name = f"v_{dtype}"
                self.add_weight(
                    shape=(2, 3), dtype=dtype, name=name, trainable=False, initializer=lambda *_, z=zeros, **__: z
                )

        def call(self, inputs: Any) -> Any:
            return inputs

    model = keras.Sequential([keras.Input((1,)), Holder(name="all")])
    model(np.zeros((1, 1)))
    return model


@pytest.mark.parametrize("style", STYLES)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(min_size=48, max_size=48))
def test_every_dtype_goes_out_and_in_bit_for_bit(raw: bytes, style: str, holder: keras.Model, tmp_path: Path) -> None:
    expected = []
    for variable in holder.variables:
        dtype = np.dtype(getattr(ml_dtypes, str(variable.dtype), str(variable.dtype)))
        data = bytes(byte & 1 for byte in raw) if dtype.kind == "b" else raw
        values = np.frombuffer(data[: 6 * dtype.itemsize], dtype).reshape(2, 3)
        variable.assign(values)
        expected.append(values.tobytes())
    assert contents(holder) == expected
    export_state(holder, tmp_path / "s.csv", style=style, overwrite=True)
    for variable in holder.variables:
        variable.assign(np.ones((2, 3), np.dtype(getattr(ml_dtypes, str(variable.dtype), str(variable.dtype)))))
    load_state(tmp_path / "s.csv", holder)
    assert contents(holder) == expected


# What does not fit


def test_a_renamed_layer_is_reported_and_nothing_is_changed(tmp_path: Path) -> None:
    model = build()
    export_state(model, tmp_path / "s.csv")
    other = build(seed=4, name="second", is_compiled=False)
    before = contents(other)
    with pytest.raises(StateError) as told:
        load_state(tmp_path / "s.csv", other)
    assert "second/kernel: is not in the state" in str(told.value)
    assert "first/kernel: is not in the model" in str(told.value)
    assert contents(other) == before
    renames = {"first/": "second/"}
    left = load_state(tmp_path / "s.csv", other, renames=renames, allow_partial=True)
    assert left == [f"optimizer/{name}: is not in the model" for name in ("iteration", "learning_rate")]
    np.testing.assert_array_equal(other.get_layer("second").kernel, model.get_layer("first").kernel)


def test_another_dtype_another_shape_and_a_damaged_cell_are_reported_together(tmp_path: Path) -> None:
    export_state(build(is_compiled=False), tmp_path / "s.csv", style="base64")
    text = (tmp_path / "s.csv").read_text()
    start = text.index("block/inner/kernel,") + 25
    (tmp_path / "s.csv").write_text(text[:start] + ("A" if text[start] != "A" else "B") + text[start + 1 :])
    other = build(dtype="float16", is_compiled=False)
    before = contents(other)
    with pytest.raises(StateError) as told:
        load_state(tmp_path / "s.csv", other)
    assert [line.split(":")[0].strip() for line in str(told.value).splitlines()[1:]] == [
        "first/kernel",
        "first/bias",
        "block/inner/kernel",
    ]
    assert contents(other) == before


def test_an_unbuilt_model_and_other_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="not built"):
        export_state(keras.Sequential([keras.layers.Dense(1)]), tmp_path / "s.csv")
    with pytest.raises(StateError, match="holds no state that is known"):
        export_state(object(), tmp_path / "s.csv")


def test_normalization_computes_with_what_was_restored(tmp_path: Path) -> None:
    def normalized(data: np.ndarray) -> keras.Model:
        layer = keras.layers.Normalization()
        layer.adapt(data)
        return keras.Sequential([keras.Input((3,)), layer])

    first, second = normalized(np.arange(30.0).reshape(10, 3)), normalized(np.ones((10, 3)) * 7)
    second.predict(np.ones((1, 3)), verbose=0)  # compiled, with the statistics it had
    export_state(first, tmp_path / "s.csv")
    load_state(tmp_path / "s.csv", second)
    sample = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(first.predict(sample, verbose=0), second.predict(sample, verbose=0))


def test_layers_that_are_used_twice_or_named_alike_have_different_names(tmp_path: Path) -> None:
    class Twins(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a = keras.layers.Dense(2, name="same")
            self.b = keras.layers.Dense(2, name="same")

        def call(self, inputs: Any) -> Any:
            return self.a(self.b(self.b(inputs)))

    first, second = Twins(), Twins()
    for model in (first, second):
        model(np.zeros((1, 2), np.float32))
    names = [tensor.name for tensor in state_of(first).tensors]
    assert sorted(names) == ["same/bias", "same/bias#1", "same/kernel", "same/kernel#1"]
    for style in STYLES:
        export_state(first, tmp_path / f"{style}.csv", style=style)
        load_state(tmp_path / f"{style}.csv", second)
        assert contents(second) == contents(first)
        second.a.kernel.assign(np.zeros((2, 2)))


# Files


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    folder = tmp_path_factory.mktemp("saved")
    model, other = build(), build(seed=8)
    for number, each in enumerate((model, other)):
        train(each, number, 3)
        each.save(folder / f"{number}.keras")
        each.save_weights(folder / f"{number}.weights.h5")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            each.save(folder / f"{number}.h5")
    return folder, model


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["keras", "weights.h5", "h5"])
def test_files_are_exported_and_restored(
    saved: tuple[Path, keras.Model], kind: str, style: str, tmp_path: Path
) -> None:
    folder, model = saved
    export_state(folder / f"0.{kind}", tmp_path / "s.csv", style=style)
    out = tmp_path / f"out.{kind}"
    assert restore_file(tmp_path / "s.csv", folder / f"1.{kind}", out) == []
    differences = diff_states(model, out)
    # Keras leaves the states of seed generators out of its files.
    odd = {each.name: each.status for each in differences if each.status != "same"}
    assert set(odd.values()) == {"only in A"}
    assert all(name.endswith("/seed_generator_state") for name in odd)
    assert len(odd) == 2
    if kind == "weights.h5":
        again = build(seed=3)
        again.optimizer.build(again.trainable_variables)
        again.load_weights(out)  # Keras is the judge of what was written
    else:
        again = keras.models.load_model(out)
    assert [v.numpy().tobytes() for v in again.weights] == [v.numpy().tobytes() for v in model.weights]
    if kind == "h5":  # of which Keras does not read the optimizer
        return
    ours, theirs = (each.optimizer.variables for each in (again, model))
    assert [v.numpy().tobytes() for v in ours] == [v.numpy().tobytes() for v in theirs]


def test_a_live_state_goes_into_a_file_and_a_file_into_a_live_model(
    saved: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    folder, model = saved
    export_state(model, tmp_path / "live.csv")
    with pytest.raises(StateError, match="2 problems"):
        restore_file(tmp_path / "live.csv", folder / "1.weights.h5", tmp_path / "out.weights.h5")
    left = restore_file(tmp_path / "live.csv", folder / "1.weights.h5", tmp_path / "out.weights.h5", allow_partial=True)
    assert len(left) == 2
    export_state(tmp_path / "out.weights.h5", tmp_path / "file.csv")
    fresh = build(seed=6)
    assert len(load_state(tmp_path / "file.csv", fresh, allow_partial=True)) == 2
    assert [v.numpy().tobytes() for v in fresh.weights] == [v.numpy().tobytes() for v in model.weights]


def test_an_export_notes_what_the_file_lacks(saved: tuple[Path, keras.Model]) -> None:
    (note,) = state_of(saved[0] / "0.keras").notes
    assert "seed_generator_state" in note


def test_bfloat16_in_files(tmp_path: Path) -> None:
    first, second = (build(seed, dtype="bfloat16") for seed in (0, 1))
    for kind in ("keras", "weights.h5"):
        for number, model in enumerate((first, second)):
            getattr(model, "save" if kind == "keras" else "save_weights")(tmp_path / f"{number}.{kind}")
        export_state(tmp_path / f"0.{kind}", tmp_path / f"{kind}.csv")
        restore_file(tmp_path / f"{kind}.csv", tmp_path / f"1.{kind}", tmp_path / f"out.{kind}")
        assert contents(tmp_path / f"out.{kind}") == contents(tmp_path / f"0.{kind}")


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore")
def test_a_lambda_layer_is_refused_with_the_reason_and_its_weights_file_is_not(ending: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    def evil(x: Any) -> Any:
        return x

    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(evil), keras.layers.Dense(1)])
    model.save(tmp_path / f"m.{ending}")
    with pytest.raises(StateError, match="Lambda layer"):
        state_of(tmp_path / f"m.{ending}")
    assert not mark.exists()
    model.save_weights(tmp_path / "m.weights.h5")
    assert len(state_of(tmp_path / "m.weights.h5").tensors) == 2


def test_keras_error_for_an_unknown_layer_class_is_reported(tmp_path: Path) -> None:
    """An own layer that asks for a function: safe mode does not make one, and our error says so."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="relu")])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as old, zipfile.ZipFile(tmp_path / "n.keras", "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == "config.json":
                data = data.replace(b'"class_name": "Dense"', b'"class_name": "NoSuchLayer"')
            new.writestr(member, data)
    with pytest.raises(StateError, match="cannot be loaded by Keras"):
        state_of(tmp_path / "n.keras")


def test_links_out_of_a_file_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(3)
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    with pytest.raises(StateError, match="link"):
        state_of(tmp_path / "m.weights.h5")


def test_a_model_loaded_from_a_file_takes_the_state_of_the_one_that_was_saved(
    saved: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    """Its variables have other paths than they had."""
    folder, model = saved
    export_state(model, tmp_path / "s.csv")
    loaded = keras.models.load_model(folder / "1.keras")
    load_state(tmp_path / "s.csv", loaded)
    assert contents(loaded) == contents(model)
    assert isinstance(state_of(loaded), ModelState)
