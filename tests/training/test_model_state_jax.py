"""States of JAX: flax.nnx, flax.linen and optax, and arrays of every type."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tb2csv.errors import StateError
from tb2csv.model_state import STYLES, diff_states, export_state, load_state, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
optax = pytest.importorskip("optax")
nnx = pytest.importorskip("flax.nnx")
nn = pytest.importorskip("flax.linen")
struct = pytest.importorskip("flax.struct")
core = pytest.importorskip("flax.core")

with contextlib.suppress(RuntimeError):  # another test has started JAX, with one device
    jax.config.update("jax_num_cpu_devices", 2)

BATCHES = np.random.default_rng(0).normal(size=(6, 8, 2)).astype(np.float32)


def contents(what: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {each.name: (each.dtype, each.shape, bytes(each.content())) for each in state_of(what).tensors}


class Network(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(2, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.heads = nnx.List([nnx.Linear(4, 1, rngs=rngs)])

    def __call__(self, x: Any) -> Any:
        return self.heads[0](self.dropout(nnx.relu(self.norm(self.hidden(x)))))


ADAM = optax.adam(1e-2)  # another one would be compiled again


def nnx_training(seed: int) -> dict[str, Any]:
    model = Network(nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, ADAM, wrt=nnx.Param)
    return {"model": model, "optimizer": optimizer, "key": jax.random.key(seed), "epoch": seed}


@nnx.jit
def nnx_step(model: Any, optimizer: Any, x: Any) -> Any:
    loss, gradients = nnx.value_and_grad(lambda each: (each(x) ** 2).mean())(model)
    optimizer.update(model, gradients)
    return loss


def train_nnx(what: dict[str, Any], first: int, last: int) -> tuple[dict[str, Any], list[float]]:
    return what, [float(nnx_step(what["model"], what["optimizer"], batch)) for batch in BATCHES[first:last]]


class LinenNetwork(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.relu(nn.BatchNorm(use_running_average=False)(nn.Dense(4)(x)))
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=False)(x))


OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.inject_hyperparams(optax.adam)(learning_rate=1e-2))


def linen_training(seed: int) -> dict[str, Any]:
    key, params, dropout = jax.random.split(jax.random.key(seed), 3)
    variables = LinenNetwork().init({"params": params, "dropout": dropout}, BATCHES[0])
    return {"variables": variables, "optimizer": OPTIMIZER.init(variables["params"]), "key": key, "step": 0}


@jax.jit
def linen_step(what: dict[str, Any], x: Any) -> tuple[dict[str, Any], Any]:
    key, dropout = jax.random.split(what["key"])
    others = {name: value for name, value in what["variables"].items() if name != "params"}

    def loss_of(params: Any) -> Any:
        out, changed = LinenNetwork().apply(
            {"params": params, **others}, x, rngs={"dropout": dropout}, mutable=["batch_stats"]
        )
        return (out**2).mean(), changed

    params = what["variables"]["params"]
    (loss, changed), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, optimizer = OPTIMIZER.update(gradients, what["optimizer"], params)
    variables = {"params": optax.apply_updates(params, updates), **changed}
    return {"variables": variables, "optimizer": optimizer, "key": key, "step": what["step"] + 1}, loss


def train_linen(what: dict[str, Any], first: int, last: int) -> tuple[dict[str, Any], list[float]]:
    losses = []
    for batch in BATCHES[first:last]:
        what, loss = linen_step(what, batch)
        losses.append(float(loss))
    return what, losses


TRAININGS = {"nnx": (nnx_training, train_nnx), "linen": (linen_training, train_linen)}


@pytest.mark.slow
@pytest.mark.parametrize(("library", "style"), [("nnx", "tensors"), ("linen", "elements")])
def test_training_continues_as_if_never_stopped(library: str, style: str, tmp_path: Path) -> None:
    make, train = TRAININGS[library]
    whole, losses = train(make(0), 0, 6)
    stopped, _ = train(make(0), 0, 2)
    export_state(stopped, tmp_path / "s.csv", style=style, max_cell=100)
    loaded = load_state(tmp_path / "s.csv", make(7))
    assert loaded == []
    resumed, later = train(loaded.model, 2, 6)
    assert later == losses[2:]
    assert contents(resumed) == contents(whole)
    assert all(each.status == "same" for each in diff_states(resumed, whole))


def test_modules_of_nnx_are_changed_in_place_and_trees_are_not(tmp_path: Path) -> None:
    source, target = Network(nnx.Rngs(0)), Network(nnx.Rngs(1))
    kernel = target.hidden.kernel
    assert load_state(state_of(source), target).model is target
    assert target.hidden.kernel is kernel
    assert contents(target) == contents(source)
    params = {"w": jnp.zeros(2), "n": [1]}
    loaded = load_state(state_of({"w": jnp.ones(2), "n": [2]}), params).model
    assert (params["w"].tolist(), params["n"]) == ([0, 0], [1])
    assert (loaded["w"].tolist(), loaded["n"]) == ([1, 1], [2])


@struct.dataclass
class Registered:
    step: Any
    params: Any
    apply: Any = struct.field(pytree_node=False, default=None)


@dataclasses.dataclass
class Plain:
    weights: Any
    scale: Any = 1.0


def multi_transform_state() -> Any:
    labels = {"a": "fast", "b": "frozen"}
    transform = optax.multi_transform({"fast": optax.sgd(0.1, momentum=0.9), "frozen": optax.set_to_zero()}, labels)
    return transform.init({"a": jnp.ones(1), "b": jnp.ones(1)})


TREES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "nnx module": (
        lambda: Network(nnx.Rngs(0)),
        [
            *("hidden/bias", "hidden/kernel", "norm/bias", "norm/mean", "norm/scale", "norm/var"),
            *("dropout/rngs/count", "dropout/rngs/key", "heads/0/bias", "heads/0/kernel"),
        ],
    ),
    "nnx state": (lambda: nnx.state(Network(nnx.Rngs(0)), nnx.BatchStat), ["norm/mean", "norm/var"]),
    "nnx variable": (lambda: {"w": nnx.Param(jnp.ones(1))}, ["w"]),
    "frozen dict": (lambda: core.freeze({"a": {"b/c": jnp.ones(1)}}), ["a/b%2Fc"]),
    "registered dataclass": (lambda: Registered(3, {"w": jnp.ones(1)}, jnp.tanh), ["params/w", "step"]),
    "plain dataclass": (lambda: Plain([jnp.ones(1)]), ["weights/0", "scale"]),
    "adam": (lambda: optax.adam(0.1).init({"w": jnp.ones(1)}), ["0/count", "0/mu/w", "0/nu/w"]),
    "hyperparameters": (
        lambda: optax.inject_hyperparams(optax.sgd)(0.1).init({"w": jnp.ones(1)}),
        ["count", "hyperparams/learning_rate"],
    ),
    "multi transform": (multi_transform_state, ["inner_states/fast/inner_state/0/trace/a"]),
    "array": (lambda: jnp.ones(2), ["value"]),
}


@pytest.mark.parametrize("kind", TREES)
def test_leaves_are_named_by_path_and_structure_is_kept(kind: str) -> None:
    make, names = TREES[kind]
    source = make()
    found = [each.name for each in state_of(source).tensors]
    assert sorted(found) == sorted(names)
    loaded = load_state(state_of(source), make()).model
    assert jax.tree.structure(loaded) == jax.tree.structure(source)
    assert contents(loaded) == contents(source)


def leaves_of_every_dtype() -> dict[str, Any]:
    raw = np.random.default_rng(1).integers(0, 256, 16, np.uint8)
    odd = np.array([0x7FC00001, 0xFF812345, 0x80000000, 1], np.uint32)
    names = ["float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2fnuz", "bfloat16", "float16", "uint32"]
    return {
        **{name: jnp.asarray(raw.view(jnp.dtype(name))) for name in names},
        **{name: jnp.asarray(np.arange(8) - 4 * name.startswith("i")).astype(name) for name in ("int4", "uint4")},
        "odd": jnp.asarray(odd.view(np.float32)),
        "complex": jnp.asarray(odd.view(np.complex64)),
        "bool": jnp.asarray([True, False]),
        "weak": jnp.full((2,), 2.0),
        "empty": jnp.zeros((0, 3)),
        "key": jax.random.key(1),
        "keys": jax.random.split(jax.random.key(2), 3),
        "rbg": jax.random.key(3, impl="rbg"),
        "raw key": jax.random.PRNGKey(4),
        "number": 0.1,
        "none": None,
    }


def changed(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array):
        return type(leaf)(0)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jax.random.key_data(leaf) + 1, impl=jax.random.key_impl(leaf))
    return jnp.zeros_like(leaf)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_every_dtype_comes_back_bit_for_bit(style: str, tmp_path: Path) -> None:
    source = leaves_of_every_dtype()
    target = jax.tree.map(changed, source)
    export_state(source, tmp_path / "s.csv", style=style, max_cell=8)
    loaded = load_state(tmp_path / "s.csv", target).model
    for name, old in source.items():
        new = loaded[name]
        assert type(new) is type(old)
        if not isinstance(old, jax.Array):
            assert new == old
        elif jnp.issubdtype(old.dtype, jax.dtypes.prng_key):
            assert (new.dtype, new.shape) == (old.dtype, old.shape)
            assert np.array_equal(jax.random.key_data(new), jax.random.key_data(old))
        else:
            assert (new.dtype, new.shape, new.weak_type) == (old.dtype, old.shape, old.weak_type)
            assert np.asarray(new).tobytes() == np.asarray(old).tobytes()


def test_small_integers_are_written_with_their_sign(tmp_path: Path) -> None:
    export_state({"w": jnp.array([-8, -1, 7]).astype("int4")}, tmp_path / "s.csv")
    assert '"-8,-1,7"' in (tmp_path / "s.csv").read_text()
    (tmp_path / "t.csv").write_text(
        'tensor_name,tensor_data,tensor_metadata\nw,"-8,-1,9","{""shape"": [3], ""dtype"": ""int4""}"\n'
    )
    with pytest.raises(StateError, match="9 is not a number of int4"):
        load_state(tmp_path / "t.csv", {"w": jnp.zeros(3, "int4")})


def test_arrays_stay_on_their_devices() -> None:
    mesh = jax.make_mesh((len(jax.devices()),), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    parts = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    target = {"parts": jax.device_put(jnp.zeros((4, 2)), parts), "last": jax.device_put(0.0, jax.devices()[-1])}
    source = {"parts": jnp.arange(8.0).reshape(4, 2), "last": jnp.asarray(5.0)}
    loaded = load_state(state_of(source), target).model
    assert (loaded["parts"].sharding, loaded["parts"].committed) == (parts, True)
    assert loaded["last"].devices() == {jax.devices()[-1]}
    assert np.array_equal(loaded["parts"], source["parts"])
    assert not load_state(state_of(target), source).model["parts"].committed


def deleted() -> Any:
    array = jnp.ones(2)
    array.delete()
    return array


def donated() -> Any:
    array = jnp.ones(2)
    jax.jit(lambda each: each + 1, donate_argnums=0)(array).block_until_ready()
    return array


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "deleted": (deleted, "was deleted or donated"),
    "donated": (donated, "was deleted or donated"),
    "float0": (lambda: np.zeros(2, jax.dtypes.float0), "which has no form in a table"),
    "float8": (lambda: jnp.ones(2, "float8_e3m4"), "is of float8_e3m4, which has no form in a table"),
    "abstract": (lambda: jax.ShapeDtypeStruct((2,), jnp.float32), "is of type ShapeDtypeStruct"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_leaves_without_bytes_are_refused_by_name(kind: str) -> None:
    make, match = REFUSED[kind]
    with pytest.raises(StateError, match=rf"'a/odd' .*{match}"):
        state_of({"a": {"odd": make()}, "w": jnp.ones(1)})


def test_traced_arrays_are_refused() -> None:
    with pytest.raises(StateError, match=r"'w' has no value, as it belongs to a function that JAX traces"):
        jax.jit(lambda each: state_of({"w": each}))(jnp.ones(1))


@pytest.mark.parametrize(
    ("incoming", "match"),
    [
        ({"kernel": jnp.ones((1, 2)), "key": jax.random.key(0)}, r"kernel: has shape \[1, 2\] in the state"),
        ({"kernel": jnp.ones((2, 1), jnp.bfloat16), "key": jax.random.key(0)}, "kernel: is bfloat16 in the state"),
        ({"key": jax.random.key(0)}, "kernel: is not in the state"),
        ({"kernel": jnp.ones((2, 1)), "key": jax.random.key(0), "more": 1}, "more: is not in the model"),
        (
            {"kernel": jnp.ones((2, 1)), "key": jax.random.key(0, impl="rbg")},
            "key: is key<rbg> in the state and key<fry>",
        ),
        ({"kernel": jnp.ones((2, 1)), "key": jax.random.PRNGKey(0)}, r"key: has shape \[2\] in the state"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(incoming: Any, match: str) -> None:
    model = nnx.Dict(kernel=nnx.Param(jnp.zeros((2, 1))), key=nnx.RngKey(jax.random.key(9), tag="default"))
    before = contents(model)
    with pytest.raises(StateError, match=match):
        load_state(state_of(incoming), model)
    assert contents(model) == before


@pytest.mark.slow
def test_a_variable_that_is_in_two_objects_has_one_value() -> None:
    shared = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    target = {"first": nnx.Dict(layer=shared), "second": nnx.Dict(layer=shared)}
    before = contents(target)
    with pytest.raises(StateError, match="has another value after loading"):
        load_state(
            state_of({name: nnx.Dict(layer=nnx.Linear(2, 1, rngs=nnx.Rngs(i))) for i, name in enumerate(target)}),
            target,
        )
    assert contents(target) == before


def test_wide_dtypes_are_refused_if_jax_would_cut_them() -> None:
    with jax.enable_x64(new_val=True):
        wide = {"w": jnp.asarray(np.array([0.1]))}
    with pytest.raises(StateError, match="set jax_enable_x64"):
        load_state(state_of(wide), wide)
    with jax.enable_x64(new_val=True):
        assert load_state(state_of(wide), wide).model["w"].dtype == np.float64


@pytest.mark.slow
def test_the_example_restores_weights_that_make_the_same_predictions(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "jax_weights.py"
    assert len(path.read_text().splitlines()) <= 40
    second = runpy.run_path(str(path))["main"](tmp_path)
    with (tmp_path / "weights.csv").open(newline="") as file:
        rows = {row["tensor_name"]: row["tensor_data"] for row in csv.DictReader(file)}
    kernel, bias = (np.array(rows[f"model/{name}"].split(","), np.float32) for name in ("kernel", "bias"))
    points = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(second["model"](points)[:, 0], points @ kernel + bias, rtol=1e-5)
    assert rows["optimizer/step"] == rows["optimizer/opt_state/0/count"] == "5"


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e5m2", "float8_e4m3fn", "int4"])
def test_an_npz_file_without_its_dtype_is_refused_as_such(dtype: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", w=np.asarray(jnp.ones(3, dtype)))
    with pytest.raises(StateError, match=r"w\.npy in .* is of a dtype that NumPy does not know"):
        state_of(tmp_path / "x.npz")


def test_modules_without_variables_are_refused(tmp_path: Path) -> None:
    for what in (LinenNetwork(), optax.adam(0.1), {"tx": optax.adam(0.1)}):
        with pytest.raises(StateError, match="has no state yet"):
            export_state(what, tmp_path / "s.csv")
    assert isinstance(load_state(state_of(core.FrozenDict(a=1)), core.FrozenDict(a=2)).model, core.FrozenDict)
