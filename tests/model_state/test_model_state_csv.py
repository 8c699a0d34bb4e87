"""States as CSV files: every dtype and style, bit for bit, and whatever can happen to such a file on its way."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hostile_names import FOR_SPREADSHEETS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tb2csv.errors import OutputError, StateError
from tb2csv.model_state import STYLES, ModelState, StateTensor, read_state, write_state
from tb2csv.model_state.csv_cells import read_cell, scan_rows
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.number_codec import numbers_to_text, text_to_numbers, widest

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = {name: dtype for name, dtype in DTYPES.items() if not dtype.strings}
TEXTS = [name for name, dtype in DTYPES.items() if dtype.strings]
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
NAMES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12)


def tensor(name: str, dtype: str, shape: tuple[int, ...], data: bytes, **facts: Any) -> StateTensor:
    return StateTensor(name, dtype, shape, lambda: data, **facts)


def array_tensor(name: str, array: Any) -> StateTensor:
    values = np.asarray(array)
    return tensor(name, values.dtype.name, values.shape, values.astype(values.dtype.newbyteorder("<")).tobytes())


@st.composite
def tensors(draw: st.DrawFn, name: str) -> StateTensor:
    dtype = draw(st.sampled_from(list(DTYPES)))
    shape = draw(SHAPES)
    size = math.prod(shape)
    if dtype in TEXTS:
        texts = st.text() if dtype == "str" else st.binary()
        values = np.empty(size, object)
        values[:] = draw(st.lists(texts, min_size=size, max_size=size))
        data = DTYPES[dtype].encode(values)
    else:
        data = draw(st.binary(min_size=size * DTYPES[dtype].item_size, max_size=size * DTYPES[dtype].item_size))
        data = bytes(byte & 1 for byte in data) if dtype == "bool" else data
    facts = {"trainable": draw(st.sampled_from([None, True, False])), "aliases": {"path": draw(NAMES)}}
    return tensor(name, dtype, shape, data, layer=draw(NAMES), parameter=name, **facts)


STATES = st.lists(NAMES, min_size=1, max_size=5, unique=True).flatmap(
    lambda names: st.tuples(*map(tensors, names)).map(lambda found: ModelState("numpy", found))
)


@pytest.mark.parametrize("style", STYLES)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=STATES, max_cell=st.sampled_from([1, 20, 100, 1 << 26]))
@pytest.mark.slow
def test_every_state_comes_back_bit_for_bit(state: ModelState, max_cell: int, style: str, tmp_path: Path) -> None:
    out = tmp_path / "state.csv"
    write_state(state, out, style=style, max_cell=max_cell, overwrite=True)
    back = read_state(out)
    assert [each.parameter or each.name for each in back.tensors] == [each.name for each in state.tensors]
    for old, new in zip(state.tensors, back.tensors, strict=True):
        assert (new.dtype, new.layer) == (old.dtype, old.layer)
        assert bytes(new.content()) == bytes(old.content())
        if style != "elements":
            assert (new.shape, new.trainable, new.aliases) == (old.shape, old.trainable, old.aliases)
        elif old.size:
            assert new.shape == old.shape


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("escape_formulas", [False, True])
def test_names_that_begin_like_formulas_come_back(tmp_path: Path, style: str, *, escape_formulas: bool) -> None:
    names = [*FOR_SPREADSHEETS, *(f"{quotes}{name}" for name in "=+-@\t\r" for quotes in ("", "'", "''")), "'", "'x"]
    arrays = {name: np.array([-1.5, -float("inf"), number]) for number, name in enumerate(dict.fromkeys(names))}
    given = [dataclasses.replace(array_tensor(name, array), layer=name) for name, array in arrays.items()]
    plus = array_tensor("plus", np.array([0xFB, 0xEF], np.uint8))  # in base64 it is ++8=
    write_state(ModelState("", (*given, plus)), tmp_path / "state.csv", style=style, escape_formulas=escape_formulas)
    back = {each.parameter or each.name: each for each in read_state(tmp_path / "state.csv").tensors}
    assert [*back] == [*arrays, "plus"]
    for name, array in arrays.items():
        assert bytes(back[name].content()) == array.tobytes()
        assert back[name].layer == name
    assert bytes(back["plus"].content()) == b"\xfb\xef"
    with (tmp_path / "state.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [cell for row in rows for name, cell in row.items() if name not in {"tensor_data", "value"}]
    numbers = [row.get("tensor_data") or row.get("value") or "" for row in rows]
    assert any(cell[:1] in set("=+-@\t\r") for cell in texts) != escape_formulas
    if style == "base64":
        assert numbers[-1] == ("'++8=" if escape_formulas else "++8=")
    else:
        assert not any("'" in number for number in numbers)
        assert numbers[0].startswith("-1.5")


@pytest.mark.parametrize("name", [name for name, dtype in NUMBERS.items() if dtype.item_size <= 2])
def test_every_number_of_small_dtypes_comes_back(name: str) -> None:
    dtype = DTYPES[name]
    every = np.arange(2 if name == "bool" else 256**dtype.item_size).astype(f"<u{dtype.item_size}").view(dtype.stored)
    assert text_to_numbers(numbers_to_text(every, dtype), dtype).tobytes() == every.tobytes()


@pytest.mark.parametrize("name", NUMBERS)
@settings(deadline=None)
@given(data=st.data())
def test_no_number_is_wider_than_its_dtype_allows(name: str, data: st.DataObject) -> None:
    dtype = DTYPES[name]
    raw = data.draw(st.binary(min_size=dtype.item_size, max_size=dtype.item_size))
    values = np.frombuffer(bytes(byte & 1 for byte in raw) if name == "bool" else raw, dtype.stored)
    assert len(numbers_to_text(values, dtype)) < widest(dtype)


@given(st.floats(width=32, allow_nan=False))
@example(1.1754943508222875e-38)
@example(1.401298464324817e-45)
@example(16777217.0)
def test_a_float32_is_the_shortest_text_that_reads_back(number: float) -> None:
    dtype = DTYPES["float32"]
    text = numbers_to_text(np.array([number], "<f4"), dtype).decode()
    assert struct.pack("<f", float(np.float32(text))) == struct.pack("<f", number)  # numpy's parser is the oracle
    shortest = np.format_float_scientific(np.float32(number), unique=True)
    assert len(digits(text)) <= len(digits(shortest)) or not math.isfinite(number)


def digits(text: str) -> str:
    return text.lower().split("e")[0].replace(".", "").replace("-", "").strip("0")


def test_a_number_just_beside_the_middle_of_two_floats_is_rounded_once() -> None:
    """The middle of 1 and the next float32, and a little more: rounded to float64 first, it would go to 1."""
    above = "1.00000005960464477539062500000000000000000000000000001"
    found = text_to_numbers(above.encode(), DTYPES["float32"])
    assert found[0] == np.nextafter(np.float32(1), np.float32(2))


def test_nans_show_their_bits_except_the_usual_one() -> None:
    bits = np.array([0x7FC00000, 0xFFC00000, 0x7FC00001, 0x7F800001], "<u4")
    text = numbers_to_text(bits.view("<f4"), DTYPES["float32"])
    assert text == b"NaN,NaN:0xffc00000,NaN:0x7fc00001,NaN:0x7f800001"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"1,,2", "float32"),
        (b",1", "int8"),
        (b"1,2,", "float32"),
        (b"300", "int8"),
        (b"1.5", "int64"),
        (b"2", "bool"),
        (b"0.1", "bfloat16"),
        (b"70000", "float16"),
        (b"0.3", "float8_e4m3fn"),
        (b"1,2,3", "complex64"),
        (b"abc", "float64"),
        ("é".encode(), "float64"),
        (b"NaN:0x3f800000", "float32"),
        (b"NaN:0xzz", "float32"),
        (b"NaN:0xffffffffff", "float16"),
        (b"1\n2", "float32"),
    ],
)
def test_invalid_numbers_are_refused(text: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        text_to_numbers(text, DTYPES[name])


# Cells


@given(st.lists(st.lists(st.text(), min_size=1, max_size=4), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_cells_equal_those_of_the_csv_module(rows: list[list[str]], line_end: str) -> None:
    file = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if line_end == "\r\n" else csv.QUOTE_ALL  # else the other line end is not quoted
    csv.writer(file, lineterminator=line_end, quoting=quoting).writerows(rows)
    raw = io.BytesIO(file.getvalue().encode("utf-8", "surrogatepass"))
    found = [[read_cell(raw, cell) for cell in row] for row in scan_rows(raw, "x")]
    expected = [[cell.encode("utf-8", "surrogatepass") for cell in row] for row in rows]
    # The module quotes a lone empty cell; such a row has nothing in it that a blank line had not.
    assert [row for row in found if row != [b""]] == [row for row in expected if row != [b""]]


def test_a_cell_of_any_length_is_found_across_blocks() -> None:
    long = b"x" * ((1 << 22) - 3) + b'""' + b"y" * 9_000_000
    raw = io.BytesIO(b'a,"' + long + b'"\r\nb,"c"\n')
    first, second = [[read_cell(raw, cell) for cell in row] for row in scan_rows(raw, "x")]
    assert first == [b"a", long.replace(b'""', b'"')]
    assert second == [b"b", b"c"]


@pytest.mark.parametrize("text", [b'a,"b', b'a,"b"c\n'])
def test_files_that_are_not_csv_are_refused(text: bytes) -> None:
    with pytest.raises(StateError):
        list(scan_rows(io.BytesIO(text), "x"))


# Files that were edited


STATE = ModelState(
    "numpy",
    (
        array_tensor("w", np.arange(12, dtype=np.float32).reshape(3, 4) / 7),
        array_tensor("b", np.array([1, -2, 3], np.int64)),
        array_tensor("scale", np.float64(0.1)),
    ),
)


@pytest.mark.parametrize("style", STYLES)
def test_the_columns_and_cells_are_as_documented(style: str, tmp_path: Path) -> None:
    write_state(STATE, tmp_path / "s.csv", style=style)
    with (tmp_path / "s.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if style == "elements":
        names = ["layer_index", "layer", "layer_type", "parameter", "parameter_type", "index", "value"]
        assert list(rows[0]) == names
        assert [row["index"] for row in rows][:5] == ["0,0", "0,1", "0,2", "0,3", "1,0"]
        np.testing.assert_array_equal(
            np.array([row["value"] for row in rows[:12]], np.float32), STATE.tensors[0].array().ravel()
        )
        assert rows[-1] == dict(zip(names, ["0", "", "", "scale", "float64", "", "0.1"], strict=True))
        return
    assert list(rows[0]) == ["tensor_name", "tensor_data", "tensor_metadata"]
    metadata = json.loads(rows[0]["tensor_metadata"])
    assert metadata["shape"] == [3, 4]
    assert metadata["dtype"] == "float32"
    assert metadata["framework"] == "numpy"
    assert rows[1]["tensor_data"] == {"tensors": "1,-2,3", "base64": "AQAAAAAAAAD+/////////wMAAAAAAAAA"}[style]


@pytest.mark.parametrize("style", STYLES)
def test_a_file_that_pandas_rewrote_in_another_order_is_read(style: str, tmp_path: Path) -> None:
    write_state(STATE, tmp_path / "s.csv", style=style, max_cell=60)
    frame = pd.read_csv(tmp_path / "s.csv", dtype=str, keep_default_na=False).sample(frac=1, random_state=3)
    frame.to_csv(tmp_path / "t.csv", lineterminator="\r\n", encoding="utf-8-sig", quoting=csv.QUOTE_ALL)
    found = {each.name: bytes(each.content()) for each in read_state(tmp_path / "t.csv").tensors}
    assert found == {each.name: bytes(each.content()) for each in STATE.tensors}


@pytest.mark.parametrize("style", ["tensors", "base64"])
def test_no_cell_is_larger_than_the_maximum(style: str, tmp_path: Path) -> None:
    big = ModelState("numpy", (array_tensor("w", np.random.default_rng(0).normal(size=4000)),))
    write_state(big, tmp_path / "s.csv", style=style, max_cell=1000)
    frame = pd.read_csv(tmp_path / "s.csv")
    assert len(frame) > 10
    assert frame["tensor_data"].str.len().max() <= 1000
    parts = [json.loads(text)["part"] for text in frame["tensor_metadata"]]
    assert parts == list(range(1, len(frame) + 1))


def test_every_changed_letter_of_the_data_is_found(tmp_path: Path) -> None:
    write_state(STATE, tmp_path / "s.csv", style="base64")
    text = (tmp_path / "s.csv").read_bytes()
    start = text.index(b"\nb,") + 4
    for place in range(start, text.index(b'"', start)):
        changed = b"B" if text[place : place + 1] != b"B" else b"C"
        (tmp_path / "t.csv").write_bytes(text[:place] + changed + text[place + 1 :])
        with pytest.raises(StateError, match="damaged"):
            read_state(tmp_path / "t.csv").tensors[1].content()


@pytest.mark.parametrize("style", ["tensors", "base64"])
def test_a_missing_or_repeated_part_is_named(style: str, tmp_path: Path) -> None:
    write_state(STATE, tmp_path / "s.csv", style=style, max_cell=60)
    lines = (tmp_path / "s.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "gone.csv").write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(StateError, match=r"w: part 2 of \d is missing"):
        read_state(tmp_path / "gone.csv")
    (tmp_path / "twice.csv").write_bytes(b"".join([*lines, lines[2]]))
    with pytest.raises(StateError, match="w: a part is there twice"):
        read_state(tmp_path / "twice.csv")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines[:3], *lines[4:]], "it has 11 rows, but its indices need 12"),
        (lambda lines: [*lines[:3], lines[2], *lines[4:]], "missing or doubled"),
        (lambda lines: [*lines[:3], lines[3].replace(b"0,2", b"0,z"), *lines[4:]], "not a number"),
        (lambda lines: [*lines[:3], lines[3].replace(b"0,2", b"0,2,0"), *lines[4:]], "differ in length"),
        (lambda lines: [*lines[:3], lines[3].rpartition(b",")[0] + b",\n", *lines[4:]], "missing"),
        (lambda lines: [*lines[:3], lines[3].replace(b"float32", b"float31"), *lines[4:]], "parameter_type"),
    ],
)
def test_damage_among_elements_is_found(change: Any, said: str, tmp_path: Path) -> None:
    write_state(STATE, tmp_path / "s.csv", style="elements")
    lines = (tmp_path / "s.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "t.csv").write_bytes(b"".join(change(lines)))
    with pytest.raises(StateError, match=said):
        read_state(tmp_path / "t.csv").tensors[0].content()


def test_meaningless_metadata_is_reported_with_all_its_rows(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text('tensor_name,tensor_data,tensor_metadata\na,1,{}\nb,1,"{""dtype"": 3}"\nc,1\n')
    with pytest.raises(StateError, match=r"(?s)3 problems.*a: .*row 1.*b: .*row 2.*row 3"):
        read_state(tmp_path / "s.csv")


def test_a_changed_number_is_accepted_if_there_is_no_checksum(tmp_path: Path) -> None:
    write_state(STATE, tmp_path / "s.csv")
    frame = pd.read_csv(tmp_path / "s.csv", dtype=str)
    metadata = json.loads(frame.loc[1, "tensor_metadata"])
    del metadata["sha256"]
    frame.loc[1, ["tensor_data", "tensor_metadata"]] = ["7, 8 ,9", json.dumps(metadata)]
    frame.to_csv(tmp_path / "s.csv", index=False)
    assert read_state(tmp_path / "s.csv").tensors[1].array().tolist() == [7, 8, 9]


def test_other_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("step,value\n1,2\n")
    with pytest.raises(StateError, match="tensor_name, tensor_data, tensor_metadata"):
        read_state(tmp_path / "s.csv")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(StateError, match="not a table of a state"):
        read_state(tmp_path / "empty.csv")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> bytes:
        message = "gone"
        raise StateError(message)

    state = ModelState("numpy", (*STATE.tensors, StateTensor("x", "float32", (1,), broken)))
    (tmp_path / "old.csv").write_text("before")
    with pytest.raises(StateError):
        write_state(state, tmp_path / "old.csv", overwrite=True)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.csv", "before")]
    with pytest.raises(OutputError, match="exists already"):
        write_state(STATE, tmp_path / "old.csv")


def test_values_have_four_columns_and_are_not_read_back(tmp_path: Path) -> None:
    kernel = np.array([[0.1, -2.0, np.nan], [1e-10, 0.0, np.inf]], np.float32)
    tensors = [
        StateTensor("net/dense/kernel", "float32", (2, 3), kernel.tobytes, layer="net/dense", parameter="kernel"),
        StateTensor("step", "int64", (), np.int64(7).tobytes),
    ]
    write_state(ModelState("", tuple(tensors)), tmp_path / "s.csv", style="values")
    assert (tmp_path / "s.csv").read_text().splitlines() == [
        '"layer","parameter","index","value"',
        'net/dense,kernel,"0,0",0.1',
        'net/dense,kernel,"0,1",-2.0',
        'net/dense,kernel,"0,2",NaN',
        'net/dense,kernel,"1,0",1e-10',
        'net/dense,kernel,"1,1",0.0',
        'net/dense,kernel,"1,2",inf',
        '"",step,"",7',
    ]
    with pytest.raises(StateError, match="write it as elements"):
        read_state(tmp_path / "s.csv")
