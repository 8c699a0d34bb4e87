"""Checkpoints of Orbax, written by Orbax itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here

from tb2csv.errors import MissingExtraError, StateError
from tb2csv.model_state import diff_states, export_state, load_state, restore_file, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
optax = pytest.importorskip("optax")
nnx = pytest.importorskip("flax.nnx")
ocp = pytest.importorskip("orbax.checkpoint")

pytestmark = pytest.mark.slow

with contextlib.suppress(RuntimeError):  # another test has started JAX, with one device
    jax.config.update("jax_num_cpu_devices", 2)


def tree(start: float) -> dict[str, Any]:
    mesh = jax.make_mesh((len(jax.devices()),), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    parts = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    odd = np.array([0x7FC00001, 0xFF812345, 0x80000000, int(start)], np.uint32)
    return {
        "layers": {number: jnp.full((1,), start + number) for number in (0, 1, 2, 10)},
        "optimizer": optax.adam(0.1).init({"a/b": jnp.full((2,), start)}),
        "sharded": jax.device_put(jnp.arange(8.0).reshape(4, 2) + start, parts),
        "odd": jnp.asarray(odd.view(np.float32)),
        "small": {name: jnp.asarray([1, 2, 3]).astype(name) for name in ("bfloat16", "float8_e5m2", "int4")},
        "wide": np.array([start / 3]),
        "keys": {"typed": jax.random.key(int(start), impl="rbg"), "raw": jax.random.PRNGKey(int(start))},
        "numbers": [int(start), start / 3, start > 1],
        "none": None,
    }


def contents(what: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {each.name: (each.dtype, each.shape, bytes(each.content())) for each in state_of(what).tensors}


def save(folder: Path, what: Any, **options: Any) -> Path:
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**options)) as checkpointer:
        checkpointer.save(folder.absolute(), what)
    return folder


SAVERS: dict[str, Callable[[Path], Any]] = {
    "standard": lambda folder: standard(folder, tree(7)),
    "pytree": lambda folder: save(folder, tree(7)),
    "files": lambda folder: save(folder, tree(7), use_ocdbt=False),
    "zarr 3": lambda folder: save(folder, tree(7), use_zarr3=True),
}


def standard(folder: Path, what: Any) -> None:
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), what)
        checkpointer.wait_until_finished()


@pytest.mark.parametrize("saver", SAVERS)
def test_what_was_saved_is_loaded_by_path_and_bit_for_bit(saver: str, tmp_path: Path) -> None:
    SAVERS[saver](tmp_path / "saved")
    assert contents(tmp_path / "saved") == contents(tree(7))
    export_state(tmp_path / "saved", tmp_path / "s.csv")
    loaded = load_state(tmp_path / "s.csv", tree(1)).model
    assert contents(loaded) == contents(tree(7))
    assert jax.tree.structure(loaded) == jax.tree.structure(tree(1))
    assert [float(loaded["layers"][number][0]) for number in (0, 1, 2, 10)] == [7, 8, 9, 17]
    assert [type(each) for each in loaded["numbers"]] == [int, float, bool]
    assert loaded["sharded"].sharding == tree(1)["sharded"].sharding
    assert all(each.status == "same" for each in diff_states(tmp_path / "saved", loaded))


def test_states_of_nnx_and_texts_are_loaded_into_live_objects(tmp_path: Path) -> None:
    def training(seed: int) -> dict[str, Any]:
        model = nnx.Linear(2, 1, rngs=nnx.Rngs(seed))
        return {"model": model, "optimizer": nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param), "note": f"{seed}"}

    source, target = training(1), training(2)
    states = {name: nnx.state(each) for name, each in source.items() if name != "note"}
    save(tmp_path / "saved", {**states, "note": source["note"]})
    export_state(tmp_path / "saved", tmp_path / "s.csv")
    for state in (state_of(tmp_path / "saved"), tmp_path / "s.csv"):
        loaded = load_state(state, target).model
        assert contents(loaded) == contents(source)
        assert loaded["note"] == "1"
        assert loaded["model"] is target["model"]
        target = training(3)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orbax") / "steps"
    with ocp.CheckpointManager(folder) as manager:
        for step in (3, 20, 100):
            arguments = {
                "params": ocp.args.StandardSave({"w": jnp.full((2,), step)}),
                "meta": ocp.args.JsonSave({"a": 1}),
            }
            manager.save(step, args=ocp.args.Composite(**arguments))
    return folder


def test_the_last_step_of_a_manager_is_read_and_named(
    steps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (steps / "1000.orbax-checkpoint-tmp").mkdir(exist_ok=True)  # as a save that was interrupted leaves it
    state = state_of(steps)
    assert contents(steps) == contents({"w": jnp.full((2,), 100)})
    assert "that of step 100; it has the steps 3, 20, 100" in state.notes[0]
    assert "meta" in state.notes[1]
    assert contents(steps / "20") == contents(steps / "20" / "params") == contents({"w": jnp.full((2,), 20)})
    exported = run_here(capsys, "state", "export", steps, "-o", tmp_path / "s.csv")
    assert (exported.status, "that of step 100" in exported.stderr) == (0, True)
    assert "w," in (tmp_path / "s.csv").read_text()


def test_a_checkpoint_is_not_written(steps: Path, tmp_path: Path) -> None:
    export_state(steps, tmp_path / "s.csv")
    with pytest.raises(StateError, match="read and not written; load the state into the tree"):
        restore_file(tmp_path / "s.csv", steps, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_orbax_is_an_extra(steps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    monkeypatch.setitem(sys.modules, "orbax", None)
    with pytest.raises(MissingExtraError, match=r"needs orbax, .*\[orbax\]"):
        state_of(steps)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(StateError, match=match):
        export_state(folder, folder.with_name("out.csv"))
    assert not folder.with_name("out.csv").exists()


@pytest.mark.parametrize("what", [{"a.b": 1, "a": {"b": 2}}, {"layer.0.weight": np.ones(1)}])
def test_keys_with_dots_are_refused(what: Any, tmp_path: Path) -> None:
    refused(save(tmp_path / "saved", what), r"has the key '(a\.b|layer\.0\.weight)', and Orbax loses one of two")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint with a folder for each array."""
    what = {"w": jnp.ones(4), "k": jax.random.key(0)}
    return save(tmp_path_factory.mktemp("orbax") / "files", what, use_ocdbt=False)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))


def with_link(folder: Path) -> None:
    data = folder / "w" / "0"
    data.rename(folder.parent / "elsewhere")
    os.symlink(folder.parent / "elsewhere", data)


def with_linked_folder(folder: Path) -> None:
    (folder / "w").rename(folder.parent / "elsewhere")
    os.symlink(folder.parent / "elsewhere", folder / "w")


def with_key(key: str) -> Callable[[Path], None]:
    def change(described: Any) -> None:
        described["tree_metadata"]["('w',)"]["key_metadata"][0]["key"] = key

    return lambda folder: edit(folder / "_METADATA", change)


def with_header(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "w" / ".zarray", lambda described: described.update(changes))


def with_generator(folder: Path) -> None:
    def change(described: Any) -> None:
        for each in described["array_metadatas"]:
            each["array_metadata"]["ext_metadata"] = {"random_key_impl": "other"}

    edit(folder / "array_metadatas" / "process_0", change)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "link": (with_link, "has a link or a special file"),
    "linked folder": (with_linked_folder, "has a link or a special file"),
    "key out of it": (with_key("../files/w"), "leads out of it"),
    "absolute key": (with_key("/w"), "leads out of it"),
    "other key": (with_key("v"), "not a readable checkpoint|descriptions disagree"),
    "huge shape": (with_header(shape=[1 << 40], chunks=[4]), "is not read, because"),
    "huge chunk": (with_header(chunks=[1 << 40]), "is not read, because"),
    "header": (lambda folder: (folder / "w" / ".zarray").write_text("{"), "not a readable checkpoint"),
    "data": (lambda folder: (folder / "w" / "0").write_bytes(b"x"), "not a readable checkpoint"),
    "description": (lambda folder: (folder / "_METADATA").write_text("{"), "not the description of a tree"),
    "generator": (with_generator, "generator 'other', which is unknown or damaged"),
    "no array": (lambda folder: shutil.rmtree(folder / "w"), "not a readable checkpoint"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_and_hostile_folders_are_refused(damage: str, files: Path, tmp_path: Path) -> None:
    change, match = DAMAGES[damage]
    folder = tmp_path / "files"
    shutil.copytree(files, folder)
    change(folder)
    refused(folder, match)


def test_several_trees_and_folders_without_a_tree_are_refused(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "both" / "a")
    shutil.copytree(files, tmp_path / "both" / "b")
    refused(tmp_path / "both", r"several trees \(a, b\)")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "_CHECKPOINT_METADATA").write_text("{}")
    refused(tmp_path / "none", "no tree that is finished")
