"""Files of torch.save as trainers and scripts leave them: any ending, NumPy values, arguments, hyperparameters."""

from __future__ import annotations

import argparse
import enum
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tb2csv.errors import StateError
from tb2csv.model_state import diff_states, export_state, restore_file, state_of


def values_of(what: Any) -> dict[str, Any]:
    return {tensor.name: tensor.array().tolist() for tensor in state_of(what).tensors}


NAMES = [
    "epoch=1-step=2.ckpt",
    "best.pth.tar",
    "pytorch_model.bin",
    "weights",
    "MODEL.PT",
    "model.h5",
    "model.npz",
    "x.pkl",
]


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_torch_is_recognized_by_its_content(name: str, is_zip: object, tmp_path: Path) -> None:
    for folder, value in {"a": 1.0, "b": 2.0}.items():
        (tmp_path / folder).mkdir()
        torch.save(
            {"w": torch.full((2,), value)}, tmp_path / folder / name, _use_new_zipfile_serialization=bool(is_zip)
        )
    assert values_of(tmp_path / "a" / name) == {"w": [1, 1]}
    export_state(tmp_path / "a" / name, tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b" / name, tmp_path / name)
    assert torch.load(tmp_path / name, weights_only=True)["w"].tolist() == [1, 1]


ARRAYS = {
    "bool": np.array([True, False]),
    "bytes": np.array([b"a", b"bcd"]),
    "texts": np.array(["a", "\u00e9t\u00e9"]),
    "big": np.arange(3, dtype=">i4"),
    "half": np.array([0.5, np.nan], np.float16),
    "complex": np.array([1j, 2]),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 3)),
    "single": np.array(3.5),
    "strided": np.arange(8, dtype=np.uint8)[::2],
}
SCALARS = {name: np.dtype(name).type(1) for name in ("bool", "int8", "uint64", "float16", "float64", "complex64")}
SCALARS |= {"text": np.str_("\u00e9"), "nan": np.float32("nan")}


def test_arrays_and_scalars_of_numpy_in_a_file_go_into_another_one(tmp_path: Path) -> None:
    torch.save({"arrays": ARRAYS, "scalars": SCALARS, "w": torch.ones(1)}, tmp_path / "a.pt")
    state = state_of(tmp_path / "a.pt")
    found = {tensor.name: tensor for tensor in state.tensors}
    for name, array in ARRAYS.items():
        tensor = found[f"arrays.{name}"]
        assert tensor.shape == array.shape
        assert tensor.array().tolist() == array.tolist() or name == "half"
    assert found["arrays.half"].content() == ARRAYS["half"].tobytes()
    assert not state.left_out
    blank = {name: np.zeros_like(array) for name, array in ARRAYS.items()}
    empty = {name: type(scalar)() for name, scalar in SCALARS.items()}
    torch.save({"arrays": blank, "scalars": empty, "w": torch.zeros(1)}, tmp_path / "b.pt")
    export_state(tmp_path / "a.pt", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b.pt", tmp_path / "c.pt")
    restored = torch.load(tmp_path / "c.pt", weights_only=False)  # written here
    for name, array in ARRAYS.items():
        native = array.astype(array.dtype.newbyteorder("="))  # as unpickling makes it
        assert restored["arrays"][name].dtype == native.dtype
        assert restored["arrays"][name].tobytes("A") == native.tobytes("A")
    for name, scalar in SCALARS.items():
        assert type(restored["scalars"][name]) is type(scalar)
        assert restored["scalars"][name].tobytes() == scalar.tobytes()


def test_bytes_that_are_empty_are_read_and_restored(tmp_path: Path) -> None:
    torch.save({"none": b"", "some": b"\xff", "buffer": bytearray()}, tmp_path / "a.pt")
    assert values_of(tmp_path / "a.pt") == {"none": b"", "some": b"\xff", "buffer": b""}
    torch.save({"none": b"1", "some": b"2", "buffer": bytearray(b"3")}, tmp_path / "b.pt")
    export_state(tmp_path / "a.pt", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b.pt", tmp_path / "c.pt")
    assert values_of(tmp_path / "c.pt") == {"none": b"", "some": b"\xff", "buffer": b""}


@pytest.mark.parametrize(
    "odd",
    [
        np.array([{"a": 1}], object),
        np.zeros(1, [("x", "f4"), ("y", "i4")]),
        np.array(["2020-01-01"], "M8[D]"),
        np.ma.masked_array([1.0], [True]),
        np.random.default_rng(0),
    ],
    ids=["objects", "records", "dates", "masked", "generator"],
)
def test_values_of_numpy_that_are_not_plain_bytes_are_refused(odd: Any, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1), "odd": odd}, tmp_path / "m.pt")
    with pytest.raises(StateError, match="holds other things"):
        state_of(tmp_path / "m.pt")


def test_arguments_of_a_script_are_noted_and_stay_in_the_file(tmp_path: Path) -> None:
    for name, value in {"a": 1.0, "b": 2.0}.items():
        arguments = argparse.Namespace(lr=value, names=["x"])
        torch.save({"model": {"w": torch.full((1,), value)}, "args": arguments}, tmp_path / f"{name}.pth")
    state = export_state(tmp_path / "a.pth", tmp_path / "s.csv")
    assert state.left_out == {"args": "Namespace"}
    restore_file(tmp_path / "s.csv", tmp_path / "b.pth", tmp_path / "c.pth")
    with torch.serialization.safe_globals([argparse.Namespace]):
        restored = torch.load(tmp_path / "c.pth", weights_only=True)
    assert restored["args"] == argparse.Namespace(lr=2.0, names=["x"])
    assert restored["model"]["w"].item() == 1


# Lightning


class Size(enum.Enum):
    SMALL = 1


class Settings:
    def __init__(self) -> None:
        self.depth = 3


def touch(path: str) -> None:
    Path(path).touch()


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (touch, (str(self.mark),))


def lightning(value: float, **hyperparameters: Any) -> dict[str, Any]:
    """Return a checkpoint with the keys of Lightning 2.6."""
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, value)
    nn.init.constant_(model.bias, value)
    optimizer = torch.optim.Adam(model.parameters(), value)
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    return {
        "epoch": 1,
        "global_step": 2,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": {f"net.{name}": tensor for name, tensor in model.state_dict().items()},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"EarlyStopping{'monitor': 'val'}": {"wait_count": 0, "best_score": torch.tensor(value)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": hyperparameters,
    }


def test_plain_hyperparameters_of_lightning_are_noted_and_stay_in_the_file(tmp_path: Path) -> None:
    torch.save(lightning(1.0, lr=0.5), tmp_path / "a.ckpt")
    torch.save(lightning(2.0, lr=0.25), tmp_path / "b.ckpt")
    state = export_state(tmp_path / "a.ckpt", tmp_path / "s.csv")
    assert list(state.left_out) == ["hyper_parameters"]
    assert "1 value without a form in a table: hyper_parameters" in state.notes[0]
    assert {"state_dict.net.weight", "optimizer_states.0.state.0.exp_avg"} <= {each.name for each in state.tensors}
    restore_file(tmp_path / "s.csv", tmp_path / "b.ckpt", tmp_path / "c.ckpt")
    restored = torch.load(tmp_path / "c.ckpt", weights_only=True)
    assert restored["hyper_parameters"] == {"lr": 0.25}
    assert restored["optimizer_states"][0]["param_groups"][0]["lr"] == 1
    statuses = {each.status for each in diff_states(tmp_path / "a.ckpt", tmp_path / "c.ckpt")}
    assert statuses == {"same", "not compared"}


def test_hyperparameters_of_lightning_may_be_any_objects_and_do_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    # A method of a class and PyTorch's own functions are pickled as calls of getattr.
    functions = {"act": nn.functional.relu, "relu": torch.relu, "touch": Path.touch}
    objects = {**functions, "loss": nn.MSELoss(), "size": Size.SMALL, "s": Settings(), "path": tmp_path, "type": int}
    torch.save(lightning(1.0, **objects, evil=Evil(mark)), tmp_path / "a.ckpt")
    state = export_state(tmp_path / "a.ckpt", tmp_path / "s.csv")
    assert list(state.left_out) == ["hyper_parameters"]
    assert values_of(tmp_path / "a.ckpt")["callbacks.EarlyStopping{'monitor': 'val'}.best_score"] == 1
    with pytest.raises(StateError, match="'hyper_parameters' in it holds objects"):
        restore_file(tmp_path / "s.csv", tmp_path / "a.ckpt", tmp_path / "c.ckpt")
    assert not (tmp_path / "c.ckpt").exists()
    assert not mark.exists()


@pytest.mark.parametrize(
    "place",
    [
        lambda each: {**lightning(1.0), "callbacks": {"x": each}},
        lambda each: {**lightning(1.0), "state_dict": {"w": torch.ones(1), "x": [each]}},
        lambda each: {**lightning(1.0), "x": {each}},
        lambda each: {**lightning(1.0), "x": argparse.Namespace(inner=[each])},
        lambda each: {"hyper_parameters": {"x": each}, "state_dict": {}},
        lambda each: {"hyper_parameters": {"x": each}, "pytorch-lightning_version": "2.6.6"},
    ],
    ids=["callback", "state dict", "set", "arguments", "no version", "no state dict"],
)
@pytest.mark.parametrize("what", ["evil", "settings", "class"])
def test_objects_elsewhere_are_refused(place: Any, what: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save(place({"evil": Evil(mark), "settings": Settings(), "class": Settings}[what]), tmp_path / "m.ckpt")
    with pytest.raises(StateError, match="holds other things"):
        state_of(tmp_path / "m.ckpt")
    assert not mark.exists()


def test_an_object_as_a_key_is_refused_by_its_name(tmp_path: Path) -> None:
    torch.save({"sizes": {Size.SMALL: torch.ones(1)}}, tmp_path / "m.pt")
    with pytest.raises(StateError, match=r"it names .*Size"):
        state_of(tmp_path / "m.pt")


def test_shards_of_torch_are_read_as_one_model(tmp_path: Path) -> None:
    for folder, value in {"a": 1.0, "b": 2.0}.items():
        (tmp_path / folder).mkdir()
        torch.save({"x.w": torch.full((2,), value)}, tmp_path / folder / "pytorch_model-00001-of-00002.bin")
        torch.save({"y.w": torch.full((1,), value)}, tmp_path / folder / "pytorch_model-00002-of-00002.bin")
        files = {"x.w": "pytorch_model-00001-of-00002.bin", "y.w": "pytorch_model-00002-of-00002.bin"}
        (tmp_path / folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": files}))
    export_state(tmp_path / "a", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b" / "pytorch_model.bin.index.json", tmp_path / "c")
    assert values_of(tmp_path / "c") == {"x.w": [1, 1], "y.w": [1]}
