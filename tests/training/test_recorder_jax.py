"""The recorder for any framework with values of JAX, flax and optax."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from raw_events import summary_values

import tb2csv
from tb2csv.recorders import Recorder, RecorderError, RecorderWarning

jax = pytest.importorskip("jax")
flax = pytest.importorskip("flax")
optax = pytest.importorskip("optax")
nnx = pytest.importorskip("flax.nnx")

jnp = jax.numpy


@flax.struct.dataclass
class TrainState:
    params: Any
    apply: Any = flax.struct.field(pytree_node=False)


class Network(nnx.Module):  # type: ignore[misc] # flax is not typed here
    def __init__(self, rngs: Any) -> None:
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(3, 1, rngs=rngs)])


def recorded(folder: Path) -> dict[str, Any]:
    """Return the serialized tensors of a folder by their tags."""
    return {tag: value.tensor for tag, value in summary_values(folder).items()}


def assert_same(tensor: Any, expected: Any) -> None:
    """The content of a tensor has the bits of an array."""
    array = np.asarray(expected)
    assert tensor.tensor_content == array.tobytes()
    assert tuple(dim.size for dim in tensor.tensor_shape.dim) == array.shape


@pytest.mark.slow
def test_states_become_tags_by_path(tmp_path: Path) -> None:
    model = Network(nnx.Rngs(0))
    state = nnx.state(model, nnx.Param)
    optimizer = optax.adam(1e-3).init(state)
    with Recorder(tmp_path) as recorder:
        recorder.tensors({"weights": state, "optimizer": optimizer, "train": TrainState({"w": jnp.ones(2)}, print)}, 1)
    found = recorded(tmp_path)
    parts = ["first/bias", "first/kernel", "layers/0/bias", "layers/0/kernel"]
    assert sorted(found) == sorted(
        [f"weights/{part}" for part in parts]
        + ["optimizer/0/count", *(f"optimizer/0/{moment}/{part}" for moment in ("mu", "nu") for part in parts)]
        + ["train/params/w"]
    )
    assert_same(found["weights/layers/0/kernel"], model.layers[0].kernel.get_value())
    assert_same(found["optimizer/0/count"], np.int32(0))


def test_a_whole_module_is_a_tree(tmp_path: Path) -> None:
    model = Network(nnx.Rngs(0))
    with Recorder(tmp_path) as recorder:
        recorder.tensors({"model": model}, 1)
    found = recorded(tmp_path)
    assert {"model/first/kernel", "model/dropout/rngs/key", "model/dropout/rngs/count"} <= set(found)
    # A key is what jax.random.key_data shows of it.
    assert_same(found["model/dropout/rngs/key"], jax.random.key_data(model.dropout.rngs.key.get_value()))


@pytest.mark.slow
def test_dtypes_of_jax_are_kept(tmp_path: Path) -> None:
    given = {
        name: jnp.array([0.1, -2.5, 3], name) for name in ("float32", "float16", "bfloat16", "float8_e4m3fn", "int8")
    }
    with Recorder(tmp_path / "tensors") as recorder:
        recorder.tensors(given, 1)
    with Recorder(tmp_path / "scalars") as recorder:
        recorder.scalars({name: array[0] for name, array in given.items()}, jnp.array(2))
        recorder.histograms({"histogram": given}, 2)
    found = recorded(tmp_path / "tensors")
    numbers = {"float32": 1, "float16": 19, "bfloat16": 14, "float8_e4m3fn": 25, "int8": 6}  # types.proto
    for name, array in given.items():
        assert_same(found[name], array)
        assert found[name].dtype == numbers[name]
    scalars = recorded(tmp_path / "scalars")
    for name, array in given.items():
        expected = np.asarray(array[0]).astype(np.int8 if name == "int8" else np.float32)
        assert_same(scalars[name], expected)
        buckets = np.frombuffer(scalars[f"histogram/{name}"].tensor_content).reshape(30, 3)
        assert (buckets[0, 0], buckets[-1, 1], buckets[:, 2].sum()) == (float(array.min()), float(array.max()), 3)


def test_values_are_fetched_in_one_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    get = jax.device_get
    monkeypatch.setattr(jax, "device_get", lambda values: fetched.append(len(values)) or get(values))
    tree = {"a": jnp.ones(2), "b": [jnp.ones(()), 3.0, jnp.zeros((0, 2))]}
    with Recorder(tmp_path) as recorder:
        recorder.tensors(tree, 1)
    assert fetched == [3]


def test_none_is_a_hyperparameter_and_a_missing_scalar_as_without_jax(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.hparams({"depth": None, "layers": {"dropout": None, "width": 8}}, {"accuracy": 0.5})
    recorder.scalars({"loss": None, "other": 1.0}, 1)
    recorder.tensors({"gradients": {"a": None, "b": np.ones(2)}}, 1)
    with pytest.warns(RecorderWarning, match=r"1 value was not recorded in .*: loss \(1 x None\)"):
        recorder.close()
    found = tb2csv.hparams(tmp_path).table
    assert found.select("depth", "layers/dropout", "layers/width").row(0) == ("None", "None", 8)
    assert set(recorded(tmp_path)) >= {"other", "accuracy", "gradients/b"}


def test_values_within_jit_are_refused_and_callbacks_record(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    @jax.jit
    def wrong(x: Any) -> Any:
        recorder.scalars({"x": x}, 1)
        return x

    @jax.jit
    def right(x: Any) -> Any:
        jax.debug.callback(lambda value: recorder.scalars({"x": value}, 1), x * 2)
        return x

    with pytest.raises(RecorderError, match=r"within jax\.jit has no numbers"):
        wrong(1.0)
    right(1.5)
    jax.effects_barrier()
    recorder.close()
    assert_same(recorded(tmp_path)["x"], np.float32(3.0))


@pytest.mark.slow
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source = Path(__file__).parents[2] / "examples/jax_training.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 40
    monkeypatch.setattr(sys, "argv", [str(source), str(tmp_path)])
    runpy.run_path(str(source), run_name="__main__")
    for line in capsys.readouterr().out.splitlines():
        assert len(pl.read_csv(line.rpartition(": ")[2]))
    x = np.linspace(-1, 1, 20)
    first = {name: pl.read_csv(tmp_path / f"tables/tensors/weights/{name}.csv")["value"] for name in ("kernel", "bias")}
    slope, offset = first["kernel"].item(), first["bias"].item()
    losses = dict(pl.read_csv(tmp_path / "tables/scalars/loss.csv").select("step", "value").rows())
    recorded = {
        name: dict(pl.read_csv(tmp_path / f"tables/tensors/gradients/{name}.csv").select("step", "value").rows())
        for name in first
    }
    for step in range(1, 6):  # the derivatives by hand
        error = slope * x + offset - 2 * x - 1
        assert losses[step] == pytest.approx(np.mean(error**2), rel=1e-5)
        gradients = {"kernel": np.mean(2 * error * x), "bias": np.mean(2 * error)}
        for name, gradient in gradients.items():
            assert recorded[name][step] == pytest.approx(gradient, rel=1e-4, abs=1e-6)
        slope -= 0.3 * gradients["kernel"]
        offset -= 0.3 * gradients["bias"]
    histograms = pl.read_csv(tmp_path / "tables/histograms/histograms/kernel.csv")
    assert histograms.group_by("step", maintain_order=True).agg(pl.col("count").sum())["count"].to_list() == [1] * 5
