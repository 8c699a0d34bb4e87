"""What PyTorch states hold beside weights, and tensors that have no plain bytes or no memory of their own."""

from __future__ import annotations

import csv
import json
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from commands import run_here
from torch import nn

from tb2csv.errors import StateError
from tb2csv.model_state import STYLES, diff_states, export_state, load_state, restore_file, state_of

if TYPE_CHECKING:
    from pathlib import Path


def values_of(what: Any) -> dict[str, Any]:
    return {tensor.name: tensor.array().tolist() for tensor in state_of(what).tensors}


def statuses(first: Any, second: Any) -> dict[str, str]:
    return {each.name: each.status for each in diff_states(first, second)}


# Containers


@pytest.mark.parametrize("start", ["", "trainer.0."])
def test_weights_under_the_key_params_beside_a_learning_rate_are_state(start: str, tmp_path: Path) -> None:
    def checkpoint(value: float) -> dict[str, Any]:
        weights = {"weight": torch.full((2,), value), "bias": torch.full((1,), value)}
        inner = {"params": weights, "lr": 0.5}
        return {"trainer": [inner]} if start else inner

    torch.save(checkpoint(1), tmp_path / "a.pt")
    torch.save(checkpoint(2), tmp_path / "b.pt")
    expected = {f"{start}params.weight": [1, 1], f"{start}params.bias": [1], f"{start}lr": 0.5}
    assert values_of(checkpoint(1)) == values_of(tmp_path / "a.pt") == expected
    assert statuses(tmp_path / "a.pt", tmp_path / "b.pt") == {
        f"{start}params.weight": "changed",
        f"{start}params.bias": "changed",
        f"{start}lr": "same",
    }
    export_state(tmp_path / "a.pt", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b.pt", tmp_path / "c.pt")
    assert values_of(torch.load(tmp_path / "c.pt", weights_only=True)) == expected


def test_a_list_of_numbers_is_structure_only_in_the_state_dict_of_an_optimizer() -> None:
    parameters = [nn.Parameter(torch.ones(1)) for _ in range(3)]
    optimizer = torch.optim.SGD([{"params": parameters[:2]}, {"params": parameters[2:]}], 0.1)
    assert not [name for name in values_of(optimizer) if ".params" in name]
    plain = {"params": [0, 1], "lr": torch.tensor(0.5)}
    assert values_of(plain) == {"params.0": 0, "params.1": 1, "lr": 0.5}
    other = {"state": {}, "param_groups": [{"params": [4, 7], "lr": torch.tensor(0.5)}]}
    assert values_of(other) == {"param_groups.0.params.0": 4, "param_groups.0.params.1": 7, "param_groups.0.lr": 0.5}
    tensors = {"state": {}, "param_groups": [{"params": [torch.ones(1)], "lr": 0.1}]}
    assert values_of(tensors) == {"param_groups.0.params.0": [1], "param_groups.0.lr": 0.1}


class Net(nn.Module):
    """A module with state that is not a tensor."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        nn.init.constant_(self.linear.weight, seed)
        nn.init.constant_(self.linear.bias, seed)
        self.extra: Any = {
            "array": np.arange(3, dtype=">i2") * seed,
            "scalar": np.float32(seed) / np.float32(3),
            "words": np.array(["a", "bc" * seed]),
            "raw": bytes([0, 255, seed]),
            "buffer": bytearray([seed]),
        }

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state


@pytest.mark.parametrize("style", STYLES)
def test_arrays_and_bytes_of_an_extra_state_go_into_another_module(style: str, tmp_path: Path) -> None:
    first, second = Net(1), Net(2)
    export_state(first, tmp_path / "s.csv", style=style)
    assert statuses(first, second)["_extra_state.raw"] == "changed"
    assert load_state(tmp_path / "s.csv", second) == []
    for key, wanted in first.extra.items():
        found = second.extra[key]
        assert type(found) is type(wanted)
        assert np.array_equal(found, wanted) if isinstance(wanted, np.ndarray) else found == wanted
        assert not isinstance(wanted, np.ndarray | np.generic) or found.dtype.kind == wanted.dtype.kind


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - any named tuple


def test_plain_values_in_tuples_and_arrays_of_a_dict_are_restored(tmp_path: Path) -> None:
    array = np.zeros(2)
    first: dict[str, Any] = {"t": (1, (2.5, "a")), "p": Pair(torch.ones(1), 3), "a": np.ones(2), "b": b"\xff"}
    second: dict[str, Any] = {"t": (0, (0.0, "")), "p": Pair(torch.zeros(1), 0), "a": array, "b": b""}
    export_state(first, tmp_path / "s.csv")
    assert load_state(tmp_path / "s.csv", second) == []
    assert second["t"] == (1, (2.5, "a"))
    assert (second["p"].left.item(), second["p"].right) == (1, 3)
    assert second["a"] is array
    assert array.tolist() == [1, 1]
    assert second["b"] == b"\xff"


def test_every_face_shows_values_that_have_no_form_in_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seen in {"a": {1, 2}, "b": {3}}.items():
        torch.save({"w": torch.ones(1), "seen": seen, "type": torch.float16, "raw": b"1"}, tmp_path / f"{name}.pt")
    a, b, table = tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "s.csv"
    note = f"Not in the state of {a}: 2 values without a form in a table: seen (set), type (dtype)."
    assert state_of(a).notes == (note,)
    assert run_here(capsys, "state", "export", a, "-o", table).stderr.splitlines()[0] == note
    shown = json.loads(run_here(capsys, "state", "export", a, "-o", table, "--overwrite", "--json").stdout)
    assert shown["notes"] == [note]
    assert statuses(a, b) == {"w": "same", "raw": "same", "seen": "not compared", "type": "not compared"}
    compared = run_here(capsys, "state", "diff", a, b)
    assert note in compared.stderr
    assert compared.stderr.endswith("0 tensors differ, 2 are the same, 2 not compared\n")
    left = [
        "seen: is of type set, which has no form in a table",
        "type: is of type dtype, which has no form in a table",
    ]
    assert restore_file(table, b, tmp_path / "c.pt") == left
    restored = run_here(capsys, "state", "restore", table, b, "-o", tmp_path / "d.pt")
    assert [f"left as it is: {each}" for each in left] == restored.stderr.splitlines()[:2]
    assert torch.load(tmp_path / "d.pt", weights_only=True)["seen"] == {3}


def test_an_object_in_an_extra_state_is_noted_and_in_a_dict_is_refused(tmp_path: Path) -> None:
    net = Net(1)
    net.extra = {"when": object(), "n": 1}
    state = export_state(net, tmp_path / "s.csv")
    assert state.left_out == {"_extra_state.when": "object"}
    assert load_state(tmp_path / "s.csv", net) == ["_extra_state.when: is of type object, which has no form in a table"]
    with pytest.raises(StateError, match="An object of set has no state dict"):
        state_of({"seen": {1}, "w": torch.ones(1)})


def test_elements_of_a_file_have_layer_and_index(tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module("conv1", nn.Conv1d(1, 1, 1))
    model.add_module("fc", nn.Linear(1, 1, bias=False))
    torch.save(model.state_dict(), tmp_path / "m.pth")
    export_state(tmp_path / "m.pth", tmp_path / "s.csv", style="elements")
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = [row[:4] for row in csv.reader(file)][1:]
    assert rows == [["0", "conv1", "", "weight"], ["0", "conv1", "", "bias"], ["1", "fc", "", "weight"]]
    load_state(tmp_path / "s.csv", model)


# Tensors that are not plain


class Wrapped(torch.Tensor):
    """A tensor that holds another one, as quantized and sharded tensors do."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls: Any, inner: torch.Tensor) -> Any:
        outer = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        outer.inner = inner
        return outer

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError


def distributed() -> torch.Tensor:
    from torch import distributed as dist
    from torch.distributed.tensor import DTensor, Replicate, init_device_mesh

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        return DTensor.from_local(torch.zeros(2), init_device_mesh("cpu", (1,)), [Replicate()])
    finally:
        dist.destroy_process_group()


ODD = {
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    "jagged": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
    "distributed": distributed,
    "wrapped": lambda: Wrapped(torch.zeros(2)),
    "lazy parameter": lambda: nn.LazyLinear(2).weight,
    "lazy buffer": lambda: nn.LazyBatchNorm1d().running_mean,
    "csr": lambda: torch.eye(2).to_sparse_csr(),
    "quantized": lambda: torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8),
    "half complex": lambda: torch.zeros(2, dtype=torch.complex32),
}


@pytest.mark.filterwarnings("ignore")  # of prototypes and what PyTorch will drop
@pytest.mark.parametrize("kind", ODD)
def test_a_tensor_without_plain_bytes_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"'model\.odd'.*form in a table"):
        state_of({"model": {"odd": ODD[kind](), "w": torch.ones(1)}})
    export_state({"w": torch.ones(1)}, tmp_path / "s.csv")
    target = {"w": torch.zeros(1), "odd": ODD[kind]()}
    with pytest.raises(StateError, match=r"'odd'.*form in a table"):
        load_state(tmp_path / "s.csv", target, allow_partial=True)
    assert target["w"].item() == 0


def test_a_lazy_module_that_has_not_run_is_refused() -> None:
    with pytest.raises(StateError, match=r"'0\.weight'.*lazy module"):
        state_of(nn.Sequential(nn.LazyLinear(2)))


# Memory that is shared


def test_an_expanded_tensor_is_exported_and_restored_in_files(tmp_path: Path) -> None:
    torch.save({"x": torch.tensor([5.0]).expand(3), "w": torch.ones(1)}, tmp_path / "a.pt")
    torch.save({"x": torch.zeros(1).expand(3), "w": torch.zeros(1)}, tmp_path / "b.pt")
    export_state(tmp_path / "a.pt", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b.pt", tmp_path / "c.pt")
    assert values_of(tmp_path / "c.pt") == {"x": [5, 5, 5], "w": [1]}


class Expanded(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((1,), value).expand(3))


class Refusing(nn.Linear):
    """A module whose own state cannot be set."""

    def get_extra_state(self) -> Any:
        return 0

    def set_extra_state(self, _: Any) -> None:
        raise ZeroDivisionError


def read_only(value: float) -> np.ndarray:
    array = np.full(2, value)
    array.flags.writeable = False
    return array


def inference_tensor(value: float) -> torch.Tensor:
    with torch.inference_mode():
        return torch.full((2,), value)


@pytest.mark.parametrize(
    "last",
    [
        lambda value: {"x": torch.full((1,), value).expand(3)},
        Expanded,
        lambda _: Refusing(1, 1),
        lambda value: {"frozen": read_only(value)},
        inference_tensor,
    ],
    ids=["expanded", "expanded buffer", "refusing module", "read-only array", "inference tensor"],
)
def test_a_refused_value_changes_no_other_object(last: Any, tmp_path: Path) -> None:
    def make(value: float) -> dict[str, Any]:
        parts = make_training(value)
        return {**parts, "n": int(value), "last": last(value)}

    source, target = make(1.0), make(2.0)
    take_step(source)
    export_state(source, tmp_path / "s.csv")
    before = values_of(target)
    with pytest.raises(StateError, match="nothing was changed"):
        load_state(tmp_path / "s.csv", target)
    assert values_of(target) == before
    assert not target["optimizer"].state


def make_training(value: float) -> dict[str, Any]:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, value)
    nn.init.constant_(model.bias, value)
    return {"model": model, "optimizer": torch.optim.Adam(model.parameters(), value)}


def take_step(parts: dict[str, Any]) -> None:
    parts["model"](torch.ones(1, 1)).sum().backward()
    parts["optimizer"].step()


def test_a_failed_load_leaves_the_containers_of_a_scheduler_alone(tmp_path: Path) -> None:
    def make(rate: float) -> dict[str, Any]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], rate)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
        return {"scheduler": scheduler, "x": torch.full((1,), rate).expand(2)}

    export_state(make(0.5), tmp_path / "s.csv")
    target = make(0.25)
    with pytest.raises(StateError):
        load_state(tmp_path / "s.csv", target)
    assert target["scheduler"].base_lrs == [0.25]


@pytest.mark.parametrize("second", [slice(0, 2), slice(1, 3)], ids=["the same", "overlapping"])
def test_two_values_for_one_memory_are_refused(second: slice, tmp_path: Path) -> None:
    untied = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}

    def make_tied() -> dict[str, torch.Tensor]:
        memory = torch.zeros(3)
        return {"a": memory[:2], "b": memory[second]}

    tied = make_tied()
    torch.save(tied, tmp_path / "tied.pt")
    export_state(untied, tmp_path / "s.csv")
    with pytest.raises(StateError, match="shares its memory"):
        load_state(tmp_path / "s.csv", tied)
    assert values_of(tied) == {"a": [0, 0], "b": [0, 0]}
    with pytest.raises(StateError, match="shares its memory"):
        restore_file(tmp_path / "s.csv", tmp_path / "tied.pt", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()
    equal = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([2.0, 5.0] if second.start else [1.0, 2.0])}
    export_state(equal, tmp_path / "t.csv")
    load_state(tmp_path / "t.csv", tied)
    restore_file(tmp_path / "t.csv", tmp_path / "tied.pt", tmp_path / "out.pt")
    assert values_of(tied) == values_of(tmp_path / "out.pt") == values_of(equal)


def test_an_impossible_optimizer_state_is_refused(tmp_path: Path) -> None:
    parts = make_training(1.0)
    take_step(parts)
    export_state(parts, tmp_path / "s.csv", style="base64")
    text = (tmp_path / "s.csv").read_text()
    odd = text.replace("optimizer.state.0.exp_avg,", "optimizer.state.0.strange,")
    for old, new in {'""shape"": [1, 1]': '""shape"": [4611686018427387904, 8]', '""float32""': '""str""'}.items():
        (tmp_path / "odd.csv").write_text(odd.replace(old, new))
        target = make_training(2.0)
        with pytest.raises(StateError):
            load_state(tmp_path / "odd.csv", target)
        assert not target["optimizer"].state
