"""Files of torch.save and skops from strangers: what they repeat and declare is counted before it is made."""

from __future__ import annotations

import collections
import io
import json
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse
import skops.io
import torch
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

from tb2csv.errors import StateError
from tb2csv.model_state import export_state, restore_file, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20


def refused(path: Path, match: str) -> None:
    with pytest.raises(StateError, match=match):
        export_state(path, path.with_name("out.csv"))
    assert not path.with_name("out.csv").exists()


def doubled(levels: int, kind: Callable[[list[Any]], Any]) -> Any:
    """Return a container that has another one twice, which has another one twice, and so on."""
    value = kind([1, 2])
    for _ in range(levels):
        value = kind([value, value])
    return value


def itself() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


def itself_in_a_dict() -> Any:
    found: dict[str, Any] = {"w": torch.zeros(2)}
    found["again"] = found
    return found


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize(
    "tree",
    [
        itself,
        itself_in_a_dict,
        lambda: [itself(), itself()],
        lambda: {"x": doubled(40, list)},
        lambda: {"x": doubled(40, tuple)},
        lambda: {"x": doubled(40, lambda pair: {"a": pair[0], "b": pair[1]})},
    ],
)
def test_containers_that_hold_themselves_are_refused(tree: Callable[[], Any], is_zip: bool, tmp_path: Path) -> None:
    torch.save(tree(), tmp_path / "m.pt", _use_new_zipfile_serialization=is_zip)
    refused(tmp_path / "m.pt", "m.pt")


def test_hyperparameters_that_hold_themselves_are_refused(tmp_path: Path) -> None:
    checkpoint = {"pytorch-lightning_version": "2.6.6", "state_dict": {"w": torch.zeros(2)}}
    torch.save({**checkpoint, "hyper_parameters": {"x": doubled(40, list)}}, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "m.pt")


def test_containers_that_are_repeated_a_few_times_are_read(tmp_path: Path) -> None:
    """Honest checkpoints refer to one configuration from several places."""
    shared = {"lr": 0.5, "sizes": [1, 2, 3]}
    torch.save({"a": shared, "b": [shared, shared], "c": doubled(10, list)}, tmp_path / "m.pt")
    names = {each.name for each in state_of(tmp_path / "m.pt").tensors}
    assert {"a.lr", "b.0.lr", "b.1.sizes.2"} <= names
    assert sum(name.startswith("c.") for name in names) == 2**11


def test_elements_that_are_one_in_memory_count_each(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1 << 27)}, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").stat().st_size < 10_000
    refused(tmp_path / "m.pt", "max_expansion")
    torch.save({"w": torch.ones(1).expand(1 << 10)}, tmp_path / "n.pt")
    assert state_of(tmp_path / "n.pt").tensors[0].array().tolist() == [1.0] * (1 << 10)


def with_pickle(path: Path, program: bytes) -> Path:
    """Write a file of torch.save with another pickle in it."""
    torch.save({}, path)
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in contents.items():
            new.writestr(name, program if name.endswith("data.pkl") else content)
    return path


def call_with(size: int, how: str) -> bytes:
    """Return a pickle that calls bytearray with a size: instructions of protocol 2, which ends with a full stop."""
    number = b"\x8a" + bytes([8]) + size.to_bytes(8, "little")
    name = b"cbuiltins\nbytearray\n"
    return (
        b"\x80\x02"
        + {
            "direct": name + number + b"\x85R.",
            "by mark": name + b"(" + number + b"tR.",
            "by memo": number + b"q\x000" + name + b"h\x00\x85R.",
            "tuple by memo": number + b"\x85q\x000" + name + b"h\x00R.",
        }[how]
    )


@pytest.mark.parametrize("how", ["direct", "by mark", "by memo", "tuple by memo"])
def test_bytes_of_a_size_are_not_made(how: str, tmp_path: Path) -> None:
    refused(with_pickle(tmp_path / "m.pt", call_with(10**12, how)), "max_expansion")
    assert pickle.loads(call_with(3, how)) == bytearray(3)  # our own program, to know that it is one


@pytest.mark.parametrize("instruction", [b"\x8e", b"\x8d", b"\x96"])
def test_lengths_of_bytes_take_no_memory(instruction: bytes, tmp_path: Path) -> None:
    """Three instructions, of bytes, text and a bytearray, have a length of eight bytes."""
    torch.save({"a": 1}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    data = (tmp_path / "a.pt").read_bytes()
    start = data.index(b"\x80\x02}")  # the third pickle is of a dict, and so is the tree
    program = b"\x80\x05" + instruction + (1 << 50).to_bytes(8, "little") + b"few."
    (tmp_path / "m.pt").write_bytes(data[:start] + program)
    refused(tmp_path / "m.pt", r"m\.pt")
    refused(with_pickle(tmp_path / "n.pt", program), r"n\.pt")


def test_large_numbers_beside_bytes_are_read(tmp_path: Path) -> None:
    tree = {"seed": 2**62, "huge": 2**100, "state": bytearray(b"abc"), "z": 3 + 4j, "count": collections.Counter("aab")}
    torch.save(tree, tmp_path / "m.pt")
    found = {each.name: each for each in state_of(tmp_path / "m.pt").tensors}
    assert int(found["seed"].array()) == 2**62
    assert found["state"].array().item() == b"abc"


def test_archives_that_were_compressed_again_are_read(tmp_path: Path) -> None:
    """PyTorch maps the bytes of an archive into memory, which it cannot do with compressed ones."""
    torch.save({"w": torch.arange(1000.0)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as old,
        zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    tensor = state_of(tmp_path / "m.pt").tensors[0]
    assert tensor.array().tolist() == list(range(1000))
    export_state(tmp_path / "m.pt", tmp_path / "s.csv")
    torch.save({"w": torch.zeros(1000)}, tmp_path / "z.pt")
    restore_file(tmp_path / "s.csv", tmp_path / "z.pt", tmp_path / "out.pt")
    assert torch.load(tmp_path / "out.pt")["w"].tolist() == list(range(1000))


def test_a_pickle_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "m.pt")
    with zipfile.ZipFile(tmp_path / "m.pt") as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in contents.items():
            new.writestr(name, content + (b"." * 40 * MIB if name.endswith("data.pkl") else b""))
    refused(tmp_path / "m.pt", "max_expansion")


def test_an_archive_of_several_parts_is_one_sentence(tmp_path: Path) -> None:
    """The locator of a directory of 64 bits, which has the number of parts, lies before the end of an archive."""
    torch.save({"w": torch.zeros(1)}, tmp_path / "m.pt")
    data = (tmp_path / "m.pt").read_bytes()
    end = data.rindex(b"PK\x05\x06")
    start = data.rfind(b"PK\x06\x07", 0, end)
    whole = data[:start] if start >= 0 else data[:end]
    locator = b"PK\x06\x07" + bytes(4) + len(whole).to_bytes(8, "little") + (5).to_bytes(4, "little")
    (tmp_path / "m.pt").write_bytes(whole + locator + data[end:])
    with pytest.raises(zipfile.BadZipFile, match="multiple disks"):
        zipfile.ZipFile(tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "m.pt")


# skops


def dumped(path: Path, estimator: Any, change: Callable[[Any], Any] = lambda schema: schema) -> Path:
    """Write a .skops file with a changed schema."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                content = json.dumps(change(json.loads(content))).encode()
            new.writestr(name, content)
    return path


def fitted() -> LinearRegression:
    return LinearRegression().fit(np.arange(6.0).reshape(3, 2), np.arange(3.0))


def test_a_schema_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    dumped(tmp_path / "a.skops", fitted())
    with (
        zipfile.ZipFile(tmp_path / "a.skops") as old,
        zipfile.ZipFile(tmp_path / "m.skops", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            with new.open(name, "w") as file:
                file.write(old.read(name))
                for _ in range(60 if name == "schema.json" else 0):
                    file.write(b" " * MIB)
    refused(tmp_path / "m.skops", "max_expansion")


def test_a_schema_that_nests_deeply_is_one_sentence(tmp_path: Path) -> None:
    def nested(schema: Any) -> Any:
        value: Any = schema["content"]
        for _ in range(400):
            value = {**schema, "content": value}
        return value

    for change in (nested, lambda _: [], lambda _: None, lambda schema: {**schema, "__loader__": 5}):
        refused(dumped(tmp_path / "m.skops", fitted(), change), "m.skops")


def changed_member(path: Path, ending: str, content: bytes) -> Path:
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, old_content in contents.items():
            new.writestr(name, content if name.endswith(ending) else old_content)
    return path


def test_an_array_that_declares_more_than_it_has_is_refused(tmp_path: Path) -> None:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}\n"
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16)
    refused(changed_member(dumped(tmp_path / "m.skops", fitted()), ".npy", array), "damaged")


def test_a_sparse_matrix_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    transformer = FunctionTransformer(kw_args={"matrix": scipy.sparse.csr_matrix(np.eye(2))}).fit(np.zeros((2, 2)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new, new.open("data.npy", "w") as file:
        for _ in range(300):
            file.write(bytes(MIB))
    path = dumped(tmp_path / "m.skops", transformer)
    refused(changed_member(path, ".npz", packed.getvalue()), "max_expansion")


def test_one_array_that_many_values_are_in_counts_for_each(tmp_path: Path) -> None:
    model = fitted()
    model.extra_ = list(np.zeros((1, 200_000)))

    def repeated(schema: Any) -> Any:
        items = schema["content"]["content"]["extra_"]["content"]
        items += [{**items[0], "__id__": 10_000_000_000 + number} for number in range(12_000)]
        return schema

    refused(dumped(tmp_path / "m.skops", model, repeated), "max_expansion")


def test_tuples_that_have_others_twice_are_refused(tmp_path: Path) -> None:
    """A value of the schema may refer to another one by its number."""

    def repeated(schema: Any) -> Any:
        value = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [], "__id__": 1}
        for number in range(2, 23):
            value = {**value, "content": [value, {**value, "content": []}], "__id__": number}
        schema["content"]["content"]["extra_"] = value
        return schema

    refused(dumped(tmp_path / "m.skops", fitted(), repeated), "max_expansion")


@pytest.mark.parametrize("content", [b"", b"\x80", b"\n"])
def test_a_file_of_nearly_nothing_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    refused(tmp_path / "m.pt", r"m\.pt")
