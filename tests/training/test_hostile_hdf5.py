"""HDF5 and Keras files from strangers: no link is followed, nothing else is written, and sizes are checked first."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest

from tb2csv.errors import StateError
from tb2csv.model_state import export_state, restore_file, state_of
from tb2csv.model_state.keras_variables import limited_variables
from tb2csv.size_limits import SizeLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Path]:
    """Return a file that no test may change, or make tb2csv read."""
    path = tmp_path / "bait.h5"
    with h5py.File(path, "w") as file:
        for layer in ("dense", "other"):
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([b"w:0"])
            group["w:0"] = np.full(3, 42.0, np.float32)
        file.attrs["layer_names"] = np.array([b"dense"])
    before = hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns
    yield path
    assert (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) == before


def legacy(path: Path, **links: Any) -> Path:
    """Write a model file of the older format by its description; ``links`` replace its parts."""
    with h5py.File(path, "w") as file:
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"dense"])
        for parent, name in ((weights, "dense"), (weights, "top_level_model_weights"), (file, "optimizer_weights")):
            if name not in links:
                group = parent.create_group(name)
                group.attrs["weight_names"] = np.array([b"w:0"])
                group["w:0"] = np.zeros(3, np.float32)
        for name, link in links.items():
            parent = file if name in {"optimizer_weights", "model_weights"} else weights
            if name == "model_weights":
                del file["model_weights"]
            parent[name] = link
    return path


def weights_file(path: Path, value: float = 0.0) -> Path:
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.full(3, value, np.float32)
    return path


def links_to(bait: Path) -> dict[str, Any]:
    return {"external": h5py.ExternalLink(str(bait), "/dense"), "soft": h5py.SoftLink("/model_weights/dense")}


def refused(path: Path, match: str) -> None:
    """Assert that a file is neither exported nor restored, and that nothing is written."""
    table = path.with_name("table.csv")
    export_state(legacy(path.with_name("sound.h5")), table)
    before = sorted(each.name for each in path.parent.iterdir())
    with pytest.raises(StateError, match=match):
        export_state(path, path.with_name("out.csv"))
    with pytest.raises(StateError, match=match):
        restore_file(table, path, path.with_name("out.h5"), allow_partial=True)
    assert sorted(each.name for each in path.parent.iterdir()) == before


def test_a_model_without_links_is_read(tmp_path: Path) -> None:
    state = state_of(legacy(tmp_path / "m.h5"))
    assert [(each.name, bytes(each.content())) for each in state.tensors] == [
        ("dense/w", bytes(12)),
        ("w", bytes(12)),
        ("optimizer/w", bytes(12)),
    ]


@pytest.mark.parametrize("kind", ["external", "soft"])
@pytest.mark.parametrize("place", ["model_weights", "dense", "top_level_model_weights", "optimizer_weights"])
def test_a_link_in_place_of_a_group_is_refused(place: str, kind: str, bait: Path, tmp_path: Path) -> None:
    refused(legacy(tmp_path / "m.h5", **{place: links_to(bait)[kind]}), "link")


@pytest.mark.parametrize("kind", ["external", "soft"])
def test_a_link_anywhere_in_a_weights_file_is_refused(kind: str, bait: Path, tmp_path: Path) -> None:
    with h5py.File(weights_file(tmp_path / "m.h5"), "r+") as file:
        file["unused"] = links_to(bait)[kind]
    refused(tmp_path / "m.h5", "link")


def test_a_link_in_a_keras_archive_is_refused_before_keras_reads_it(bait: Path, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.save(tmp_path / "m.keras")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers"] = h5py.ExternalLink(str(bait), "/")
    replace_members(tmp_path / "m.keras", {"model.weights.h5": (tmp_path / "w.h5").read_bytes()})
    with pytest.raises(StateError, match="link at 'layers'"):
        export_state(tmp_path / "m.keras", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_external_storage_is_refused(bait: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (3,), "f4", external=[(str(bait), 0, 12)])
    refused(tmp_path / "m.h5", "data in another file")


def test_virtual_datasets_are_refused(bait: Path, tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource(str(bait), "dense/w:0", (3,))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_virtual_dataset("layers/dense/vars/0", layout)
    refused(tmp_path / "m.h5", "data in another file")


def test_a_graph_of_hard_links_ends_at_once(tmp_path: Path) -> None:
    """Each of 25 groups is in the one above it under two names, so there are 33 million ways to the last one."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        group = file
        for _ in range(25):
            group["a"] = below = group.create_group("b")
            group = below
        group["vars/0"] = np.zeros(3)
    refused(tmp_path / "m.h5", "one object at two places")


def test_a_ring_of_hard_links_ends_at_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_group("a/b")
        file["a/b/again"] = file["a"]
    refused(tmp_path / "m.h5", "one object at two places")


def test_groups_within_groups_end_somewhere(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["/".join(["a"] * 2000)] = np.zeros(1)
    refused(tmp_path / "m.h5", "nests")


def test_a_layer_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    with h5py.File(legacy(tmp_path / "m.h5"), "r+") as file:
        file["model_weights"].attrs["layer_names"] = np.array([b"dense", b"dense"])
    refused(tmp_path / "m.h5", "two layers")


@pytest.mark.parametrize("value", [7, np.arange(3.0), b"\xff\xfe", np.array([b"\xff"]), np.array([[1, 2]])])
@pytest.mark.parametrize("name", ["layer_names", "model_config", "training_config", "keras_version"])
def test_attributes_that_are_not_text_are_one_sentence(name: str, value: Any, tmp_path: Path) -> None:
    with h5py.File(legacy(tmp_path / "m.h5"), "r+") as file:
        (file["model_weights"] if name == "layer_names" else file).attrs[name] = value
    refused(tmp_path / "m.h5", r"m\.h5")


@pytest.mark.parametrize("value", [h5py.Empty("f4"), np.zeros(0), "", np.array([b"3.15"])])
def test_attributes_of_odd_forms_are_read(value: Any, tmp_path: Path) -> None:
    with h5py.File(legacy(tmp_path / "m.h5"), "r+") as file:
        file.attrs["keras_version"] = value
    assert len(state_of(tmp_path / "m.h5").tensors) == 3


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"config": ' * 3000 + "1" + "}" * 3000,
        '{"config": "text", "class_name": 5}',
        '{"config": {"layers": "abc", "name": 7}}',
        '{"config": {"layers": [5, null, {"config": 5}]}}',
        "null",
        "\ud800",
    ],
)
def test_odd_descriptions_are_taken_for_none(text: str, tmp_path: Path) -> None:
    """The weights do not depend on the description, which only has the names of classes."""
    with h5py.File(legacy(tmp_path / "m.h5"), "r+") as file:
        file.attrs["model_config"] = np.void(text.encode("utf-8", "surrogatepass")) if "\ud800" in text else text
    if "\ud800" in text:
        with pytest.raises(StateError):
            state_of(tmp_path / "m.h5")
    else:
        assert len(state_of(tmp_path / "m.h5").tensors) == 3


def test_attributes_whose_names_are_not_text_are_not_those_of_keras(tmp_path: Path) -> None:
    with h5py.File(legacy(tmp_path / "m.h5"), "r+") as file:
        for item in (file, file["model_weights"], file["model_weights/dense"]):
            item.attrs[b"\xff"] = "text"
    assert [each.name for each in state_of(tmp_path / "m.h5").tensors] == ["dense/w", "w", "optimizer/w"]


def test_a_member_whose_name_is_not_text_is_refused(tmp_path: Path) -> None:
    with h5py.File(legacy(tmp_path / "m.h5"), "r+") as file:
        file.create_group(b"\xff")
    refused(tmp_path / "m.h5", "HDF5")


def test_references_are_refused(tmp_path: Path) -> None:
    with h5py.File(weights_file(tmp_path / "m.h5"), "r+") as file:
        file["refs"] = np.array([file.ref], h5py.ref_dtype)
    refused(tmp_path / "m.h5", "references")


# Sizes


def resident() -> int:
    """Return the most memory that this process has had so far."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Fail if a test takes 256 MiB more than this process had; reset the mark of the highest use first."""
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    yield
    assert resident() - before < 256 << 20


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("options", [{}, {"chunks": (1 << 20,)}, {"chunks": (1 << 20,), "compression": "gzip"}])
def test_elements_that_were_never_written_are_not_made(options: dict[str, Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (10**9,), "f4", **options)
    assert (tmp_path / "m.h5").stat().st_size < 10_000
    refused(tmp_path / "m.h5", "max_expansion")


@pytest.mark.usefixtures("little_memory")
def test_a_chunk_that_is_larger_than_its_data_counts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (3,), "f4", chunks=(10**9,), maxshape=(None,), compression="gzip")
    refused(tmp_path / "m.h5", "max_expansion")


@pytest.mark.usefixtures("little_memory")
def test_many_small_datasets_count_together(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for number in range(1100):
            file.create_dataset(f"layers/{number}/vars/0", (1 << 20,), "i1", chunks=(1 << 20,))
    with pytest.raises(StateError, match="max_expansion"):
        export_state(tmp_path / "m.h5", tmp_path / "out.csv")


def test_texts_of_variable_length_are_read_in_parts(tmp_path: Path) -> None:
    texts = ["word" * 5] * 1000
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["layers/dense/vars/0"] = np.array(texts, object)
    tensor = state_of(tmp_path / "m.h5").tensors[0]
    assert tensor.array().tolist() == [text.encode() for text in texts]


def replace_members(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()} | members
    with zipfile.ZipFile(path, "w", method) as new:
        for name, content in contents.items():
            new.writestr(name, content)


def keras_model(path: Path) -> Path:
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="wide")]).save(path)
    return path


@pytest.mark.parametrize("name", ["model.weights.h5", "config.json"])
def test_an_archive_that_lacks_a_member_is_one_sentence(name: str, tmp_path: Path) -> None:
    """Its ending, or a folder in it, may still make it a Keras file."""
    with zipfile.ZipFile(keras_model(tmp_path / "a.keras")) as old, zipfile.ZipFile(tmp_path / "m.keras", "w") as new:
        for member in old.namelist():
            new.writestr(f"folder/{member}" if member == name else member, old.read(member))
    with pytest.raises(StateError, match=r"m\.keras"):
        export_state(tmp_path / "m.keras", tmp_path / "out.csv")


def config_of(path: Path) -> str:
    with zipfile.ZipFile(path) as old:
        return old.read("config.json").decode()


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_members_that_unpack_to_gigabytes_are_refused(name: str, tmp_path: Path) -> None:
    keras_model(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as old:
        contents = {each: old.read(each) for each in old.namelist()}
    block = b" " * (1 << 20)
    with zipfile.ZipFile(tmp_path / "n.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for member, content in contents.items():
            with new.open(member, "w", force_zip64=True) as file:
                file.write(content)
                for _ in range(300 if member == name else 0):
                    file.write(block)
    with pytest.raises(StateError, match="max_expansion"):
        export_state(tmp_path / "n.keras", tmp_path / "out.csv")


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("units", [10**9, 10**8])
def test_units_without_weights_are_not_made(units: int, tmp_path: Path) -> None:
    config = config_of(keras_model(tmp_path / "m.keras")).replace('"units": 2', f'"units": {units}')
    replace_members(tmp_path / "m.keras", {"config.json": config.encode()}, zipfile.ZIP_DEFLATED)
    with pytest.raises(StateError, match="max_expansion"):
        export_state(tmp_path / "m.keras", tmp_path / "out.csv")


def test_variables_are_counted_only_while_a_file_is_read(tmp_path: Path) -> None:
    """The limit ends with the block, whatever ends it, and other variables of Keras are made as before."""
    before = keras.Variable._validate_shape
    with (
        pytest.raises(StateError, match="max_expansion"),
        limited_variables(tmp_path, SizeLimits(), 100),
        contextlib.suppress(StateError),
    ):
        keras.Variable(keras.initializers.Zeros(), shape=(1 << 27,))
    assert keras.Variable._validate_shape is before
    with pytest.raises(ZeroDivisionError), limited_variables(tmp_path, SizeLimits(), 100):
        raise ZeroDivisionError
    assert keras.Variable._validate_shape is before
    assert keras.Variable(keras.initializers.Zeros(), shape=(1 << 10,)).shape == (1 << 10,)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "[" * 100_000,
        lambda text: '{"config": ' * 900 + text + "}" * 900,
        lambda text: "null",
        lambda text: "[]",
        lambda text: text.replace('"units": 2', '"units": "2"'),
        lambda text: text.replace('"units": 2', '"units": -2'),
        lambda text: text.replace('"class_name": "Dense"', '"class_name": ["Dense"]'),
        lambda text: text.replace("keras.layers", "os"),
        lambda text: text[:-20],
    ],
)
def test_odd_configurations_are_one_sentence(change: Callable[[str], str], tmp_path: Path) -> None:
    text = change(config_of(keras_model(tmp_path / "m.keras")))
    replace_members(tmp_path / "m.keras", {"config.json": text.encode()})
    with pytest.raises(StateError, match=r"m\.keras"):
        export_state(tmp_path / "m.keras", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_description_of_a_lambda_layer_at_any_depth_is_refused(tmp_path: Path) -> None:
    config = json.loads(config_of(keras_model(tmp_path / "m.keras")))
    nested: Any = {"class_name": "__lambda__", "config": {"value": "none"}}
    for _ in range(300):
        nested = [nested]
    config["extra"] = nested
    replace_members(tmp_path / "m.keras", {"config.json": json.dumps(config).encode()})
    with pytest.raises(StateError, match="Lambda"):
        state_of(tmp_path / "m.keras")


def test_unpacked_weights_of_a_refused_archive_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    os.mkdir(tmp_path / "t")
    keras_model(tmp_path / "m.keras")
    replace_members(tmp_path / "m.keras", {"model.weights.h5": b"no HDF5"})
    with pytest.raises(StateError, match="HDF5"):
        state_of(tmp_path / "m.keras")
    gc.collect()
    assert list((tmp_path / "t").iterdir()) == []
