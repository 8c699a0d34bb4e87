"""Model files known by their content, files that nothing reads, and models in several files."""

from __future__ import annotations

import json
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here

from tb2csv.errors import OutputError, StateError
from tb2csv.model_state import diff_states, export_state, load_state, restore_file, state_of
from tb2csv.model_state.file_types import FILE_TYPES

if TYPE_CHECKING:
    from pathlib import Path

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def safetensors(**arrays: np.ndarray) -> bytes:
    """Write float32 arrays by the description of the format."""
    header, data = {}, b""
    for name, array in arrays.items():
        content = array.astype("<f4").tobytes()
        span = [len(data), len(data) + len(content)]
        header[name.replace("__", ".")] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def values_of(what: Any) -> dict[str, Any]:
    return {tensor.name: tensor.array().tolist() for tensor in state_of(what).tensors}


@pytest.mark.parametrize("name", ["model", "MODEL.BIN", "model.ckpt", "model.pth", "model.keras", "model.csv"])
def test_the_ending_of_a_file_does_not_matter(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", w=np.ones(2))
    (tmp_path / "m.npz").rename(tmp_path / name)
    assert values_of(tmp_path / name) == {"w": [1, 1]}
    (tmp_path / name).write_bytes(safetensors(v=np.ones(3)))
    assert values_of(tmp_path / name) == {"v": [1, 1, 1]}


def test_a_table_of_a_state_may_have_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "m.npz", w=np.ones(2))
    for style in ("tensors", "base64", "elements"):
        out = tmp_path / f"{style}.txt"
        export_state(tmp_path / "m.npz", out, style=style)
        assert [each.status for each in diff_states(tmp_path / "m.npz", out)] == ["same"]
        assert run_here(capsys, "state", "diff", out, tmp_path / "m.npz").status == 0


FILES = {
    "git lfs pull": POINTER,
    "web page": b"\n<!DOCTYPE html><html>",
    "GGUF": b"GGUF\3\0\0\0\1\0\0\0",
    "ONNX": b"\x08\x0e:H\n\x0e\n\x01x\n\x01w\x12\x01y",  # of onnx 1.23, a graph
    "exported from": b"\x08\x08\x12\x07pytorch:H\n\x0e",  # the same with a producer
    "TensorFlow Lite": b"\x1c\0\0\0TFL3\x14\0",
    "flax.serialization": b"\x81\xa6params\x81\xa5dense\x81\xa6kernel\xc7",  # of flax 0.12
    "MessagePack": b"\xde\x00\x14\xd9\x06layer_" + bytes(8),
    "pickle": b"\x80\x04\x95\x0c\0\0\0\0\0\0\0}.",
    "numpy.savez": b"\x93NUMPY\x01\x00v\x00",
    "compressed": b"\x1f\x8b\x08\0\0\0\0\0",
}


@pytest.mark.parametrize("name", ["x.bin", "x", "x.pth", "x.safetensors"])
@pytest.mark.parametrize("said", FILES)
def test_an_unsupported_file_is_named_by_its_type(said: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[said])
    with pytest.raises(StateError, match=said) as told:
        state_of(tmp_path / name)
    assert str(told.value).startswith(f"{tmp_path / name} is ")
    assert "\n" not in str(told.value)


FOLDERS = {
    "Orbax with no tree": ["_CHECKPOINT_METADATA", "manifest.ocdbt", "d/a8"],
    "_METADATA is not the description of a tree": ["0/_CHECKPOINT_METADATA", "0/default/_METADATA"],
    "not the description of a checkpoint of torch.distributed": [".metadata", "__0_0.distcp"],
    "has no .metadata": ["__0_0.distcp", "__1_0.distcp"],
    "zipped=False": ["config.json", "metadata.json", "model.weights.h5"],
}


@pytest.mark.parametrize("said", FOLDERS)
def test_an_unsupported_folder_is_named_by_its_type(
    said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in FOLDERS[said]:
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).touch()
    with pytest.raises(StateError, match=said):
        state_of(tmp_path / "m")
    ran = run_here(capsys, "state", "export", tmp_path / "m", "-o", tmp_path / "s.csv")
    assert (ran.status, len(ran.stderr.splitlines())) == (1, 1)


def test_unsupported_archives_are_named_by_their_type(tmp_path: Path) -> None:
    members = {
        "TorchScript": ["m/data.pkl", "m/constants.pkl", "m/code/x.py"],
        "torch.export": ["m/archive_format", "m/models/model.json"],
        "an unknown type": ["readme.txt"],
    }
    for number, (said, names) in enumerate(members.items()):
        with zipfile.ZipFile(tmp_path / str(number), "w") as archive:
            for name in names:
                archive.writestr(name, "")
        with pytest.raises(StateError, match=said):
            state_of(tmp_path / str(number))


def test_a_folder_of_models_names_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(safetensors(w=np.ones(1)))
    with pytest.raises(StateError, match=r"folder.*such as model\.safetensors"):
        state_of(tmp_path)


@pytest.mark.parametrize("command", ["export", "restore", "diff"])
def test_a_pointer_in_place_of_any_file_is_one_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "m.npz", w=np.ones(2))
    export_state(tmp_path / "m.npz", tmp_path / "s.csv")
    for name in ("p.keras", "p.csv"):
        (tmp_path / name).write_bytes(POINTER)
    model, table, out = tmp_path / "p.keras", tmp_path / "p.csv", tmp_path / "out"
    calls = {
        "export": [["export", model, "-o", out]],
        "restore": [
            ["restore", tmp_path / "s.csv", model, "-o", out],
            ["restore", table, tmp_path / "m.npz", "-o", out],
        ],
        "diff": [["diff", table, tmp_path / "m.npz"], ["diff", tmp_path / "s.csv", model]],
    }
    for call in calls[command]:
        ran = run_here(capsys, "state", *call)
        assert ran.status == 1
        assert ran.stderr.count("\n") == 1
        assert "Git LFS" in ran.stderr
        assert "git lfs pull" in ran.stderr
    with pytest.raises(StateError, match="Git LFS"):
        load_state(table, {})
    assert not out.exists()


def test_every_type_has_a_reader_or_advice() -> None:
    for name, each in FILE_TYPES.items():
        assert (each.holder is None) == bool(each.refusal), name


def test_a_member_of_an_npz_file_that_is_not_an_array_is_noted_and_stays(tmp_path: Path) -> None:
    for name, value in {"a": 1, "b": 2}.items():
        np.savez(tmp_path / f"{name}.npz", w=np.full(2, value))
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "a") as archive:
            archive.writestr("about.txt", f"of {name}")
    state = export_state(tmp_path / "a.npz", tmp_path / "s.csv")
    assert state.left_out == {"about.txt": "file"}
    assert "1 value without a form in a table: about.txt (file)" in state.notes[0]
    statuses = {each.name: each.status for each in diff_states(tmp_path / "a.npz", tmp_path / "b.npz")}
    assert statuses == {"w": "changed", "about.txt": "not compared"}
    assert len(restore_file(tmp_path / "s.csv", tmp_path / "b.npz", tmp_path / "c.npz")) == 1
    with zipfile.ZipFile(tmp_path / "c.npz") as archive:
        assert archive.read("about.txt") == b"of b"
    assert np.load(tmp_path / "c.npz")["w"].tolist() == [1, 1]


# TensorFlow's files that are not complete


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (["sm/saved_model.pb", "sm/variables/variables.index"], "sm/variables/variables.data-00000-of-00001"),
        (["sm/saved_model.pb", "sm/variables/variables.data-00000-of-00001"], "sm/variables/variables.index"),
        (["sm/saved_model.pb"], "sm/variables/variables.index"),
        (["ck.index"], "ck.data-00000-of-00001"),
        (["ck.data-00000-of-00001"], "ck.index"),
        (["ck.index", "ck.data-00001-of-00002"], "ck.data-00000-of-00002"),
    ],
)
def test_a_checkpoint_that_lacks_a_file_names_it(files: list[str], missing: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    place = tmp_path / files[0].split("/")[0].split(".")[0]
    with pytest.raises(StateError, match="not complete") as told:
        state_of(place)
    assert f"{tmp_path / missing} is missing" in str(told.value)


def test_a_pointer_among_the_files_of_a_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "ck.index").touch()
    (tmp_path / "ck.data-00000-of-00001").write_bytes(POINTER)
    with pytest.raises(StateError, match=r"ck\.data-00000-of-00001 .*Git LFS"):
        state_of(tmp_path / "ck")
    with pytest.raises(StateError, match="Git LFS"):
        state_of(tmp_path / "ck.data-00000-of-00001")


# Models in several files


def shards(folder: Path, scale: float) -> Path:
    """Write a model as Hugging Face's libraries do: an index with the file of each tensor."""
    folder.mkdir()
    (folder / "model-00001-of-00002.safetensors").write_bytes(safetensors(a__w=np.arange(3) * scale))
    (folder / "model-00002-of-00002.safetensors").write_bytes(
        safetensors(b__w=np.ones(2) * scale, c=np.ones(()) * scale)
    )
    files = {"a.w": 1, "b.w": 2, "c": 2}
    weight_map = {name: f"model-0000{number}-of-00002.safetensors" for name, number in files.items()}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 24}, "weight_map": weight_map}))
    return index


def test_shards_are_read_and_restored_as_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = shards(tmp_path / "a", 2), shards(tmp_path / "b", 7)
    expected = {"a.w": [0, 2, 4], "b.w": [2, 2], "c": 2}
    assert values_of(first) == values_of(tmp_path / "a") == expected
    export_state(first, tmp_path / "s.csv")
    assert restore_file(tmp_path / "s.csv", second, tmp_path / "out") == []
    for each in sorted((tmp_path / "a").iterdir()):
        assert (tmp_path / "out" / each.name).read_bytes() == each.read_bytes()
    ran = run_here(capsys, "state", "restore", tmp_path / "s.csv", tmp_path / "b", "-o", tmp_path / "out2")
    assert ran.status == 0
    assert values_of(tmp_path / "out2") == expected


def test_a_folder_of_shards_replaces_only_another_one(tmp_path: Path) -> None:
    index = shards(tmp_path / "a", 2)
    export_state(index, tmp_path / "s.csv")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").touch()
    with pytest.raises(OutputError):
        restore_file(tmp_path / "s.csv", index, tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "precious").exists()
    shards(tmp_path / "b", 5)
    with pytest.raises(OutputError):
        restore_file(tmp_path / "s.csv", index, tmp_path / "b")
    restore_file(tmp_path / "s.csv", index, tmp_path / "b", overwrite=True)
    assert values_of(tmp_path / "b")["c"] == 2


@pytest.mark.parametrize("fault", ["missing", "pointer", "lacks", "outside", "itself", "two"])
def test_incomplete_shards_are_refused(fault: str, tmp_path: Path) -> None:
    index = shards(tmp_path / "a", 1)
    shard = tmp_path / "a" / "model-00002-of-00002.safetensors"
    said = {
        "missing": r"model-00002-of-00002\.safetensors is missing",
        "pointer": r"model-00002-of-00002\.safetensors is a Git LFS pointer",
        "lacks": r"'b\.w'",
        "outside": "not a file beside it",
        "itself": "another index",
        "two": "several models",
    }
    if fault == "missing":
        shard.unlink()
    elif fault == "pointer":
        shard.write_bytes(POINTER)
    elif fault == "lacks":
        shard.write_bytes(safetensors(c=np.ones(())))
    elif fault == "two":
        (tmp_path / "a" / "other.index.json").write_text(index.read_text())
    else:
        name = index.name if fault == "itself" else "../secret.safetensors"
        index.write_text(json.dumps({"weight_map": {"a.w": name}}))
    with pytest.raises(StateError, match=said[fault]):
        state_of(tmp_path / "a")


def test_a_damaged_shard_keeps_the_model_from_being_written(tmp_path: Path) -> None:
    index = shards(tmp_path / "a", 2)
    export_state(index, tmp_path / "s.csv")
    table = (tmp_path / "s.csv").read_text().replace('"2.0,2.0"', '"2.0,3.0"')
    (tmp_path / "s.csv").write_text(table)
    with pytest.raises(StateError, match=r"b\.w: its data is damaged"):
        restore_file(tmp_path / "s.csv", index, tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "s.csv"]
