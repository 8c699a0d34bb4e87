"""Predictions of ONNX models; the expected numbers are computed by NumPy."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import polars as pl
import pytest
from prediction_tables import numbers, read

from tb2csv import predict
from tb2csv.errors import RecorderError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

X = np.random.default_rng(1).normal(size=(23, 4)).astype(np.float32)
WEIGHTS = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)


def value(name: str, shape: Any, dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name: str, array: Any) -> Any:
    return onnx.numpy_helper.from_array(array, name)


def save(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: Any = (), **kwargs: Any
) -> Path:
    """Write a model."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(constants))
    domains = {"": 18, "ai.onnx.ml": 3, "mine": 1}
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, **kwargs)
    path.write_bytes(model.SerializeToString())
    return path


def classifier(path: Path, samples: Any = "samples") -> Path:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Softmax", ["y"], ["species"])]
    weights = constant("w", WEIGHTS)
    return save(path, nodes, [value("x", [samples, 4])], [value("species", [samples, 3])], [weights])


def expected(x: Any = X) -> Any:
    scores = np.exp(x.astype(np.float64) @ WEIGHTS)
    return scores / scores.sum(axis=1, keepdims=True)


CLASSES = ["label", "class_0", "class_1", "class_2"]


@pytest.mark.parametrize(("samples", "padded"), [("samples", 0), (None, 0), (5, 2), (1, 0), (64, 41)])
def test_free_and_fixed_numbers_of_samples(samples: Any, padded: int, tmp_path: Path) -> None:
    model = classifier(tmp_path / "model.onnx", samples)
    (table,) = predict(model, X.astype(np.float64), tmp_path / "out.csv", batch_size=10)
    assert (table.output, table.rows, table.padded) == ("species", 23, padded)
    found = numbers(tmp_path / "out.csv", CLASSES)
    np.testing.assert_allclose(found[:, 1:], expected(), rtol=1e-5)
    np.testing.assert_array_equal(found[:, 0], expected().argmax(axis=1))


FLOATS = np.array([[0.5, -1.5], [3.25, 1e4], [0.1, 7]])


@pytest.mark.parametrize(
    ("dtype", "array"),
    [
        ("FLOAT16", FLOATS.astype(np.float16)),
        ("BFLOAT16", FLOATS.astype(ml_dtypes.bfloat16)),
        ("DOUBLE", FLOATS / 3),
        ("INT64", np.array([[2**62, -1], [0, 1], [5, 6]])),
        ("UINT8", np.array([[255, 0], [0, 1], [5, 6]], np.uint8)),
        ("BOOL", np.array([[True, False], [False, True], [True, True]])),
        ("STRING", np.array([["a,b", ""], ["ä", "x"], ["=1", '"']])),
    ],
)
def test_values_of_each_dtype_come_back(dtype: str, array: Any, tmp_path: Path) -> None:
    kind = TensorProto.DataType.Value(dtype)
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    model = save(tmp_path / "m.onnx", nodes, [value("x", ["n", 2], kind)], [value("y", ["n", 2], kind)])
    predict(model, array, tmp_path / "out.csv", batch_size=2, columns="outputs")
    header, rows = read(tmp_path / "out.csv")
    assert header == ["sample", "output_0", "output_1"]
    cells = [row[1:] for row in rows]
    if dtype == "STRING":
        assert cells == array.tolist()
    elif dtype == "BOOL":
        assert cells == [["true" if each else "false" for each in row] for row in array.tolist()]
    else:
        of_cells = np.array(cells).astype(np.float32 if array.dtype.kind == "V" else array.dtype)
        np.testing.assert_array_equal(of_cells, array.astype(of_cells.dtype))


def test_labels_and_probabilities_of_a_scikit_learn_pipeline(tmp_path: Path) -> None:
    """Such a model has one input for each column, labels as text, and a dict of probabilities for each sample."""
    nodes = [
        helper.make_node("Concat", ["length", "width"], ["x"], axis=1),
        helper.make_node("ArgMax", ["x"], ["place"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "place"], ["label"]),
        helper.make_node("ZipMap", ["x"], ["probability"], domain="ai.onnx.ml", classlabels_strings=["ann", "bob"]),
    ]
    scores = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    outputs = [
        value("label", ["n"], TensorProto.STRING),
        helper.make_value_info("probability", helper.make_sequence_type_proto(scores)),
    ]
    names = helper.make_tensor("names", TensorProto.STRING, [2], [b"ann", b"bob"])
    model = save(tmp_path / "m.onnx", nodes, [value("length", ["n", 1]), value("width", ["n", 1])], outputs, [names])
    table = {
        "width": [0.25, 0.75, 0.5],
        "id": ["p", "q", "r"],
        "length": [0.75, 0.25, 0.5],
        "kind": ["ann", "ann", "bob"],
    }
    pl.DataFrame(table).write_csv(tmp_path / "x.csv")
    predict(model, tmp_path / "x.csv", tmp_path / "out.csv", target="kind", ignore=["id"], batch_size=2)
    assert read(tmp_path / "out.label.csv") == (
        ["sample", "target", "output_0"],
        [["0", "ann", "ann"], ["1", "ann", "bob"], ["2", "bob", "ann"]],
    )
    assert read(tmp_path / "out.probability.csv") == (
        ["sample", "label", "target", "class_ann", "class_bob"],
        [["0", "ann", "ann", "0.75", "0.25"], ["1", "bob", "ann", "0.25", "0.75"], ["2", "ann", "bob", "0.5", "0.5"]],
    )


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    model = classifier(tmp_path / "model.onnx")
    peaks = []
    for rows in (20_000, 200_000):
        array = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (rows, 4))
        array[:] = 0.5
        del array
        tracemalloc.start()
        try:
            predict(model, tmp_path / "x.npy", tmp_path / "out.csv", batch_size=2048, overwrite=True)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0], peaks


# Files


def external(path: Path, location: str, *, is_in_function: bool = False) -> Path:
    """Write a model that has a weight in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    ends = [value("x", ["n", 4])], [value("y", ["n", 4])]
    if not is_in_function:
        return save(path, [helper.make_node("Add", ["x", "w"], ["y"])], *ends, [tensor])
    inner = [helper.make_node("Constant", [], ["w"], value=tensor), helper.make_node("Add", ["x", "w"], ["y"])]
    function = helper.make_function("mine", "AddW", ["x"], ["y"], inner, [helper.make_opsetid("", 18)])
    return save(path, [helper.make_node("AddW", ["x"], ["y"], domain="mine")], *ends, functions=[function])


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return the folder of a model, with weights in it and beside it."""
    for name in ("model/w.bin", "model/sub/w.bin", "outside/w.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.arange(4, dtype=np.float32).tofile(tmp_path / name)
    (tmp_path / "model/link.bin").symlink_to("../outside/w.bin")
    (tmp_path / "model/folder").symlink_to("../outside")
    (tmp_path / "model/inside.bin").symlink_to("sub/w.bin")
    (tmp_path / "model/circle").symlink_to("circle")
    return tmp_path / "model"


@pytest.mark.parametrize("location", ["w.bin", "sub/w.bin", "sub/../w.bin", "inside.bin"])
def test_weights_in_the_folder_of_the_model(location: str, folder: Path, tmp_path: Path) -> None:
    predict(external(folder / "m.onnx", location), X, tmp_path / "out.csv")
    found = numbers(tmp_path / "out.csv", [f"output_{place}" for place in range(4)])
    np.testing.assert_allclose(found, X + np.arange(4), rtol=1e-6)


@pytest.mark.parametrize("is_in_function", [False, True])
@pytest.mark.parametrize(
    "location", ["../outside/w.bin", "link.bin", "folder/w.bin", "{outside}", "C:\\w.bin", "/w.bin"]
)
def test_weights_outside_its_folder_are_refused_before_loading(
    location: str, is_in_function: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = location.format(outside=tmp_path / "outside/w.bin")
    model = external(folder / "m.onnx", location, is_in_function=is_in_function)
    monkeypatch.setattr("onnxruntime.InferenceSession", None)
    for trust in (False, True):
        with pytest.raises(RecorderError, match=r"is not loaded, because its tensor w is in .*, outside its folder"):
            predict(model, X, tmp_path / "out.csv", trust=trust)


def test_what_cannot_be_predicted_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    x, y = [value("x", ["n", 4])], [value("y", ["n", 4])]
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    split = [helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0)]
    total = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    identity = [helper.make_node("Identity", ["x"], ["y"])]
    dropout = [
        helper.make_node("Constant", [], ["train"], value=constant("", np.ones((), bool))),
        helper.make_node("Dropout", ["x", "", "train"], ["y"]),
    ]
    four = [constant(name, np.ones(4, np.float32)) for name in "abcd"]
    normed = [helper.make_node("BatchNormalization", ["x", *"abcd"], ["y", "e", "f"], training_mode=1)]
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\xff no model")
    cases = [
        (external(tmp_path / "missing.onnx", "no.bin"), "is not complete: 'no.bin', with its tensor w, is missing"),
        (external(tmp_path / "null.onnx", "a\0b"), "which is not a usable path"),
        (external(tmp_path / "long.onnx", "a" * 5000), "which is not a usable path"),
        (external(folder / "circle.onnx", "circle"), "which is not a usable path|is not complete"),
        (tmp_path / "damaged.onnx", "is not a readable ONNX file"),
        (
            save(tmp_path / "own.onnx", [helper.make_node("Own", ["x"], ["y"], domain="mine")], x, y),
            "operators of mine",
        ),
        (
            save(tmp_path / "bad.onnx", [helper.make_node("Nothing", ["x"], ["y"])], x, y),
            "cannot be loaded by onnxruntime",
        ),
        (
            save(tmp_path / "sequence.onnx", split, x, [helper.make_value_info("parts", sequence)]),
            r"The output parts of .* is a seq.tensor.float.., which has no row for each sample",
        ),
        (save(tmp_path / "dropout.onnx", dropout, x, y), "exported in training mode, so that Dropout"),
        (save(tmp_path / "normed.onnx", normed, x, y, four), "exported in training mode, so that BatchNormalization"),
        (save(tmp_path / "sum.onnx", total, x, [value("y", [])]), "The output y has no row for each sample"),
        (save(tmp_path / "one.onnx", identity, [value("x", [])], [value("y", [])]), "x of .* is a single number"),
    ]
    for model, message in cases:
        with pytest.raises(RecorderError, match=message) as caught:
            predict(model, X, tmp_path / "out.csv")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.csv").exists()
