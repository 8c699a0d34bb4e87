"""What scenarios cannot show well: where pieces of tables begin and end, and what is recognised by its content."""

from __future__ import annotations

import base64
import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from event_files import (
    Value,
    event,
    histogram,
    hparams_experiment,
    hparams_start,
    image,
    legacy_histogram,
    raw_event,
    raw_value,
    scalar,
    string_tensor,
    tensor,
    tensor_of,
    text,
    write_run,
)
from event_files import field as wire_field
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tables import parse_lines, read_index, read_rows
from tensorboard.compat.proto.types_pb2 import DataType

import tb2csv
from tb2csv import decoders
from tb2csv.decoders import DecodeOptions, histograms, media, per_value, protocol, scalars, tensor_batches, tensors
from tb2csv.decoders.per_value import Decoded
from tb2csv.event_files.values import ValueBlock, ValueColumns, ValueKind, ValueSchema, pack_row
from tb2csv.layouts import run_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tb2csv.runs.decoded_rows import Rows


@pytest.fixture(params=[1, 2, 5, 7])
def piece_rows(request: pytest.FixtureRequest) -> Iterator[int]:
    """Make pieces so small that a log of a few values has many."""
    with small_pieces(request.param):
        yield request.param


class small_pieces:  # noqa: N801 - used as a function
    """Set how large pieces, batches and held payloads may get, as long as the block lasts."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        for module in (histograms, per_value, scalars, tensor_batches, tensors):
            self._patch.setattr(module, "PART_ROWS", self._rows)
        self._patch.setattr(histograms, "_BATCH", self._rows)
        self._patch.setattr(run_writer, "_UNDECODABLE_BYTES", self._rows)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def convert(folder: Path, *events: Any, **options: Any) -> Path:
    write_run(folder / "logs", *events)
    tb2csv.convert(folder / "logs", folder / "out", **options)
    return folder / "out"


def column(out: Path, path: str, name: str) -> list[str]:
    return [row[name] for row in read_rows(out / path)]


# Pieces


@pytest.mark.usefixtures("piece_rows")
def test_tensors_in_many_pieces_have_all_rows(tmp_path: Path) -> None:
    """A tensor that is larger than a piece is cut, smaller ones come several in one."""
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    out = convert(tmp_path, *(event(tensor("x", array + 100 * step), step=step) for step in range(4)))
    rows = read_rows(out / "tensors" / "x.csv")
    assert [tuple(map(int, (row["step"], row["i0"], row["i1"], row["value"]))) for row in rows] == [
        (step, i, j, 100 * step + 4 * i + j) for step in range(4) for i in range(3) for j in range(4)
    ]


@pytest.mark.usefixtures("piece_rows")
def test_tensors_of_changing_shape_have_all_rows_in_many_pieces(tmp_path: Path) -> None:
    sizes = [0, 3, 3, 1, 0, 0, 2, 8]
    out = convert(tmp_path, *(event(tensor("x", np.ones(size)), step=step) for step, size in enumerate(sizes)))
    assert column(out, "tensors/x.csv", "step") == [str(step) for step, size in enumerate(sizes) for _ in range(size)]
    assert column(out, "tensors/x.csv", "i0") == [str(i) for size in sizes for i in range(size)]


@pytest.mark.usefixtures("piece_rows")
def test_texts_of_changing_shape_have_all_rows_in_many_pieces(tmp_path: Path) -> None:
    """One that is not UTF-8 leaves a gap, and takes nothing from those beside it."""
    shapes = [(1, 2), (0, 3), (2, 1), (2, 1), (3, 1), (1, 1)]
    strings = [[b"%d,%d" % (step, i) for i in range(int(np.prod(shape)))] for step, shape in enumerate(shapes)]
    strings[3][1] = b"\xff"
    out = convert(
        tmp_path,
        *(
            event(tensor("x", string_tensor(each, shape), "text"), step=step)
            for step, (each, shape) in enumerate(zip(strings, shapes, strict=True))
        ),
    )
    assert [tuple(row.values())[1:] for row in read_rows(out / "text" / "x.csv")] == [
        (str(step), str(i), str(j), f"{step},{i * shape[1] + j}")
        for step, shape in enumerate(shapes)
        for i in range(shape[0])
        for j in range(shape[1])
        if step != 3
    ]
    assert column(out, "blobs/x.undecodable.csv", "step") == ["3"]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the rows of each piece that is going to be made, except those without rows."""
    sizes: list[int] = []

    def write_rows(tables: run_writer.RunWriter, rows: Rows) -> None:
        if len(rows.part.frame):
            sizes.append(len(rows.part.frame))
        write(tables, rows)

    write = run_writer.RunWriter._write_rows
    monkeypatch.setattr(run_writer.RunWriter, "_write_rows", write_rows)
    return sizes


#: Values of which each makes so many rows: of every decoder whose values may have any number of them.
ROWS_OF: dict[str, Callable[[int], Value]] = {
    "scalars": lambda _: scalar("x", 1.5),
    "scalars with payloads": lambda _: tensor("x", tensor_of("DT_FLOAT", (), float_val=[1.5]), "scalars"),
    "tensors": lambda rows: tensor("x", np.ones(rows)),
    "tensors without a shape": lambda rows: tensor("x", unshaped(tensor_of("DT_UINT8", None, int_val=[1] * rows))),
    "text": lambda rows: text("x", ["a"] * rows),
    "text without a shape": lambda rows: tensor("x", unshaped(string_tensor([b"a"] * rows)), "text"),
    "blobs": lambda rows: tensor("x", unshaped(string_tensor([b"a"] * rows))),
    "histograms": lambda rows: histogram("x", [[0, 1, 2]] * rows),
    "legacy histograms": lambda rows: legacy_histogram("x", range(rows), [1] * rows),
    "images": lambda rows: image("x", 1, 1, *[b"a"] * rows),
    "audio": lambda rows: tensor("x", string_tensor([b"a"] * rows), "audio"),
    "pr_curves": lambda rows: tensor("x", np.ones((6, rows)), "pr_curves"),
}


def unshaped(proto: Any) -> Any:
    """Return a tensor that says that its rank is not known."""
    proto.tensor_shape.Clear()
    proto.tensor_shape.unknown_rank = True
    return proto


@pytest.mark.parametrize("sizes", [[4] * 30, [3, 3, 4, 25, 1, 1, 9, 2, 11, 10, 10, 0, 5]], ids=["alike", "changing"])
@pytest.mark.parametrize("name", ROWS_OF)
def test_pieces_are_bounded(name: str, sizes: list[int], made: list[int], tmp_path: Path) -> None:
    """By their rows, whatever they are made of: only what one value alone has may be more."""
    values = [ROWS_OF[name](rows) for rows in sizes]
    with small_pieces(10):
        out = convert(tmp_path, *(event(value, step=step) for step, value in enumerate(values)))
    is_scalar = name.startswith("scalars")
    assert max(made) <= 10 or all(rows in sizes for rows in made if rows > 10)
    main = [row for row in read_index(out) if ".stats." not in row["path"]]
    assert sum(int(row["rows"]) for row in main) == (len(sizes) if is_scalar else sum(sizes))
    steps = [step for row in main for step in column(out, row["path"], "step")]
    assert steps == [str(step) for step, rows in enumerate(sizes) for _ in range(1 if is_scalar else rows)]


@pytest.mark.parametrize("name", ["histograms", "legacy histograms", "images"])
def test_small_values_share_a_piece(name: str, made: list[int], tmp_path: Path) -> None:
    convert(tmp_path, *(event(ROWS_OF[name](2), step=step) for step in range(30)))
    assert made == ([60, 30] if name.startswith("legacy") else [60])


def test_scalars_that_fit_into_a_piece_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(protocol.Values, "take", lambda _, which: taken.append(which))
    with small_pieces(10):
        out = convert(tmp_path, *(event(scalar("x", step), step=step) for step in range(10)))
    assert column(out, "scalars/x.csv", "value") == [f"{step}.0" for step in range(10)]
    assert not taken


@pytest.mark.parametrize("style", ["elements", "text"])
def test_values_of_changing_shape_share_their_pieces(
    style: str, made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a frame costs more than a short value."""
    monkeypatch.setattr(tensor_batches, "PART_ROWS", 100)
    values = [
        text("x", ["a"] * (step % 3 + 1)) if style == "text" else tensor("x", np.ones(step % 3 + 1))
        for step in range(90)
    ]
    convert(tmp_path, *(event(value, step=step) for step, value in enumerate(values)))
    assert made == [99, 81]


@pytest.mark.slow
def test_indices_are_made_for_a_piece_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut tensor's take eight bytes for each dimension of an element, which is many times the tensor itself."""
    monkeypatch.setattr(tensors, "PART_ROWS", 1000)
    values: Any = SimpleNamespace(wall_time=np.zeros(1), step=np.zeros(1, np.int64))
    array = np.zeros((1, 100, 100, 100), np.uint8)
    tracemalloc.start()
    try:
        rows = sum(len(piece.frame) for piece in tensors._elements(values, [tensor_batches.Stack(0, 1, array)]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == array.size
    assert peak < array.size


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 14))
@example([0, 50], 14)
def test_payloads_are_stacked_from_any_offset(starts: list[int], size: int) -> None:
    """In any order, over one another, and up to the last byte of the buffer."""
    buffer = bytes(range(64))
    columns = ValueColumns()
    columns.extend(b"".join(pack_row(0, 0.0, 0, 0.0, 1000 + start, size) for start in starts))
    schema = ValueSchema(b"t", ValueKind.TENSOR_CONTENT, DataType.Value("DT_UINT8"), (size,))
    rows = np.arange(len(starts))
    values = protocol.Values(
        ValueBlock(columns, memoryview(buffer), 1000), rows, [schema], lambda: rows, DecodeOptions()
    )
    (stack,) = tensor_batches.stacks(values)
    assert isinstance(stack, tensor_batches.Stack)
    assert stack.array.tolist() == [list(buffer[start : start + size]) for start in starts]


@pytest.mark.usefixtures("piece_rows")
def test_histograms_of_changing_size_have_all_rows_in_many_pieces(tmp_path: Path) -> None:
    sizes = [3, 3, 3, 2, 0, 2, 2, 2, 3, 1, 1, 3, 3]
    buckets = [[(step, i, 10 * step + i) for i in range(size)] for step, size in enumerate(sizes)]
    made = [histogram("h", np.reshape(each, (-1, 3))) for each in buckets]
    out = convert(tmp_path, *(event(value, step=step) for step, value in enumerate(made)))
    rows = [[int(float(cell)) for cell in list(row.values())[1:]] for row in read_rows(out / "histograms" / "h.csv")]
    assert rows == [[step, i, *bucket] for step, each in enumerate(buckets) for i, bucket in enumerate(each)]


def test_histograms_of_one_size_and_several_tags_are_numbered_alike(tmp_path: Path) -> None:
    counts = {"a": 1, "b": 3, "c": 2}
    values = [histogram(tag, [[0, 1, 2], [1, 2, 3]]) for tag, count in counts.items() for _ in range(count)]
    out = convert(tmp_path, event(*values))
    assert {tag: column(out, f"histograms/{tag}.csv", "bucket") for tag in counts} == {
        tag: ["0", "1"] * count for tag, count in counts.items()
    }


@pytest.mark.usefixtures("piece_rows")
def test_legacy_histograms_have_all_rows_in_many_batches(tmp_path: Path) -> None:
    """Of every third nothing can be read, so that some batches are all of those."""
    values = [
        legacy_histogram("h", [1, 2, 3], [step, 0, 1], min=-step, max=step) if step % 3 else broken_histogram("h")
        for step in range(12)
    ]
    out = convert(tmp_path, *(event(value, step=step) for step, value in enumerate(values)))
    read = [str(step) for step in range(12) if step % 3]
    assert column(out, "histograms/h.stats.csv", "step") == read
    assert column(out, "histograms/h.stats.csv", "max") == [f"{step}.0" for step in read]
    assert column(out, "histograms/h.csv", "step") == [step for step in read for _ in range(3)]
    assert column(out, "histograms/h.csv", "bucket") == ["0", "1", "2"] * len(read)
    assert column(out, "histograms/h.csv", "count") == [cell for step in read for cell in (f"{step}.0", "0.0", "1.0")]
    assert column(out, "blobs/h.undecodable.csv", "step") == ["0", "3", "6", "9"]


def broken_histogram(tag: str) -> Value:
    return legacy_histogram(tag, [1, 2], [1])


class Kind(NamedTuple):
    """Values of one kind, sound or not, and how many rows of a table a sound one makes."""

    folder: str
    sound: Callable[[str], Value]
    broken: Callable[[str], Value]
    rows: int = 1


KINDS = {
    "scalars": Kind(
        "scalars",
        lambda tag: scalar(tag, 7, "int64"),
        lambda tag: tensor(tag, tensor_of("DT_INT64", (), tensor_content=b"short"), "scalars"),
    ),
    "tensors": Kind(
        "tensors",
        lambda tag: tensor(tag, np.zeros(3, np.float32)),
        lambda tag: tensor(tag, tensor_of("DT_FLOAT", (3,), tensor_content=b"12345678")),
        3,
    ),
    "text": Kind("text", lambda tag: text(tag, "good"), lambda tag: text(tag, b"\xff")),
    "blobs": Kind(
        "blobs",
        lambda tag: tensor(tag, string_tensor([b"x"], ()), "plugin_of_tomorrow"),
        lambda tag: tensor(tag, tensor_of("DT_STRING", (), tensor_content=b"\xff\xff"), "plugin_of_tomorrow"),
    ),
    "histograms": Kind("histograms", lambda tag: legacy_histogram(tag, [1, 2], [3, 4]), broken_histogram, 2),
    "new histograms": Kind(
        "histograms",
        lambda tag: histogram(tag, [[0, 1, 2], [1, 2, 3]]),
        lambda tag: tensor(tag, tensor_of("DT_DOUBLE", (2, 3), tensor_content=b"12345678"), "histograms"),
        2,
    ),
    "images": Kind(
        "images",
        lambda tag: image(tag, 1, 1, b"a", b"b"),
        lambda tag: tensor(tag, string_tensor([b"wide", b"high", b"image"]), "images"),
        2,
    ),
    "pr_curves": Kind(
        "pr_curves",
        lambda tag: tensor(tag, np.zeros((6, 4), np.float32), "pr_curves"),
        lambda tag: tensor(tag, tensor_of("DT_FLOAT", (6, 4), tensor_content=b"1234"), "pr_curves"),
        4,
    ),
}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=4), max_size=8),
    st.integers(1, 12),
    st.sampled_from([1, 150, 1 << 20]),
)
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.slow
def test_every_value_goes_to_its_own_table(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    events: list[list[tuple[str, bool]]],
    piece_rows: int,
    chunk_size: int,
) -> None:
    """Several tags are decoded together; whatever is broken among them, the others keep their rows, in order."""
    kind = KINDS[name]
    with small_pieces(piece_rows):
        out = convert(
            tmp_path_factory.mktemp("values"),
            *(
                event(*((kind.sound if is_sound else kind.broken)(tag) for tag, is_sound in values), step=step)
                for step, values in enumerate(events)
            ),
            chunk_size=chunk_size,
        )
    steps: dict[str, list[str]] = {}
    for step, values in enumerate(events):
        for tag, is_sound in values:
            path = f"{kind.folder}/{tag}.csv" if is_sound else f"blobs/{tag}.undecodable.csv"
            steps.setdefault(path, []).extend([str(step)] * (kind.rows if is_sound else 1))
    found = {row["path"]: int(row["rows"]) for row in read_index(out) if ".stats." not in row["path"]}
    assert found == {path: len(expected) for path, expected in steps.items()}
    for path, expected in steps.items():
        assert column(out, path, "step") == expected


def test_files_are_numbered_through_all_pieces_and_files_of_a_run(tmp_path: Path) -> None:
    for number in range(2):
        write_run(
            tmp_path / "logs",
            *(event(image("i", 1, 1, b"%d/%d" % (number, step)), step=step) for step in range(3)),
            name=f"{number}.tfevents",
            wall_time=float(number),
        )
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", chunk_size=100)
    paths = column(tmp_path / "out", "images/i.csv", "path")
    assert paths == [f"i.files/{ordinal:06d}_0.bin" for ordinal in range(6)]
    stored = [(tmp_path / "out" / "images" / path).read_bytes() for path in paths]
    assert stored == [b"%d/%d" % (number, step) for number in range(2) for step in range(3)]


# Styles


def test_a_tensor_that_is_too_wide_keeps_a_row_for_each_element(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "MAX_WIDE_ELEMENTS", 4)
    out = convert(tmp_path, event(tensor("x", np.ones(4)), tensor("y", np.ones(5))), tensors="wide")
    assert list(read_rows(out / "tensors" / "x.csv")[0]) == ["wall_time", "step", *(f"value_{i}" for i in range(4))]
    assert list(read_rows(out / "tensors" / "y.csv")[0]) == ["wall_time", "step", "i0", "value"]


@pytest.mark.parametrize(
    "array",
    [
        np.array(1.5, np.float16),
        np.array([[1, -2]], np.int16),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.zeros((0, 2), np.uint64),
    ],
    ids=str,
)
def test_npy_and_base64_give_the_array_back(array: np.ndarray[Any, Any], tmp_path: Path) -> None:
    """In its own type, with its own shape: nothing is widened."""
    logs = event(tensor("x", array, "unknown"))
    for style in ("npy", "base64"):
        out = convert(tmp_path / style, logs, tensors=style)
        (row,) = read_rows(out / "tensors" / "x.csv")
        shape = tuple(int(size) for size in row["shape"].split(",") if size)
        if style == "npy":
            found = np.load(out / "tensors" / row["path"], allow_pickle=False)
        else:
            found = np.frombuffer(base64.b64decode(row["data"]), row["dtype"]).reshape(shape)
        assert (row["dtype"], shape) == (array.dtype.name, array.shape)
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


# What is recognised by its content


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpg"),
        (b"GIF89a", "gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"BM6\0", "bmp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"", "bin"),
        (b"PNG", "bin"),
    ],
)
def test_stored_files_get_the_ending_of_their_content(data: bytes, ending: str, tmp_path: Path) -> None:
    out = convert(tmp_path, event(image("i", 1, 1, data)))
    assert column(out, "images/i.csv", "path") == [f"i.files/000000_0.{ending}"]
    assert (out / "images" / f"i.files/000000_0.{ending}").read_bytes() == data


def keras_tensor(layer: str) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"shape": [1], "keras_history": [layer, 0, 0]}}


@pytest.mark.parametrize(
    ("inbound", "inputs"),
    [
        ([], ""),
        ([[["a", 0, 0, {}], ["b", 0, 0, {}]]], "a b"),
        ([["a", 0, 0, {"y": 1}]], "a"),
        ([{"args": [keras_tensor("a")], "kwargs": {}}], "a"),
        ([{"args": [[keras_tensor("a"), keras_tensor("b")]], "kwargs": {"mask": keras_tensor("c")}}], "a b c"),
    ],
    ids=["none", "keras 2", "keras 2, one call", "keras 3", "keras 3, nested"],
)
def test_inputs_of_keras_layers(inbound: list[Any], inputs: str, tmp_path: Path) -> None:
    layer = {"class_name": "Add", "config": {"name": "sum"}, "inbound_nodes": inbound}
    model = json.dumps({"config": {"layers": [layer]}}).encode()
    out = convert(tmp_path, event(tensor("keras", string_tensor([model], ()), "graph_keras_model")))
    (row,) = read_rows(out / "graphs" / "keras.nodes.csv")
    assert (row["name"], row["op"], row["inputs"]) == ("sum", "Add", inputs)


@pytest.mark.parametrize("model", [b"", b"{", b"[]", b"{}", b'{"config": {"layers": [1]}}', b"[" * 90_000])
def test_an_invalid_keras_model_is_kept_undecoded(model: bytes, tmp_path: Path) -> None:
    proto = string_tensor([model], ())
    out = convert(tmp_path, event(tensor("keras", proto, "graph_keras_model"), scalar("x", 1)))
    assert column(out, "blobs/keras.undecodable.csv", "data") == [base64.b64encode(proto.SerializeToString()).decode()]
    assert column(out, "scalars/x.csv", "value") == ["1.0"]


def test_thresholds_are_evenly_spaced(tmp_path: Path) -> None:
    curve = np.zeros((6, 11), np.float32)
    out = convert(tmp_path, event(tensor("pr", curve, "pr_curves")), event(tensor("one", curve[:, :1], "pr_curves")))
    thresholds = [float(cell) for cell in column(out, "pr_curves/pr.csv", "threshold")]
    assert thresholds == pytest.approx([i / 10 for i in range(11)], abs=1e-15)
    assert column(out, "pr_curves/one.csv", "threshold") == ["0.0"]


#: A string that is not UTF-8, in messages that must not hold one.
NO_TEXT = wire_field(1, b"\xff\xfe")
RUN_METADATA = "graph_run_metadata"
HPARAMS = wire_field(1, b"hparams")
NO_TRIAL = wire_field(3, wire_field(4, b"\xff\xfe"))
NO_MESSAGES: dict[str, Any] = {
    "audio": raw_event(raw_value(b"x", wire_field(6, wire_field(5, b"\xff\xfe")))),
    "graph": raw_event(more=wire_field(4, wire_field(1, NO_TEXT))),
    "meta graph": raw_event(more=wire_field(9, wire_field(2, wire_field(1, NO_TEXT)))),
    "run metadata": event(tensor("x", string_tensor([wire_field(3, wire_field(1, NO_TEXT))], ()), RUN_METADATA)),
    "custom scalars": event(tensor("x", string_tensor([wire_field(2, NO_TEXT)], ()), "custom_scalars")),
    "hparams": raw_event(raw_value(b"x", wire_field(9, wire_field(1, HPARAMS + wire_field(2, NO_TRIAL))))),
    "histogram": raw_event(raw_value(b"x", wire_field(5, b"\x0b"))),
    "histogram of a part of a number": raw_event(raw_value(b"x", wire_field(5, wire_field(6, b"short")))),
}


@pytest.mark.parametrize("implementation", ["", "python"], ids=["as installed", "pure Python"])
@pytest.mark.slow
def test_invalid_messages_are_kept_undecoded(implementation: str, tmp_path: Path) -> None:
    """Whichever protobuf reads them: in pure Python, text that is not UTF-8 raises another exception."""
    for name, message in NO_MESSAGES.items():
        write_run(tmp_path / "logs" / name, message, event(scalar("sound", 1)))
    code = "import sys, tb2csv; tb2csv.convert(sys.argv[1], sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "logs"), str(tmp_path / "out")],
        env=os.environ | ({"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation} if implementation else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))
    assert package["tb2csv"]["values_undecodable"] == len(NO_MESSAGES)
    assert package["tb2csv"]["values_written"] == len(NO_MESSAGES)
    details = {each["run"]: each["detail"] for each in package["tb2csv"]["undecodable"]}
    assert details.keys() == NO_MESSAGES.keys()
    assert all(re.match(r"the \d+ bytes (of metadata )?are not an? \w+", detail) for detail in details.values()), (
        details
    )


def test_all_bytes_of_undecodable_values_are_kept(tmp_path: Path) -> None:
    payload = bytes(range(256)) * 5
    out = convert(tmp_path, raw_event(raw_value(b"x", wire_field(4, b"\xff" + payload))))
    (data,) = column(out, "blobs/x.undecodable.csv", "data")
    assert base64.b64decode(data) == b"\xff" + payload


def test_one_number_for_a_large_tensor_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A few bytes may claim any shape; what they claim beyond reason is kept as it is."""
    huge = tensor_of("DT_FLOAT", (2**31, 2**20), float_val=[1])
    negative = tensor_of("DT_FLOAT", (-1, 2), tensor_content=struct.pack("<f", 1))
    out = convert(tmp_path, event(tensor("huge", huge), tensor("negative", negative)))
    assert {row["path"] for row in read_index(out)} == {"blobs/huge.undecodable.csv", "blobs/negative.undecodable.csv"}


def test_a_cell_that_does_not_fit_costs_only_its_own_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a decoder makes of a value: numbers and text in the wrong columns, or too large for them."""
    monkeypatch.setattr(media, "_decode_image", lambda values, row: Decoded(ODD_ROWS[int(values.step[row])]))
    out = convert(tmp_path, *(event(image("i", 1, 1), step=step) for step in range(len(ODD_ROWS))))
    assert column(out, "images/i.csv", "step") == ["0", "1"]
    assert column(out, "blobs/i.undecodable.csv", "step") == [str(step) for step in range(2, len(ODD_ROWS))]


ODD_ROWS: list[list[tuple[Any, ...]]] = [
    [(0, 1, 1, "a")],
    [(2**63 - 1, -(2**63), None, None)],
    [(0, 1, 1, "a"), (0, 1, 2**63, "a")],
    [("one", 1, 1, "a")],
    [(0, 1, 1, 1)],
    [(0, 1, 1, b"a")],
    [(0, 1, 1, "\udcff")],
]


def test_installed_decoders_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a plugin's first value, and loaded then alone; the package's own are not replaced."""
    calls = []
    entries = [
        metadata.EntryPoint("mine", "tb2csv.decoders.tensors:installed", "tb2csv.decoders"),
        metadata.EntryPoint("other", "no_such_module:decoder", "tb2csv.decoders"),
        metadata.EntryPoint("text", "no_such_module:decoder", "tb2csv.decoders"),
    ]
    monkeypatch.setattr(tensors, "installed", tensors.TensorDecoder("mine"), raising=False)

    def entry_points(**chosen: str) -> list[metadata.EntryPoint]:
        calls.append(chosen)
        return entries

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    decoders._entry_points.cache_clear()
    decoders._installed_decoder.cache_clear()
    try:
        out = convert(
            tmp_path,
            event(text("t", "x"), *(tensor(plugin, np.ones(2), plugin) for plugin in ("mine", "unknown", "new"))),
        )
    finally:
        decoders._entry_points.cache_clear()
        decoders._installed_decoder.cache_clear()
    assert calls == [{"group": "tb2csv.decoders"}]
    kinds = {row["tag"]: row["kind"] for row in read_index(out)}
    assert kinds == {"t": "text", "mine": "mine", "unknown": "tensors", "new": "tensors"}


# Anything at all

SIZES = st.sampled_from([0, 1, 1, 2, 3, 6, -1, 2**31, 2**62, 2**63 - 1])
SHAPES = (
    st.none() | st.lists(SIZES, max_size=4) | st.sampled_from([[1] * rank for rank in (31, 32, 33, 63, 64, 65, 255)])
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "tensor_content": st.binary(max_size=40),
        "float_val": st.lists(st.floats(width=32), max_size=7),
        "int_val": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=7),
        "half_val": st.lists(st.integers(0, 2**31 - 1), max_size=3),
        "string_val": st.lists(st.binary(max_size=5), max_size=7),
        "bool_val": st.lists(st.booleans(), max_size=3),
    },
)
DTYPES = [
    "DT_FLOAT",
    "DT_STRING",
    "DT_BOOL",
    "DT_UINT8",
    "DT_HALF",
    "DT_COMPLEX64",
    "DT_INT4",
    "DT_VARIANT",
    "DT_INVALID",
]
PLUGINS = [
    "",
    "scalars",
    "histograms",
    "text",
    "images",
    "audio",
    "pr_curves",
    "custom_scalars",
    "mesh",
    "graphs",
    "hparams",
]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(PLUGINS), st.sampled_from(DTYPES), SHAPES, FIELDS), max_size=4
    ),
    st.sampled_from(["elements", "wide", "base64", "npy"]),
)
@pytest.mark.slow
def test_no_tensor_makes_a_conversion_fail(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Any, ...]], style: str
) -> None:
    """Whatever dtype, shape and elements say of one another: each value is written or kept undecoded."""
    folder = tmp_path_factory.mktemp("any")
    events = [
        event(tensor(tag, tensor_of(dtype, shape, **fields), plugin)) for tag, plugin, dtype, shape, fields in values
    ]
    write_run(folder / "logs", *events)
    report = tb2csv.convert(folder / "logs", folder / "out", tensors=style)
    assert report.values_read == len(values) == report.values_written + report.values_undecodable
    for entry in read_index(folder / "out"):
        rows = read_rows(folder / "out" / entry["path"])
        assert len(rows) == int(entry["rows"])
        assert all(None not in row and None not in row.values() for row in rows)  # as many cells as columns


NAMES = st.sampled_from(
    ["", "run", "status", "hparam:run", "metric:run", "a,b", "a\nb", "x", "group/x", "\0"]
) | st.text(max_size=3)
HPARAMS = st.dictionaries(NAMES, st.none() | st.booleans() | st.floats() | st.text(max_size=3), max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "group"]), HPARAMS, min_size=1),
    st.lists(NAMES, max_size=3),
    st.lists(NAMES | st.tuples(st.sampled_from(["", "group"]), NAMES), max_size=3),
)
@pytest.mark.slow
def test_every_trial_is_a_row(
    tmp_path_factory: pytest.TempPathFactory, trials: dict[str, Any], declared: list[str], metrics: list[Any]
) -> None:
    """Whatever hyperparameters and metrics are called, each has a column of its own, and each trial a row."""
    folder = tmp_path_factory.mktemp("trials")
    write_run(folder / "logs", event(hparams_experiment(declared, metrics)))
    for run, hparams in trials.items():
        write_run(folder / "logs" / run, event(hparams_start(hparams), scalar("x", 0.5)))
    report = tb2csv.convert(folder / "logs", folder / "out")
    assert report.values_read == report.values_written == 1 + 2 * len(trials)
    header, *rows = parse_lines((folder / "out" / "hparams.csv").read_bytes().decode("utf-8"))
    known = {name for hparams in trials.values() for name in hparams} | set(declared)
    # If no metric is declared, every scalar counts as one.
    pairs = {pair if isinstance(pair, tuple) else ("", pair) for pair in metrics} or {("", "x")}
    assert len(header) == len(set(header)) == 5 + len(known) + 5 * len(pairs) + 1
    assert [row[0] for row in rows] == sorted(trials)
    assert all(len(row) == len(header) for row in rows)


def test_names_of_wide_tables_fit(tmp_path: Path) -> None:
    """Of a tag that is as long as names get, each shape has a table with the shape in its name, or one for them all."""
    shapes = [(2,), (3,) * 8, (1,) * 8, (1,) * 30, (0, 2**40)]
    tag = "x" * 300
    out = convert(
        tmp_path,
        *(event(tensor(tag, tensor_of("DT_DOUBLE", shape, double_val=[1])), step=i) for i, shape in enumerate(shapes)),
        tensors="wide",
    )
    steps = [step for row in read_index(out) for step in dict.fromkeys(column(out, row["path"], "step"))]
    assert sorted(steps) == ["0", "1", "2", "3"]  # the last has no elements
