"""Archives, safetensors files and tables of states from strangers, which need no framework: each is one sentence."""

from __future__ import annotations

import base64
import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here

from tb2csv.errors import OptionError, OutputError, StateError
from tb2csv.model_state import diff_states, export_state, read_state, restore_file, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Fail if a test takes more than 64 MiB, which is a quarter of what any file may declare."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * MIB


def array_file(header: dict[str, Any] | str, content: bytes = b"") -> bytes:
    """Return an array in NumPy's format, version 1.0, by its description."""
    text = (header if isinstance(header, str) else repr(header)).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as new:
        for name, content in members.items():
            new.writestr(name, content)
    return path


def zeros_packed(path: Path, name: str, start: bytes, size: int) -> Path:
    """Write an archive with one member that starts as given and goes on with zeros; none of it is in memory."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new, new.open(name, "w", force_zip64=True) as file:
        file.write(start)
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return path


FLOATS = {"descr": "<f4", "fortran_order": False}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("count", [10**12, 10**9, 3])
def test_arrays_that_declare_more_than_they_have_are_refused(count: int, tmp_path: Path) -> None:
    archive(tmp_path / "x.npz", {"a.npy": array_file({**FLOATS, "shape": (count,)}, bytes(8))})
    with pytest.raises(StateError, match=r"a\.npy"):
        state_of(tmp_path / "x.npz")


@pytest.mark.usefixtures("little_memory")
def test_texts_of_any_declared_width_are_refused(tmp_path: Path) -> None:
    archive(tmp_path / "x.npz", {"a.npy": array_file({**FLOATS, "descr": "<U500000000", "shape": (1,)}, bytes(8))})
    with pytest.raises(StateError, match=r"a\.npy"):
        state_of(tmp_path / "x.npz")


@pytest.mark.slow
@pytest.mark.usefixtures("little_memory")
def test_an_archive_that_unpacks_to_too_much_is_refused_unless_the_limit_is_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = 300 * MIB
    path = zeros_packed(tmp_path / "x.npz", "a.npy", array_file({**FLOATS, "shape": (size // 4,)}), size)
    with pytest.raises(StateError, match="max_expansion") as caught:
        state_of(path)
    assert str(path) in str(caught.value)
    ran = run_here(capsys, "state", "export", path, "-o", tmp_path / "s.csv")
    assert (ran.status, "--max-expansion" in ran.stderr, (tmp_path / "s.csv").exists()) == (1, True, False)
    # Only the sizes are looked at here: the array is not read.
    assert state_of(path, max_expansion=2000).tensors[0].shape == (size // 4,)


@pytest.mark.parametrize("size", [1, 200])
@pytest.mark.usefixtures("little_memory")
def test_zeros_within_the_limits_are_listed(size: int, tmp_path: Path) -> None:
    """A file that is small in all, and one whose data are large for their bytes, but not too large."""
    path = zeros_packed(tmp_path / "x.npz", "a.npy", array_file({**FLOATS, "shape": (size * MIB // 4,)}), size * MIB)
    assert [tensor.size for tensor in state_of(path).tensors] == [size * MIB // 4]


def test_a_factor_below_one_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(1))
    for function in (state_of, lambda path, **options: diff_states(path, path, **options)):
        with pytest.raises(OptionError, match="max_expansion"):
            function(tmp_path / "x.npz", max_expansion=0)


def damaged_deflate(path: Path) -> Path:
    content = array_file({**FLOATS, "shape": (4000,)}, np.arange(4000, dtype=np.float32).tobytes())
    archive(path, {"a.npy": content}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[400:600] = b"\xff" * 200
    path.write_bytes(data)
    return path


def test_damaged_compressed_data_are_one_sentence(tmp_path: Path) -> None:
    damaged_deflate(tmp_path / "x.npz")
    with pytest.raises(zlib.error), zipfile.ZipFile(tmp_path / "x.npz") as old:
        old.read("a.npy")
    with pytest.raises(StateError, match=r"x\.npz"):
        export_state(tmp_path / "x.npz", tmp_path / "s.csv")
    np.savez(tmp_path / "good.npz", a=np.zeros(4000, np.float32))
    export_state(tmp_path / "good.npz", tmp_path / "s.csv")
    with pytest.raises(StateError, match=r"x\.npz"):
        restore_file(tmp_path / "s.csv", tmp_path / "x.npz", tmp_path / "out.npz")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["good.npz", "s.csv", "x.npz"]


def flagged(path: Path, place: int, value: int) -> Path:
    """Set two bytes of the central directory's entry, which starts with PK\\1\\2, of the last member."""
    data = bytearray(path.read_bytes())
    start = data.rindex(b"PK\x01\x02")
    data[start + place : start + place + 2] = struct.pack("<H", value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda path: flagged(path, 8, 1),  # encrypted
        lambda path: flagged(path, 10, 77),  # an unknown method of compression
        lambda path: flagged(path, 42, 60000),  # a place beyond the end of the file
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
    ],
)
def test_odd_archives_are_one_sentence(change: Callable[[Path], Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    change(tmp_path / "x.npz")
    with pytest.raises(StateError, match=r"x\.npz"):
        export_state(tmp_path / "x.npz", tmp_path / "s.csv")


@pytest.mark.parametrize("name", ["../a.npy", "/a.npy", "b/../../a.npy", "..\\a.npy"])
def test_members_that_lead_out_of_an_archive_are_refused(name: str, tmp_path: Path) -> None:
    archive(tmp_path / "x.npz", {"b.npy": array_file({**FLOATS, "shape": (1,)}, bytes(4)), name: b""})
    with pytest.raises(StateError, match="leads out"):
        state_of(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["x.npz", "x.pt"])
def test_members_without_a_name_are_refused(name: str, tmp_path: Path) -> None:
    inside = {"x.npz": "b.npy", "x.pt": "x/data.pkl"}[name]
    with zipfile.ZipFile(tmp_path / name, "w") as new:
        new.writestr(inside, array_file({**FLOATS, "shape": (1,)}, bytes(4)))
        nameless = zipfile.ZipInfo("x")
        nameless.filename = ""
        new.writestr(nameless, b"content")
    with pytest.raises(StateError, match="member without a name"):
        state_of(tmp_path / name)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as new:
        for _ in range(2):
            new.writestr("a.npy", array_file({**FLOATS, "shape": (1,)}, bytes(4)))
    with pytest.raises(StateError, match=r"two members named 'a\.npy'"):
        state_of(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 2000 + ")" * 2000 + "}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "\udcff".encode("utf-8", "surrogatepass").decode("latin1"),
        "__import__('os').getcwd()",
    ],
)
def test_odd_headers_of_arrays_are_one_sentence(header: str, tmp_path: Path) -> None:
    archive(tmp_path / "x.npz", {"a.npy": array_file(header, bytes(4))})
    with pytest.raises(StateError, match=r"a\.npy"):
        state_of(tmp_path / "x.npz")


# safetensors


def safetensors(path: Path, header: Any, content: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


def entry(start: int, stop: int, **other: Any) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [stop - start], "data_offsets": [start, stop], **other}


@pytest.mark.parametrize(
    "entries",
    [
        {"a": entry(0, 8), "b": entry(0, 8)},
        {"a": entry(0, 8), "b": entry(7, 9)},
        {"a": entry(2, 3), "b": entry(0, 16), "c": entry(16, 16)},
    ],
)
def test_tensors_that_share_bytes_are_refused(entries: dict[str, Any], tmp_path: Path) -> None:
    path = safetensors(tmp_path / "x.safetensors", entries, bytes(16))
    with pytest.raises(StateError, match="bytes in common"):
        state_of(path)


def test_tensors_side_by_side_and_empty_ones_anywhere_are_read(tmp_path: Path) -> None:
    entries = {"a": entry(0, 4), "e": entry(2, 2), "b": entry(4, 6), "f": entry(4, 4)}
    path = safetensors(tmp_path / "x.safetensors", entries, bytes(range(6)))
    assert {each.name: bytes(each.content()) for each in state_of(path).tensors} == {
        "a": bytes([0, 1, 2, 3]),
        "e": b"",
        "b": bytes([4, 5]),
        "f": b"",
    }


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a": ' * 50_000 + b"1" + b"}" * 50_000,
        b"[1, 2]",
        b'{"a": {"dtype": "U8", "shape": "4", "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "U8", "shape": [4], "data_offsets": "04"}}',
        b'{"a": {"dtype": ["U8"], "shape": [4], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "U8", "shape": [4.0], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "U8", "shape": [true, 4], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "U8", "shape": [' + b"1, " * 70 + b'4], "data_offsets": [0, 4]}}',
        b'{"\xff": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}',
        b'{"\\ud800": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}',
    ],
)
def test_odd_headers_of_safetensors_are_one_sentence(header: bytes, tmp_path: Path) -> None:
    path = safetensors(tmp_path / "x.safetensors", header, bytes(4))
    with pytest.raises(StateError, match=r"x\.safetensors"):
        export_state(path, tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()


# Tables of states


def table(path: Path, data: bytes, metadata: Any, name: bytes = b"w") -> Path:
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    quoted = text.replace(b'"', b'""')
    path.write_bytes(b"tensor_name,tensor_data,tensor_metadata\n" + name + b',"' + data + b'","' + quoted + b'"\n')
    return path


FACTS = {"dtype": "float32", "shape": [2]}


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": "4"},
        {"shape": [2.0]},
        {"shape": [True, 2]},
        {"shape": 2},
        {"shape": [1] * 70},
        {"shape": [1 << 70]},
        {"dtype": ["float32"]},
        {"dtype": {}},
        {"part": "1", "parts": "1"},
        {"part": 1.0},
        {"parts": 10**12},
        {"part": 10**12, "parts": 10**12},
        {"aliases": ["a"]},
        {"aliases": {"path": 1}},
        {"layer": 3},
        {"trainable": "yes"},
        {"framework": []},
        {"encoding": None},
        {"sha256": 5},
    ],
)
def test_metadata_of_other_types_are_one_sentence(changes: dict[str, Any], tmp_path: Path) -> None:
    path = table(tmp_path / "s.csv", b"1,2", FACTS | changes)
    with pytest.raises(StateError, match="w:"):
        read_state(path)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"\xff\xfe", b"null", b"7" * 5000, b'{"shape": [1], "dtype": "\\ud800"}']
)
def test_metadata_that_are_not_an_object_are_one_sentence(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="metadata"):
        read_state(table(tmp_path / "s.csv", b"1,2", text))


def test_a_name_that_is_not_utf_8_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"row 1.*UTF-8"):
        read_state(table(tmp_path / "s.csv", b"1,2", FACTS, name=b"\xff"))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("encoding", ["text", "base64"])
@pytest.mark.parametrize("dtype", ["float32", "complex128", "str"])
def test_a_shape_beyond_the_data_takes_no_memory(dtype: str, encoding: str, tmp_path: Path) -> None:
    path = table(tmp_path / "s.csv", b"AAAA", {"dtype": dtype, "shape": [10**12], "encoding": encoding})
    with pytest.raises(StateError, match="damaged"):
        read_state(path).tensors[0].content()


@pytest.mark.parametrize(
    ("dtype", "shape", "content"),
    [
        ("str", [2], struct.pack("<Q", 1) + b"a"),
        ("str", [1], struct.pack("<Q", 5) + b"a"),
        ("str", [1], struct.pack("<Q", 1) + b"\xff"),
        ("str", [1], b"abc"),
        ("bytes", [1], struct.pack("<Q", 1 << 63)),
    ],
)
def test_texts_that_end_too_early_are_damage(dtype: str, shape: list[int], content: bytes, tmp_path: Path) -> None:
    path = table(tmp_path / "s.csv", base64.b64encode(content), {"dtype": dtype, "shape": shape, "encoding": "base64"})
    with pytest.raises(StateError):
        read_state(path).tensors[0].content()


@pytest.mark.parametrize("index", ["-1", "0,-1", ",".join(["0"] * 80), "99999999999999999999"])
def test_odd_indices_of_elements_are_damage(index: str, tmp_path: Path) -> None:
    header = "layer_index,layer,layer_type,parameter,parameter_type,index,value\n"
    (tmp_path / "s.csv").write_text(f'{header}0,l,Dense,w,float32,"{index}",1.5\n')
    with pytest.raises(StateError, match="damaged"):
        read_state(tmp_path / "s.csv").tensors[0].content()


def test_elements_that_are_not_utf_8_are_one_sentence(tmp_path: Path) -> None:
    header = b"layer_index,layer,layer_type,parameter,parameter_type,index,value\n"
    (tmp_path / "s.csv").write_bytes(header + b"0,\xff\xfe,Dense,w,float32,0,1.5\n")
    with pytest.raises(StateError, match=r"s\.csv"):
        read_state(tmp_path / "s.csv").tensors[0].content()


# Folders


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.safetensors")
    with pytest.raises(StateError, match="not a regular file"):
        state_of(tmp_path / "x.safetensors")


@pytest.mark.parametrize("foreign", ["notes.txt", "a.safetensors.bak", "folder"])
def test_a_folder_of_shards_with_anything_else_is_not_replaced(foreign: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    safetensors(model / "a.safetensors", {"a": entry(0, 4)}, bytes(4))
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "a.safetensors"}}))
    export_state(index, tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", index, tmp_path / "out")
    restore_file(tmp_path / "s.csv", index, tmp_path / "out", overwrite=True)
    if foreign == "folder":
        (tmp_path / "out" / foreign).mkdir()
    else:
        (tmp_path / "out" / foreign).write_text("mine")
    with pytest.raises(OutputError):
        restore_file(tmp_path / "s.csv", index, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / foreign).exists()


def test_a_folder_of_shards_with_a_link_is_not_replaced(tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    model.mkdir()
    safetensors(model / "a.safetensors", {"a": entry(0, 4)}, bytes(4))
    (model / "i.index.json").write_text(json.dumps({"weight_map": {"a": "a.safetensors"}}))
    export_state(model / "i.index.json", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", model / "i.index.json", out)
    (out / "a.safetensors").unlink()
    (out / "a.safetensors").symlink_to(model / "a.safetensors")
    with pytest.raises(OutputError):
        restore_file(tmp_path / "s.csv", model / "i.index.json", out, overwrite=True)


@pytest.mark.parametrize(
    "text", ['{"weight_map": ' + "[" * 50_000 + "]" * 50_000 + "}", '{"weight_map": {"a": {"b": 1}}}', "[" * 50_000]
)
def test_odd_indices_of_shards_are_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "x.index.json").write_text(text)
    with pytest.raises(StateError, match=r"x\.index\.json"):
        state_of(tmp_path / "model")
    with pytest.raises(StateError, match=r"x\.index\.json"):
        state_of(tmp_path / "model" / "x.index.json")


@pytest.mark.parametrize("value", [77, 99])
def test_a_member_of_unknown_compression_is_refused_when_the_archive_is_copied(tmp_path: Path, value: int) -> None:
    """It is a text beside the arrays, so exporting the archive does not read it."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", array_file({**FLOATS, "shape": (2,)}, bytes(8)))
        file.writestr("note.txt", "beside the arrays")
    export_state(tmp_path / "x.npz", tmp_path / "s.csv")
    flagged(tmp_path / "x.npz", 10, value)
    with pytest.raises(StateError):
        restore_file(tmp_path / "s.csv", tmp_path / "x.npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()
