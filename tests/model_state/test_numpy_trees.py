"""Trees of NumPy arrays and numbers of Python, which need no framework."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from tb2csv.errors import StateError
from tb2csv.model_state import STYLES, export_state, load_state, state_of

if TYPE_CHECKING:
    from pathlib import Path


class Moments(NamedTuple):
    mean: Any
    square: Any


@dataclass(frozen=True)
class Layer:
    kernel: Any
    bias: Any = None


def tree(start: float) -> dict[str, Any]:
    layer = Layer(np.full((2, 1), start), np.float32(start))
    moments = Moments([np.array([start, -0.0])], (np.arange(3) + int(start),))
    return {
        "layer": layer,
        "moments": moments,
        "step": int(start),
        "rate": start / 3,
        "note": f"at {start}",
        "no": None,
    }


NAMES = ["layer/kernel", "layer/bias", "moments/mean/0", "moments/square/0", "step", "rate", "note"]


def contents(what: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {each.name: (each.dtype, each.shape, bytes(each.content())) for each in state_of(what).tensors}


@pytest.mark.parametrize("style", STYLES)
def test_trees_are_changed_in_place_and_need_no_framework(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for framework in ("torch", "jax", "flax"):
        monkeypatch.setitem(sys.modules, framework, None)  # importing it is an error
    source, target = tree(7.0), tree(1.0)
    kept = {"array": target["layer"].kernel, "list": target["moments"].mean, "item": target["moments"].mean[0]}
    assert [each.name for each in export_state(source, tmp_path / "s.csv", style=style).tensors] == NAMES
    loaded = load_state(tmp_path / "s.csv", target)
    assert loaded == []
    assert loaded.model is target
    assert contents(target) == contents(source)
    assert target["moments"].mean is kept["list"]
    assert target["moments"].mean[0] is kept["item"]
    assert (type(target["step"]), type(target["layer"]), target["no"]) == (int, Layer, None)
    assert np.signbit(kept["item"][1])


@pytest.mark.parametrize("what", [[np.ones(2), 3], (np.ones(2), 3), Layer(np.ones(2), 3), np.arange(3.0)])
def test_a_tree_of_another_type_is_returned_with_its_new_values(what: Any) -> None:
    other = load_state(state_of(what), tree_of_zeros(what)).model
    assert type(other) is type(what)
    assert contents(other) == contents(what)


def tree_of_zeros(what: Any) -> Any:
    if isinstance(what, np.ndarray):
        return np.zeros_like(what)
    return Layer(np.zeros(2), 0) if isinstance(what, Layer) else type(what)([np.zeros(2), 0])


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (("a/b",), "a%2Fb"),
        (("a", "b"), "a/b"),
        (("a%2Fb",), "a%252Fb"),
        ((10, "2"), "10/2"),
        (("",), "%"),
        (("%",), "%25"),
        (("a", ""), "a/%"),
        ((("x", 1),), "('x', 1)"),
    ],
)
def test_names_of_keys_never_collide(keys: tuple[Any, ...], name: str) -> None:
    nested: Any = np.ones(1)
    for key in reversed(keys):
        nested = {key: nested}
    assert [each.name for each in state_of(nested).tensors] == [name]


def itself() -> Any:
    found: dict[str, Any] = {"w": np.ones(1)}
    found["again"] = [found]
    return found


@pytest.mark.parametrize(
    ("odd", "match"),
    [
        ({"b": object()}, "'b' is of type object"),
        ({"b": {1, 2}}, "'b' is of type set"),
        ({"b": np.ma.array([1.0], mask=[True])}, "'b' is of type MaskedArray"),
        ({"b": np.array([object()])}, "'b' is of dtype object"),
        ({1: np.ones(1), "1": np.ones(1)}, "two tensors named '1'"),
        (itself(), "structure of the tree cannot be followed"),
    ],
)
def test_what_has_no_form_is_refused_by_name(odd: Any, match: str) -> None:
    with pytest.raises(StateError, match=match):
        state_of({"a": np.ones(1), **odd})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"more": np.ones(1)}, "more: is not in the model"),
        ({"step": None}, "step: is not in the state"),
        ({"rate": np.float32(1)}, r"rate: is float32 in the state and float64 in the model"),
        ({"layer": Layer(np.ones((1, 2)), np.float32(1))}, r"layer/kernel: has shape \[1, 2\] in the state"),
    ],
)
def test_a_tree_that_does_not_fit_changes_nothing(change: dict[str, Any], match: str) -> None:
    target = tree(1.0)
    before = contents(target)
    with pytest.raises(StateError, match=match):
        load_state(state_of({**tree(7.0), **change}), target)
    assert contents(target) == before


def test_functions_are_left_out_and_named() -> None:
    state = state_of({"w": np.ones(1), "activation": np.tanh})
    assert state.left_out == {"activation": "ufunc"}
    assert "activation (ufunc)" in state.notes[0]
