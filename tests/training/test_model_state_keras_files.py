"""Names and places of Keras' files: one model in several formats, and formats of several versions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest

from tb2csv.errors import StateError
from tb2csv.model_state import STYLES, diff_states, export_state, load_state, restore_file, state_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),  # it made no step
]

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(16, 1)).astype(np.float32)


def sequential(seed: int = 0, *, steps: int = 0, has_input: bool = True) -> keras.Model:
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers] if has_input else layers)
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.MeanSquaredError())
    model(X)
    for _ in range(steps):
        model.train_on_batch(X, Y)
    return model


def functional(seed: int = 0, *, steps: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)], name="block")
    outputs = keras.layers.Dense(1)(inner(keras.layers.Dense(4)(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.MeanSquaredError())
    for _ in range(steps):
        model.train_on_batch(X, Y)
    return model


def save(model: keras.Model, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older format is advised against
        (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return path


def values(variables: list[Any]) -> list[bytes]:
    return [variable.numpy().tobytes() for variable in variables]


BUILDERS = {
    "sequential": sequential,
    "sequential without input": lambda *args, **options: sequential(*args, has_input=False, **options),
    "functional": functional,
}


@pytest.mark.parametrize("endings", [("h5", "keras"), ("keras", "h5")])
@pytest.mark.parametrize(
    ("name", "style"), [("sequential", "elements"), ("sequential without input", "base64"), ("functional", "tensors")]
)
def test_one_model_in_two_formats_has_one_state(
    name: str, style: str, endings: tuple[str, str], tmp_path: Path
) -> None:
    build = BUILDERS[name]
    first, second = build(0, steps=3), build(1, steps=2)
    source = save(first, tmp_path / f"a.{endings[0]}")
    target = save(second, tmp_path / f"b.{endings[1]}")
    export_state(source, tmp_path / "s.csv", style=style)
    out = tmp_path / f"out.{endings[1]}"
    assert restore_file(tmp_path / "s.csv", target, out) == []
    loaded = keras.models.load_model(out)
    assert values(loaded.weights) == values(first.weights)
    if endings[1] == "keras":
        assert values(loaded.optimizer.variables) == values(first.optimizer.variables)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_a_file_names_weights_as_its_live_model_does(build: Any, ending: str, tmp_path: Path) -> None:
    model = build(0, steps=1)
    live = {tensor.name for tensor in state_of(model).tensors if not tensor.name.startswith("optimizer/")}
    stored = {tensor.name for tensor in state_of(save(model, tmp_path / f"m.{ending}")).tensors}
    assert {name for name in stored if not name.startswith("optimizer/")} == live


@pytest.mark.parametrize("ending", ["keras", "h5", None])
def test_weights_recorded_under_a_sequential_go_into_its_file_and_into_a_loaded_model(
    ending: str | None, tmp_path: Path
) -> None:
    from tb2csv.recorders import TrainingRecorder
    from tb2csv.state_from_logs import recorded_state

    model = sequential(0)
    model.fit(X, Y, verbose=0, callbacks=[TrainingRecorder(tmp_path / "logs", weights_every=1)])
    state = recorded_state(tmp_path / "logs", 1)
    assert state.tensors[0].name.startswith("sequential")  # as Keras calls the weight while it trains
    target = save(sequential(5), tmp_path / f"b.{ending or 'keras'}")
    if ending is None:
        loaded = keras.models.load_model(target)
        left = load_state(state, loaded, allow_partial=True)
    else:
        left = restore_file(state, target, tmp_path / f"out.{ending}", allow_partial=True)
        loaded = keras.models.load_model(tmp_path / f"out.{ending}")
    assert {line.partition(":")[0].partition("/")[0] for line in left} == {"optimizer"}
    assert values(loaded.weights) == values(model.weights)


def test_a_prefix_is_removed_from_all_names(tmp_path: Path) -> None:
    keras.backend.clear_session()  # layers are numbered from the start, so that only the prefix differs
    model = sequential(0)
    export_state(model, tmp_path / "s.csv", style="elements")
    text = re.sub(",(dense|batch)", r",other_name/\1", (tmp_path / "s.csv").read_text())
    (tmp_path / "s.csv").write_text(text)
    keras.backend.clear_session()
    fresh = sequential(1)
    with pytest.raises(StateError, match=re.escape("give renames={'other_name/': ''}.")):
        load_state(tmp_path / "s.csv", fresh)
    load_state(tmp_path / "s.csv", fresh, renames={"other_name/": ""})
    assert values(fresh.weights) == values(model.weights)


# A loss that is scaled


@pytest.mark.parametrize("ending", ["keras", "h5", "weights.h5"])
def test_an_optimizer_that_scales_its_loss_is_restored_in_files(ending: str, tmp_path: Path) -> None:
    def build(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2))
        model.compile(optimizer, keras.losses.MeanSquaredError(), auto_scale_loss=False)
        for _ in range(3):
            model.train_on_batch(X, Y)
        return model

    first, second = build(0), build(1)
    source, target = save(first, tmp_path / f"a.{ending}"), save(second, tmp_path / f"b.{ending}")
    assert len(state_of(source).tensors) == len(state_of(first).tensors)  # Keras stores the inner optimizer twice
    out = tmp_path / f"out.{ending}"
    for number, state in enumerate((source, first)):
        export_state(state, tmp_path / f"{number}.csv")
        assert restore_file(tmp_path / f"{number}.csv", target, out, overwrite=True) == []
        assert {each.status for each in diff_states(source, out)} == {"same"}
        if ending != "h5":  # of which Keras does not read the optimizer
            loaded = keras.models.load_model(out) if ending == "keras" else build(2)
            if ending == "weights.h5":
                loaded.load_weights(out)
            assert values(loaded.optimizer.variables) == values(first.optimizer.variables)


def test_variables_of_a_forgotten_optimizer_get_no_wrong_names(tmp_path: Path) -> None:
    """Keras 3.15.1 forgets the optimizer after an .h5 file was saved, and loads the next .keras file with RMSprop."""
    model = sequential(0, steps=1)
    save(model, tmp_path / "m.h5")
    state = state_of(save(model, tmp_path / "m.keras"))
    names = [tensor.name for tensor in state.tensors if tensor.name.startswith("optimizer/")]
    assert names == [f"optimizer/vars/{number}" for number in range(len(model.optimizer.variables))]
    assert any("Keras forgets the optimizer" in note for note in state.notes)


def test_an_export_of_an_h5_file_says_that_keras_drops_its_optimizer(tmp_path: Path) -> None:
    model = sequential(0, steps=1)
    (note,) = state_of(save(model, tmp_path / "m.h5")).notes
    assert "does not restore the optimizer" in note
    loaded = keras.models.load_model(tmp_path / "m.h5")  # so it is: there are no slots
    assert len(loaded.optimizer.variables) < len(model.optimizer.variables)


# Formats of other versions


def older_file(path: Path, weights: dict[str, dict[str, np.ndarray]], attributes: dict[str, Any]) -> None:
    """Write the older format by its description: layers, and the names of the weights of each."""
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in weights]
        for layer, arrays in weights.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                group[name] = array


KERNEL, BIAS = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(3, dtype=np.float32)


def test_a_sequential_of_keras_before_2_2_3_is_read(tmp_path: Path) -> None:
    """Its configuration is the list of its layers."""
    layers = [{"class_name": "Dense", "config": {"name": "a", "units": 3, "batch_input_shape": [None, 4]}}]
    config = {"class_name": "Sequential", "config": layers}
    attributes = {"model_config": json.dumps(config), "keras_version": "2.1.6"}
    older_file(tmp_path / "m.h5", {"a": {"a/kernel:0": KERNEL, "a/bias:0": BIAS}}, attributes)
    kernel, bias = state_of(tmp_path / "m.h5").tensors
    assert (kernel.name, kernel.layer_type, bias.name) == ("a/kernel", "Dense", "a/bias")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a")])
    export_state(tmp_path / "m.h5", tmp_path / "s.csv")
    load_state(tmp_path / "s.csv", model)
    np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)


@pytest.mark.parametrize("style", STYLES)
def test_names_of_keras_3_0_without_layers_get_them(style: str, tmp_path: Path) -> None:
    """Keras 3.0 to 3.2 call the weights of every layer kernel and bias."""
    config = {"class_name": "Functional", "config": {"name": "functional_1", "layers": []}}
    attributes = {"model_config": json.dumps(config), "keras_version": "3.0.5"}
    weights = {name: {"kernel": KERNEL + number, "bias": BIAS} for number, name in enumerate(("a", "b"))}
    older_file(tmp_path / "m.h5", weights | {"input_layer": {}}, attributes)
    export_state(tmp_path / "m.h5", tmp_path / "s.csv", style=style)
    other = {name: {"kernel": KERNEL * 0, "bias": BIAS * 0} for name in weights}
    older_file(tmp_path / "other.h5", other, attributes)
    assert restore_file(tmp_path / "s.csv", tmp_path / "other.h5", tmp_path / "out.h5") == []
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["model_weights/b/kernel"], KERNEL + 1)
    assert [tensor.name for tensor in state_of(tmp_path / "m.h5").tensors] == [
        "a/kernel", "a/bias", "b/kernel", "b/bias"
    ]  # fmt: skip


def test_a_file_that_lacks_listed_weights_is_refused(tmp_path: Path) -> None:
    """Keras 3.0.5 stops inside a nested model with two layers, and leaves such a file."""
    older_file(tmp_path / "m.h5", {"block": {"kernel": KERNEL, "bias": BIAS}}, {"keras_version": "3.0.5"})
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["model_weights/block"].attrs["weight_names"] = [b"kernel", b"bias", b"kernel", b"bias"]
    with pytest.raises(StateError, match="is not complete"):
        state_of(tmp_path / "m.h5")


def test_names_of_weights_in_several_attributes_are_read(tmp_path: Path) -> None:
    """Keras splits a list of names over 64 KiB, as that of an optimizer's slots in a large model."""
    older_file(tmp_path / "m.h5", {"a": {"a/kernel": KERNEL, "a/bias": BIAS}}, {"keras_version": "3.15.1"})
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        group = file["model_weights/a"]
        del group.attrs["weight_names"]
        group.attrs["weight_names0"], group.attrs["weight_names1"] = [b"a/kernel"], [b"a/bias"]
    assert [tensor.name for tensor in state_of(tmp_path / "m.h5").tensors] == ["a/kernel", "a/bias"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("has_names", [False, True])
def test_weights_files_without_names_and_with_equal_names_go_through_every_style(
    style: str, *, has_names: bool, tmp_path: Path
) -> None:
    """The groups of Keras 3.0 to 3.2 have no names; later ones have those of the layers, which may be equal."""
    for name, factor in (("a", 1), ("b", 0)):
        with h5py.File(tmp_path / f"{name}.weights.h5", "w") as file:
            for number, layer in enumerate(("dense", "dense_1")):
                group = file.create_group(f"layers/{layer}/vars")
                group["0"], group["1"] = (KERNEL + number) * factor, BIAS * factor
                if has_names:
                    group.attrs["name"] = "same"
    export_state(tmp_path / "a.weights.h5", tmp_path / "s.csv", style=style)
    out = tmp_path / "out.weights.h5"
    assert restore_file(tmp_path / "s.csv", tmp_path / "b.weights.h5", out) == []
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["layers/dense_1/vars/0"], KERNEL + 1)


# LoRA


@pytest.mark.parametrize("rank", [2, 3])  # 3 gives one factor the shape of the kernel
@pytest.mark.parametrize("use_bias", [True, False])
def test_the_kernel_of_a_layer_with_lora_is_found_in_its_file(rank: int, *, use_bias: bool, tmp_path: Path) -> None:
    def build(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d", use_bias=use_bias)])
        model.layers[0].enable_lora(rank)
        model.layers[0].lora_kernel_b.assign(np.ones((rank, 3)))
        return model

    first = build(0)
    state = state_of(save(first, tmp_path / "a.keras"))
    merged = np.asarray(first.layers[0].kernel)  # what the layer computes with
    assert [tensor.name for tensor in state.tensors] == ["d/kernel", "d/bias"][: 1 + use_bias]
    np.testing.assert_array_equal(state.tensors[0].array(), merged)
    assert "d/lora_kernel_a, d/lora_kernel_b" in state.notes[0]
    export_state(tmp_path / "a.keras", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", save(build(1), tmp_path / "b.keras"), tmp_path / "out.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "out.keras").layers[0].kernel, merged)


# Weights in several files


def test_weights_in_several_files_are_one_state(tmp_path: Path) -> None:
    first, second = sequential(0, steps=2), sequential(1, steps=1)
    for name, model in (("a", first), ("b", second)):
        (tmp_path / name).mkdir()
        model.save_weights(tmp_path / name / "m.weights.json", max_shard_size=1e-7)
    save(first, tmp_path / "whole.weights.h5")
    source, target = (tmp_path / name / "m.weights.json" for name in "ab")
    assert len(list((tmp_path / "a").glob("*.h5"))) > 1
    assert {each.status for each in diff_states(source, tmp_path / "whole.weights.h5")} == {"same"}
    export_state(source, tmp_path / "s.csv", style="elements")
    assert restore_file(tmp_path / "s.csv", target, tmp_path / "out") == []
    loaded = sequential(2, steps=1)
    loaded.load_weights(tmp_path / "out" / "m.weights.json")
    assert values(loaded.weights) == values(first.weights)
    assert values(loaded.optimizer.variables) == values(first.optimizer.variables)


def test_weights_that_lack_a_file_or_have_one_of_another_model_are_refused(tmp_path: Path) -> None:
    sequential(0).save_weights(tmp_path / "m.weights.json", max_shard_size=1e-7)
    shard = max(tmp_path.glob("*.h5"))
    content = shard.read_bytes()
    shard.unlink()
    with pytest.raises(StateError, match=f"{shard.name} should be beside it"):
        state_of(tmp_path / "m.weights.json")
    with h5py.File(shard, "w") as file:
        file["layers/other/vars/0"] = KERNEL
    with pytest.raises(StateError, match="copy all files from one place"):
        state_of(tmp_path / "m.weights.json")
    shard.write_bytes(content)
    listed = (tmp_path / "m.weights.json").read_text()
    (tmp_path / "m.weights.json").write_text(listed.replace(shard.name, f"../{shard.name}"))
    with pytest.raises(StateError, match="not a file beside it"):
        state_of(tmp_path / "m.weights.json")


# Other backends

#: Saves a trained and an untrained model in each format.
WRITER = """
import sys
import keras
import numpy as np

def build(seed):
    keras.backend.clear_session()  # so that both have the same names
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("adam", "mean_squared_error")
    return model

trained = build(0)
trained.fit(np.ones((8, 4)), np.ones((8, 1)), batch_size=4, epochs=2, verbose=0)
for name, model in {"trained": trained, "untrained": build(1)}.items():
    for ending in sys.argv[1:]:
        (model.save_weights if ending == "weights.h5" else model.save)(f"{name}.{ending}")
"""


def stored(path: Path) -> dict[str, tuple[str, bytes]]:
    """Return the dtypes and the bytes of all datasets, as h5py reads them."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            path = path.with_suffix(".unpacked")
            path.write_bytes(archive.read("model.weights.h5"))
    found = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item.dtype.name, item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


ENDINGS = ["keras", "weights.h5", "h5"]


@pytest.fixture(scope="module")
def written_on_pytorch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both models in each format, which a process of its own wrote."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("pytorch")
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", WRITER, *ENDINGS], cwd=folder, env=environment, check=True)
    return folder


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_of_keras_on_pytorch_are_read_and_restored(ending: str, written_on_pytorch: Path, tmp_path: Path) -> None:
    trained, untrained = (written_on_pytorch / f"{name}.{ending}" for name in ("trained", "untrained"))
    expected = stored(trained)
    assert ("int32", np.int32(4).tobytes()) in expected.values()  # two epochs of two batches
    export_state(trained, tmp_path / "s.csv")
    assert not restore_file(tmp_path / "s.csv", untrained, tmp_path / f"out.{ending}")
    assert stored(tmp_path / f"out.{ending}") == expected


def test_a_step_counter_of_another_backend_is_restored(tmp_path: Path) -> None:
    path = save(sequential(0, steps=3), tmp_path / "m.weights.h5")
    with h5py.File(path, "r+") as file:
        del file["optimizer/vars/0"]
        file["optimizer/vars/0"] = np.int32(3)  # as on JAX and PyTorch
    export_state(path, tmp_path / "s.csv")
    model = sequential(1, steps=1)
    assert not load_state(tmp_path / "s.csv", model)
    assert int(model.optimizer.iterations) == 3
    assert model.optimizer.iterations.dtype == "int64"
    assert values(model.optimizer.variables[2:]) == values(sequential(0, steps=3).optimizer.variables[2:])
