"""Checkpoints of torch.distributed, written by PyTorch itself, in one process and in two."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import distributed, multiprocessing, nn

from tb2csv.errors import StateError
from tb2csv.model_state import export_state, load_state, restore_file, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def training(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), 0.1 * seed)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    odd = torch.tensor([0x7FC00001, -0x7EDCBB, -(2**31), seed], dtype=torch.int32).view(torch.float32)
    small = {name: torch.tensor([1.5, -seed]).to(getattr(torch, name)) for name in ("bfloat16", "float8_e5m2")}
    more = {"odd": odd, **small, "empty": torch.zeros(0, 2), "list": [torch.full((1,), seed), {"deep": torch.ones(1)}]}
    return {"model": model, "optimizer": optimizer, "more": more, "epoch": seed, "big": 2**70 + seed, "note": f"{seed}"}


def saved_form(what: dict[str, Any]) -> dict[str, Any]:
    return {name: each.state_dict() if hasattr(each, "state_dict") else each for name, each in what.items()}


def save(folder: Path, what: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is only one process
        dcp.save(what, checkpoint_id=str(folder), no_dist=True)
    return folder


def contents(what: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {each.name: (each.dtype, each.shape, bytes(each.content())) for each in state_of(what).tensors}


@pytest.mark.slow
def test_the_checkpoint_of_one_process_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    source, target = training(2), training(1)
    folder = save(tmp_path / "saved", saved_form(source))
    assert contents(folder) == contents(source)
    export_state(folder, tmp_path / "s.csv")
    assert load_state(tmp_path / "s.csv", target) == []
    assert contents(target) == contents(source)
    assert (target["epoch"], target["big"], target["note"]) == (2, 2**70 + 2, "2")
    with pytest.raises(StateError, match="read and not written; load the state into your objects"):
        restore_file(tmp_path / "s.csv", folder, tmp_path / "new")


def save_in_parts(rank: int, folder: Path) -> None:
    from torch.distributed.tensor import Shard, distribute_tensor

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    mesh = distributed.init_device_mesh("cpu", (2,))
    rows = distribute_tensor(torch.arange(15.0).reshape(5, 3), mesh, [Shard(0)])
    columns = distribute_tensor(torch.arange(15.0).reshape(3, 5), mesh, [Shard(1)])
    dcp.save({"a": {"rows": rows}, "columns": columns, "both": torch.ones(2)}, checkpoint_id=str(folder / "saved"))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_the_parts_that_two_processes_saved_make_whole_tensors(tmp_path: Path) -> None:
    multiprocessing.spawn(save_in_parts, (tmp_path,), nprocs=2)
    assert len(list((tmp_path / "saved").glob("*.distcp"))) == 2
    found = {each.name: each.array() for each in state_of(tmp_path / "saved").tensors}
    assert sorted(found) == ["a.rows", "both", "columns"]
    assert np.array_equal(found["a.rows"], np.arange(15.0).reshape(5, 3))
    assert np.array_equal(found["columns"], np.arange(15.0).reshape(3, 5))


class Marker:
    """An object whose unpickling would be seen."""

    made: list[int] = []

    def __reduce__(self) -> Any:
        return Marker.made.append, (1,)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("dcp") / "saved", {"w": torch.arange(4.0), "n": 3})


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    described = pickle.loads((folder / ".metadata").read_bytes())
    change(described)
    (folder / ".metadata").write_bytes(pickle.dumps(described))


def described_by(change: Callable[[Any], None]) -> Callable[[Path], None]:
    return lambda folder: edit(folder, change)


def with_objects(described: Any) -> None:
    described.storage_meta = Marker()


def with_all_in(name: str) -> Callable[[Any], None]:
    def change(described: Any) -> None:
        for info in described.storage_data.values():
            info.relative_path = name

    return change


def with_size(described: Any) -> None:
    described.state_dict_metadata["w"].size = torch.Size([1 << 50])
    described.state_dict_metadata["w"].chunks[0].sizes = torch.Size([1 << 50])


def with_two_parts(second: int) -> Callable[[Any], None]:
    """Return a change that makes two parts of a tensor, the second from this element on."""

    def change(described: Any) -> None:
        tensor = described.state_dict_metadata["w"]
        (index,) = (each for each in described.storage_data if each.fqn == "w")
        tensor.size = torch.Size([8])
        tensor.chunks.append(type(tensor.chunks[0])(torch.Size([second]), torch.Size([4])))
        described.storage_data[type(index)("w", torch.Size([second]))] = described.storage_data[index]

    return change


def with_link(folder: Path) -> None:
    data = folder / "__0_0.distcp"
    data.rename(folder.parent / "elsewhere")
    os.symlink(folder.parent / "elsewhere", data)


def with_object_value(folder: Path) -> None:
    """Replace the value that is not a tensor with one that only code could make."""
    buffer = io.BytesIO()
    torch.save(Marker(), buffer)
    (folder / "other.distcp").write_bytes(buffer.getvalue())

    def change(described: Any) -> None:
        info = next(info for index, info in described.storage_data.items() if index.fqn == "n")
        info.relative_path, info.offset, info.length = "other.distcp", 0, len(buffer.getvalue())

    edit(folder, change)


def nested_tuple(depth: int) -> Any:
    value: Any = ()
    for _ in range(depth):
        value = (value,)
    return value


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "object in the description": (described_by(with_objects), r"it names builtins\.getattr|it names .*Marker"),
    "object as a value": (with_object_value, "is a pickle that holds other things than tensors"),
    "file elsewhere": (described_by(with_all_in("../elsewhere")), "which is not a file beside it"),
    "file that is missing": (described_by(with_all_in("gone.distcp")), "is missing, or a link"),
    "link": (with_link, "is missing, or a link"),
    "size": (described_by(with_size), "is not read, because"),
    "part outside": (described_by(with_two_parts(6)), "is not in the tensor"),
    "part twice": (described_by(with_two_parts(1)), "overlap, so others are missing"),
    "description": (lambda folder: (folder / ".metadata").write_bytes(b"\x80\x04}."), "is not read"),
    "no description": (lambda folder: (folder / ".metadata").unlink(), r"has no \.metadata"),
    "cut data": (lambda folder: os.truncate(folder / "__0_0.distcp", 100), "is cut off"),
    "deep tuples": (
        described_by(lambda described: described.planner_data.update(w=nested_tuple(300))),
        "nests tuples deeper",
    ),
    "memo": (lambda folder: (folder / ".metadata").write_bytes(b"\x80\x04}r\xff\xff\xff\x7f."), "in the memo"),
    "path": (described_by(lambda described: described.planner_data.update(w=("n", "x"))), "that of another value"),
    "no planned path": (described_by(lambda described: setattr(described, "planner_data", None)), ""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_and_hostile_checkpoints_are_refused(damage: str, checkpoint: Path, tmp_path: Path) -> None:
    change, match = DAMAGES[damage]
    folder = tmp_path / "saved"
    shutil.copytree(checkpoint, folder)
    change(folder)
    if not match:
        assert contents(folder) == contents(checkpoint)
        return
    with pytest.raises(StateError, match=match) as error:
        export_state(folder, tmp_path / "out.csv")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out.csv").exists()
    assert Marker.made == []
