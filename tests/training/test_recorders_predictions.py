"""Predictions: as tables of a saved model, and during a training."""

from __future__ import annotations

import contextlib
import csv
import tempfile
import tracemalloc
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from PIL import Image
from recordings import at, recorded, steps

from tb2csv import predict
from tb2csv.errors import OutputError, RecorderError
from tb2csv.prediction.inputs import open_inputs
from tb2csv.recorders import PredictionRecorder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    # Keras' own, when it saves and loads.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(23, 4)).astype(np.float32)


def classifier() -> keras.Model:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="species")(inputs))


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def check_classes(path: Path, expected: Any, target: Any = None) -> None:
    header, rows = read(path)
    named = ["sample", "label", *(["target"] if target is not None else []), "class_0", "class_1", "class_2"]
    assert header == named
    assert [int(row[0]) for row in rows] == list(range(len(expected)))
    assert [int(row[1]) for row in rows] == expected.argmax(axis=1).tolist()
    if target is not None:
        assert [row[2] for row in rows] == [str(each) for each in target]
    np.testing.assert_allclose(np.array([row[-3:] for row in rows], float), expected, rtol=1e-5)


# Models


def save_keras(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "model.keras")
    return folder / "model.keras"


def save_h5(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "model.h5")
    return folder / "model.h5"


def export(model: keras.Model, folder: Path) -> Path:
    model.export(folder / "exported", verbose=False)
    return folder / "exported"


def save_plain(model: keras.Model, folder: Path) -> Path:
    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.bias = (tf.Variable(weight.numpy()) for weight in model.weights)

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="features")])
        def serve(self, features: Any) -> dict[str, Any]:
            return {"species": tf.nn.softmax(features @ self.kernel + self.bias)}

    served = Served()
    tf.saved_model.save(served, folder / "plain", signatures=served.serve)
    return folder / "plain"


@pytest.mark.parametrize("save", [save_keras, save_h5, export, save_plain])
def test_every_kind_of_saved_model(save: Any, tmp_path: Path) -> None:
    model = classifier()
    path = save(model, tmp_path)
    (table,) = predict(path, X, tmp_path / "out.csv", batch_size=10)
    assert (table.path, table.rows) == (tmp_path / "out.csv", 23)
    weights = [np.asarray(weight.numpy(), np.float64) for weight in model.weights]
    logits = X @ weights[0] + weights[1]
    check_classes(tmp_path / "out.csv", np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


# Inputs


def write_npy(path: Path) -> Path:
    np.save(path / "x.npy", X)
    return path / "x.npy"


def write_npz(path: Path) -> Path:
    np.savez_compressed(path / "x.npz", features=X)
    return path / "x.npz"


def write_csv(path: Path) -> Path:
    pl.DataFrame(X, schema=list("abcd")).write_csv(path / "x.csv")
    return path / "x.csv"


def write_parquet(path: Path) -> Path:
    pl.DataFrame(X, schema=list("abcd")).write_parquet(path / "x.parquet", row_group_size=5)
    return path / "x.parquet"


@pytest.mark.parametrize("write", [write_npy, write_npz, write_csv, write_parquet])
def test_every_kind_of_inputs(write: Any, tmp_path: Path) -> None:
    model = classifier()
    predict(model, write(tmp_path), tmp_path / "out.csv", batch_size=7)
    check_classes(tmp_path / "out.csv", model.predict(X, verbose=0))


def test_targets_and_columns_that_are_not_inputs(tmp_path: Path) -> None:
    model = classifier()
    species = [f"kind {number % 3}" for number in range(23)]
    table = pl.DataFrame(X, schema=list("abcd")).with_columns(pl.Series("species", species), pl.lit("id").alias("name"))
    table.select("species", "a", "name", "b", "c", "d").write_csv(tmp_path / "x.csv")
    predict(model, tmp_path / "x.csv", tmp_path / "out.csv", target="species", ignore=["name"], batch_size=5)
    check_classes(tmp_path / "out.csv", model.predict(X, verbose=0), species)
    np.savez(tmp_path / "x.npz", features=X, y=np.arange(23))
    predict(model, tmp_path / "x.npz", tmp_path / "npz.csv", target="y")
    check_classes(tmp_path / "npz.csv", model.predict(X, verbose=0), range(23))
    predict(model, X, tmp_path / "array.csv", target=np.arange(23))
    assert (tmp_path / "array.csv").read_bytes() == (tmp_path / "npz.csv").read_bytes()


def test_rows_of_a_table_take_the_shape_of_an_image(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Conv2D(3, 2), keras.layers.Flatten()])
    pl.DataFrame(X, schema=list("abcd")).write_csv(tmp_path / "x.csv")
    predict(model, tmp_path / "x.csv", tmp_path / "out.csv")
    header, rows = read(tmp_path / "out.csv")
    assert header == ["sample", "output_0", "output_1", "output_2"]
    expected = model.predict(X.reshape(-1, 2, 2, 1), verbose=0)
    np.testing.assert_allclose(np.array(rows, float)[:, 1:], expected, rtol=1e-5, atol=1e-6)


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    added = keras.layers.Add()([left, right])
    outputs = {"total/all": keras.layers.Dense(1)(added), "kind": keras.layers.Dense(2, activation="softmax")(added)}
    model = keras.Model([left, right], outputs)
    np.savez(tmp_path / "x.npz", right=X + 1, left=X)
    tables = predict(model, tmp_path / "x.npz", tmp_path / "out.csv")
    expected = model.predict([X, X + 1], verbose=0)
    assert {table.output: table.path.name for table in tables} == {
        "total/all": "out.total%2Fall.csv",
        "kind": "out.kind.csv",
    }
    header, rows = read(tmp_path / "out.total%2Fall.csv")
    assert header == ["sample", "output_0"]
    np.testing.assert_allclose(np.array(rows, float)[:, 1:], expected["total/all"], rtol=1e-5)
    assert read(tmp_path / "out.kind.csv")[0] == ["sample", "label", "class_0", "class_1"]
    predict(model, [X, X + 1], tmp_path / "list.csv")
    assert (tmp_path / "list.kind.csv").read_bytes() == (tmp_path / "out.kind.csv").read_bytes()


# Outputs


def image_model() -> keras.Model:
    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.Input((3, 2, 1)), keras.layers.Conv2D(2, 1, name="conv")])


IMAGES = RANDOM.normal(size=(5, 3, 2, 1)).astype(np.float32)


def test_images_are_a_row_for_each_element(tmp_path: Path) -> None:
    model = image_model()
    predict(model, IMAGES, tmp_path / "out.csv", batch_size=2, target=np.arange(5))
    header, rows = read(tmp_path / "out.csv")
    assert header == ["sample", "i0", "i1", "i2", "target", "value"]
    expected = model.predict(IMAGES, verbose=0)
    assert len(rows) == expected.size
    for sample, i0, i1, i2, target, value in rows:
        assert sample == target
        assert float(value) == pytest.approx(expected[int(sample), int(i0), int(i1), int(i2)], rel=1e-5)


def test_images_in_a_file_beside_the_table(tmp_path: Path) -> None:
    model = image_model()
    (table,) = predict(model, IMAGES, tmp_path / "out.csv", batch_size=2, images="npy")
    assert table.images == tmp_path / "out.npy"
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), model.predict(IMAGES, verbose=0), rtol=1e-5)
    header, rows = read(tmp_path / "out.csv")
    assert header == ["sample", "dtype", "shape", "path"]
    assert rows == [[str(sample), "float32", "3,2,2", "out.npy"] for sample in range(5)]


def test_images_of_keras_have_their_channels_last(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3, 2, 1)), keras.layers.Conv2D(3, 1, activation="sigmoid")])
    (table,) = predict(model, IMAGES, tmp_path / "out.csv", images="png")
    assert (table.rows, table.clipped) == (5, 0)
    for number, expected in enumerate(model.predict(IMAGES, verbose=0)):
        with Image.open(tmp_path / f"out/{number}.png") as image:
            found = np.asarray(image)
        assert found.shape == (3, 2, 3)
        np.testing.assert_allclose(found, 255 * expected, atol=0.501)


@pytest.mark.parametrize(
    ("columns", "named"), [("classes", ["label", "class_0", "class_1"]), ("outputs", ["output_0"])]
)
def test_columns_can_be_chosen(columns: Any, named: list[str], tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    predict(model, X, tmp_path / "out.csv", columns=columns)
    assert read(tmp_path / "out.csv")[0][1 : len(named) + 1] == named


def test_last_batch_is_padded_to_a_fixed_number_of_samples(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(batch_shape=(8, 4)), keras.layers.Dense(2)])
    (table,) = predict(model, X, tmp_path / "out.csv")
    assert (table.rows, table.padded) == (23, 1)
    weights, bias = (np.asarray(each.numpy(), np.float64) for each in model.weights)
    found = np.array(read(tmp_path / "out.csv")[1], float)[:, 1:]
    np.testing.assert_allclose(found, X @ weights + bias, rtol=1e-5, atol=1e-6)


def test_text_goes_in_and_comes_out(tmp_path: Path) -> None:
    class Upper(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, text: Any) -> Any:
            return {"upper": tf.strings.upper(text, encoding="utf-8")}

    served = Upper()
    tf.saved_model.save(served, tmp_path / "model", signatures=served.serve)
    (tmp_path / "x.csv").write_text('text\n"a,b"\nä\n', encoding="utf-8")
    predict(tmp_path / "model", tmp_path / "x.csv", tmp_path / "out.csv")
    assert read(tmp_path / "out.csv") == (["sample", "output_0"], [["0", "A,B"], ["1", "Ä"]])


def test_half_precision_is_written_without_a_change(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, dtype="bfloat16")])
    predict(model, X, tmp_path / "out.csv")
    expected = np.asarray(model.predict(X, verbose=0)).astype(np.float32)
    np.testing.assert_array_equal(np.array(read(tmp_path / "out.csv")[1], np.float32)[:, 1:], expected)


def test_many_rows_do_not_fill_memory(tmp_path: Path) -> None:
    """Of 200,000 rows with 51 MB of inputs and 6 MB of outputs, some thousand are in numpy's arrays at a time."""
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8)])
    array = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (200_000, 64))
    array[:] = 0.5
    del array
    predict(model, np.zeros((5000, 64)), tmp_path / "first.csv", batch_size=4096)  # what is imported and traced
    tracemalloc.start()
    try:
        predict(model, tmp_path / "x.npy", tmp_path / "out.csv", batch_size=4096)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with (tmp_path / "out.csv").open("rb") as file:
        assert sum(1 for _ in file) == 200_001
    assert peak < 5_000_000, peak


# What is refused


def test_no_code_of_a_model_file_is_run(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x + 1)])
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        with pytest.raises(RecorderError, match="Lambda layer"):
            predict(tmp_path / name, X, tmp_path / "out.csv")
        assert not (tmp_path / "out.csv").exists()
    predict(tmp_path / "model.keras", X, tmp_path / "out.csv", trust=True)
    np.testing.assert_allclose(np.array(read(tmp_path / "out.csv")[1], float)[:, 1:], X + 1, rtol=1e-6)


def test_no_module_that_a_model_file_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @keras.saving.register_keras_serializable("other")
    class Doubling(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

    Doubling.__module__ = "tb2csv_malicious"
    (tmp_path / "tb2csv_malicious.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    keras.Sequential([keras.Input((4,)), Doubling()]).save(tmp_path / "model.keras")
    with pytest.raises(RecorderError, match="Doubling of the module tb2csv_malicious"):
        predict(tmp_path / "model.keras", X, tmp_path / "out.csv")


@pytest.mark.parametrize("kind", ["PyFunc", "WriteFile"])
def test_a_saved_model_that_runs_python_or_writes_files_is_refused(kind: str, tmp_path: Path) -> None:
    class Malicious(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def serve(self, x: Any) -> Any:
            if kind == "WriteFile":
                tf.io.write_file(str(tmp_path / "written"), "bad")
                return x
            return tf.numpy_function(lambda x: x, [x], tf.float32)

    module = Malicious()
    tf.saved_model.save(module, tmp_path / "model", signatures=module.serve)
    with pytest.raises(RecorderError, match=f"is not loaded, because its operation {kind}"):
        predict(tmp_path / "model", X, tmp_path / "out.csv")
    assert not (tmp_path / "written").exists()


def test_a_pickle_among_the_inputs_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(RecorderError, match=r"x\.npy cannot be read"):
        predict(classifier(), tmp_path / "x.npy", tmp_path / "out.csv")


def test_misfits_are_refused_and_leave_no_files(tmp_path: Path) -> None:
    model, out = classifier(), tmp_path / "out.csv"
    (tmp_path / "x.txt").touch()
    (tmp_path / "bad.keras").write_bytes(b"none")
    (tmp_path / "bad.csv").write_text("a,b,c,d\n1,2,3,x\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"none")
    tf.saved_model.save(tf.Module(), tmp_path / "silent")
    cases: list[tuple[Any, Any, dict[str, Any], str]] = [
        (tmp_path / "no.keras", X, {}, r"There is no model at .*no\.keras"),
        (tmp_path / "x.txt", X, {}, r"x\.txt is not a model that can be loaded"),
        (tmp_path / "bad.keras", X, {}, r"bad\.keras cannot be loaded by Keras"),
        (tmp_path / "folder", X, {}, "is not a SavedModel"),
        (tmp_path / "damaged", X, {}, r"saved_model\.pb is damaged"),
        (tmp_path / "silent", X, {}, r"silent has no signature; save it with one"),
        (object(), X, {}, "A object is not a model that can predict"),
        (model, tmp_path / "x.txt", {}, r"x\.txt is not one of \.npy, \.npz, \.csv, \.parquet"),
        (model, tmp_path / "no.npy", {}, r"no\.npy cannot be read"),
        (model, tmp_path / "no.csv", {}, r"no\.csv cannot be read"),
        (model, tmp_path / "no.parquet", {}, r"no\.parquet cannot be read"),
        (model, tmp_path / "bad.csv", {}, r"The column 'd' of .*bad\.csv holds String, but a model takes numbers"),
        (model, X[:, :3], {}, "takes 4 for each sample, but the data have 3"),
        (model, X[:0], {}, "There are no samples"),
        (model, {"a": X, "b": X}, {}, "takes 1 inputs .features., but there are 2 .a, b."),
        (model, X, {"target": np.arange(4)}, "different numbers of samples .input: 23, target: 4."),
        (model, X, {"ignore": ["z"]}, "There is no 'z' among the inputs"),
        (model, np.array(["a"]), {}, "takes float32, but the data are"),
        (model, X, {"columns": "all"}, "columns='all' is not valid"),
        (model, X, {"batch_size": 0}, "batch_size=0 is not a number of samples"),
    ]
    for given, inputs, more, told in cases:
        with pytest.raises(RecorderError, match=told) as caught:
            predict(given, inputs, out, **more)
        assert "\n" not in str(caught.value)
        kept = ["bad.csv", "bad.keras", "damaged", "folder", "silent", "x.txt"]
        assert sorted(path.name for path in tmp_path.iterdir()) == kept


@pytest.mark.parametrize("name", ["out.parquet", "out.csv.gz", "out.v2"])
def test_a_table_with_another_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match=r"Predictions are CSV, and .* has the ending \.\w+; end it with \.csv\."):
        predict(classifier(), X, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_existing_table_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        predict(classifier(), X, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"
    predict(classifier(), X, tmp_path / "out.csv", overwrite=True)
    assert read(tmp_path / "out.csv")[0][0] == "sample"


def test_a_model_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    layer = keras.layers.Embedding(5, 2)
    model = keras.Sequential([keras.Input((1,), dtype="int32"), layer])
    model.run_eagerly = True
    rows = np.array([[0], [1], [2], [9]], np.int32)
    with pytest.raises(RecorderError, match="samples 2 to 3"):
        predict(model, rows, tmp_path / "out.csv", batch_size=2)
    assert not list(tmp_path.iterdir())


# During a training


def test_predictions_of_the_same_samples_every_so_many_epochs(tmp_path: Path) -> None:
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    y = np.arange(23) % 3
    recorder = PredictionRecorder(X, y, log_dir=tmp_path, sample_size=6, every_epochs=2, seed=9)
    seen = []

    class Predictions(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(self.model(X, training=False).numpy())

    model.fit(X, y, epochs=4, verbose=0, callbacks=[recorder, Predictions()])
    found = recorded(tmp_path)
    assert len(set(recorder.rows.tolist())) == 6
    assert set(found) == {"predictions/sample", *(f"predictions/species{end}" for end in ("", "/label", "/target"))}
    assert steps(found["predictions/species"]) == [1, 3]
    for epoch in (1, 3):
        rows = at(found["predictions/sample"], epoch)
        np.testing.assert_array_equal(rows, recorder.rows)
        np.testing.assert_allclose(at(found["predictions/species"], epoch), seen[epoch][rows], rtol=1e-5)
        np.testing.assert_array_equal(at(found["predictions/species/label"], epoch), seen[epoch][rows].argmax(axis=1))
        np.testing.assert_array_equal(at(found["predictions/species/target"], epoch), y[rows])
    again = PredictionRecorder(X, y, log_dir=tmp_path, sample_size=6, seed=9)
    np.testing.assert_array_equal(again.rows, recorder.rows)
    assert PredictionRecorder(X, log_dir=tmp_path).rows.tolist() == list(range(23))


def test_predictions_of_several_outputs_without_targets(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(2, name="a")(inputs), keras.layers.Dense(1, name="b")(inputs)])
    model.compile("sgd", ["mse", "mse"])
    y = [np.zeros((23, 2)), np.zeros((23, 1))]
    recorder = PredictionRecorder(X, y, log_dir=tmp_path)
    model.fit(X, y, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    assert {tag: rows[0][1].shape for tag, rows in found.items()} == {
        "predictions/sample": (23,),
        "predictions/a": (23, 2),
        "predictions/a/target": (23, 2),
        "predictions/b": (23, 1),
        "predictions/b/target": (23, 1),
    }


def test_misfits_of_a_prediction_recorder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match=r"x and y .*4, 23"):
        PredictionRecorder(X, np.arange(4), log_dir=tmp_path)
    with pytest.raises(RecorderError, match="sample_size=0"):
        PredictionRecorder(X, log_dir=tmp_path, sample_size=0)
    with pytest.raises(RecorderError, match="batch_size=0 is not a number of samples"):
        PredictionRecorder(X, log_dir=tmp_path, batch_size=0)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_inputs_of_a_model_are_files_and_not_patterns(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the folder for what is unpacked."""
    for name, numbers in (("x0", [1.0, 2.0]), ("x[0]", [3.0, 4.0])):
        frame = pl.DataFrame({"a": numbers})
        path = tmp_path / f"{name}.{ending}"
        frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    (tmp_path / "tmp[1]").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp[1]"))
    with contextlib.ExitStack() as folder:
        inputs = open_inputs(tmp_path / f"x[0].{ending}", folder)
        assert inputs.arrays[""][0:2].tolist() == [[3.0], [4.0]]
