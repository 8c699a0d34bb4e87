"""The state of PyTorch objects, live and in files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tb2csv.errors import StateError
from tb2csv.model_state import STYLES, diff_states, export_state, load_state, restore_file, state_of

OPTIMIZERS = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, 1e-2, amsgrad=True),
    "SGD": lambda parameters: torch.optim.SGD(parameters, 1e-2, momentum=0.9),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, 1e-2, centered=True),
    "Adafactor": torch.optim.Adafactor,
}


def make(seed: int, optimizer: str = "Adam") -> dict[str, Any]:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv1d(1, 3, 2), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(9, 2)
    )
    steps = OPTIMIZERS[optimizer](model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(steps, 2, 0.5)
    return {"model": model, "optimizer": steps, "scheduler": scheduler, "rng": torch.get_rng_state(), "epoch": 0}


GENERATOR = torch.Generator().manual_seed(4)
X = torch.randn(80, 1, 4, generator=GENERATOR)
Y = torch.randn(80, 2, generator=GENERATOR)


def train(what: dict[str, Any], first: int, last: int) -> list[float]:
    torch.set_rng_state(what["rng"])
    losses = []
    for i in range(first, last):
        what["optimizer"].zero_grad()
        loss = ((what["model"](X[i * 8 : i * 8 + 8]) - Y[i * 8 : i * 8 + 8]) ** 2).mean()
        loss.backward()
        what["optimizer"].step()
        what["scheduler"].step()
        what["epoch"] = i
        losses.append(loss.item())
    what["rng"] = torch.get_rng_state()
    return losses


def contents(what: Any) -> dict[str, bytes]:
    return {tensor.name: bytes(tensor.content()) for tensor in state_of(what).tensors}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_continues_as_if_never_stopped(optimizer: str, style: str, tmp_path: Path) -> None:
    whole, stopped, resumed = make(0, optimizer), make(0, optimizer), make(7, optimizer)
    losses = train(whole, 0, 8)
    train(stopped, 0, 3)
    export_state(stopped, tmp_path / "s.csv", style=style, max_cell=100)
    assert load_state(tmp_path / "s.csv", resumed) == []
    assert train(resumed, 3, 8) == losses[3:]
    assert contents(resumed) == contents(whole)
    assert resumed["epoch"] == 7
    assert isinstance(resumed["epoch"], int)


DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
]  # fmt: skip


def from_bytes(data: bytes, dtype: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype))


@pytest.mark.parametrize("style", STYLES)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(min_size=64, max_size=64))
def test_every_dtype_goes_through_files_bit_for_bit(raw: bytes, style: str, tmp_path: Path) -> None:
    tensors = {name: from_bytes(bytes(b & 1 for b in raw) if name == "bool" else raw, name) for name in DTYPES}
    tensors = {name: each.reshape(2, -1) for name, each in tensors.items()}
    torch.save(tensors, tmp_path / "a.pt")
    torch.save({name: torch.zeros_like(each) for name, each in tensors.items()}, tmp_path / "b.pt")
    export_state(tmp_path / "a.pt", tmp_path / "s.csv", style=style, overwrite=True)
    restore_file(tmp_path / "s.csv", tmp_path / "b.pt", tmp_path / "c.pt", overwrite=True)
    found = torch.load(tmp_path / "c.pt", weights_only=True)
    for name, each in tensors.items():
        assert found[name].dtype == each.dtype
        assert bytes(found[name].reshape(-1).view(torch.uint8)) == bytes(each.reshape(-1).view(torch.uint8))
    live = {name: torch.zeros_like(each) for name, each in tensors.items()}
    load_state(tmp_path / "s.csv", live)
    assert contents(live) == contents(tensors)


def test_a_checkpoint_keeps_its_structure(tmp_path: Path) -> None:
    def checkpoint(seed: int, steps: int) -> dict[str, Any]:
        what = make(seed)
        train(what, 0, steps)
        states = {name: part.state_dict() for name, part in what.items() if hasattr(part, "state_dict")}
        return {
            **states,
            "epoch": steps,
            "note": "a, b",
            "best": 0.1 * seed,
            "big": 2**70 + seed,
            "shapes": (1, (2.5, None)),
        }

    torch.save(checkpoint(1, 3), tmp_path / "a.pt")
    torch.save(checkpoint(2, 2), tmp_path / "b.pt")
    export_state(tmp_path / "a.pt", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b.pt", tmp_path / "c.pt")
    first, restored = (torch.load(tmp_path / name, weights_only=True) for name in ("a.pt", "c.pt"))
    assert type(restored["model"]) is type(first["model"])
    assert {k: v for k, v in restored.items() if k not in {"model", "optimizer"}} == {
        k: v for k, v in first.items() if k not in {"model", "optimizer"}
    }
    assert restored["optimizer"]["param_groups"] == first["optimizer"]["param_groups"]
    assert contents(tmp_path / "c.pt") == contents(tmp_path / "a.pt")


def test_tensors_that_share_memory_still_do(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    torch.save({"a": shared, "b": shared, "view": shared[1:3]}, tmp_path / "a.pt")
    other = torch.zeros(4)
    torch.save({"a": other, "b": other, "view": other[1:3]}, tmp_path / "b.pt")
    export_state(tmp_path / "a.pt", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b.pt", tmp_path / "c.pt")
    found = torch.load(tmp_path / "c.pt", weights_only=True)
    found["a"][1] = 9
    assert found["b"].tolist() == [0, 9, 2, 3]
    assert found["view"].tolist() == [9, 2]


def test_names_and_layers(tmp_path: Path) -> None:
    what = make(0)
    train(what, 0, 1)
    tensors = {tensor.name: tensor for tensor in state_of(what).tensors}
    weight = tensors["model.0.weight"]
    assert (weight.layer, weight.layer_type, weight.parameter, weight.trainable) == (
        "model.0",
        "Conv1d",
        "weight",
        True,
    )
    assert tensors["model.1.running_mean"].trainable is False
    assert tensors["optimizer.param_groups.0.lr"].python == "float"
    assert not [name for name in tensors if "params." in name]
    export_state(what["model"], tmp_path / "s.csv", style="elements")
    np.testing.assert_array_equal(
        state_of(tmp_path / "s.csv").tensors[0].array(), what["model"][0].weight.detach().numpy()
    )


def test_misfits_are_reported_and_nothing_is_changed(tmp_path: Path) -> None:
    export_state(make(0)["model"], tmp_path / "s.csv")
    other = nn.Sequential(nn.Conv1d(1, 3, 3), nn.BatchNorm1d(3).double())
    before = contents(other)
    with pytest.raises(StateError) as told:
        load_state(tmp_path / "s.csv", other)
    assert "0.weight: has shape [3, 1, 2] in the state and [3, 1, 3] in the model" in str(told.value)
    assert "1.weight: is float32 in the state and float64 in the model" in str(told.value)
    assert "5.bias: is not in the model" in str(told.value)
    assert contents(other) == before
    assert len(load_state(tmp_path / "s.csv", other, allow_partial=True)) == 7


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("writer", ["torch", "pickle", "old torch", "module"])
@pytest.mark.parametrize("ending", ["pt", "pth"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(writer: str, ending: str, tmp_path: Path) -> None:
    path, mark = tmp_path / f"m.{ending}", tmp_path / "ran"
    what = {"w": torch.zeros(2), "evil": Evil(mark)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Evil(mark)))
    elif writer == "module":
        torch.save(nn.Linear(1, 1), path)
    else:
        torch.save(what, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(StateError, match=r"is a pickle.*any code"):
        state_of(path)
    assert not mark.exists()


def test_invalid_files_and_tensors_without_plain_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"nonsense")
    with pytest.raises(StateError, match=r"file of torch\.save"):
        state_of(tmp_path / "x.pt")
    for odd in (torch.eye(3).to_sparse(), torch.empty(2, device="meta")):
        with pytest.raises(StateError, match="form in a table"):
            state_of({"odd": odd})
    for what in ({"odd": object()}, {"odd": object(), "w": torch.ones(2)}):
        with pytest.raises(StateError, match=r"'odd' is of type object|An object of object has no state dict"):
            state_of(what)


def test_a_conjugate_a_transposed_and_an_empty_tensor(tmp_path: Path) -> None:
    first = {"c": torch.tensor([1 + 2j, 3j]).conj(), "t": torch.arange(6).reshape(2, 3).T, "e": torch.empty(0, 3)}
    second = {name: torch.zeros_like(each) for name, each in first.items()}
    for style in STYLES:
        export_state(first, tmp_path / f"{style}.csv", style=style)
        load_state(tmp_path / f"{style}.csv", second)
        assert second["c"].tolist() == [1 - 2j, -3j]
        assert second["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
        second["c"].zero_()
    assert {each.status for each in diff_states(first, second)} == {"same", "changed"}
