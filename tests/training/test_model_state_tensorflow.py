"""The state in checkpoints of TensorFlow and in SavedModels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
import tensorflow as tf

from tb2csv.errors import OutputError, StateError
from tb2csv.model_state import STYLES, diff_states, export_state, load_state, restore_file, state_of
from tb2csv.state_from_logs import recorded_state

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def variables(seed: int) -> tf.train.Checkpoint:
    rng = np.random.default_rng(seed)
    found = {
        "kernel": tf.Variable(rng.normal(size=(3, 2)), name="net/kernel"),
        "half": tf.Variable(
            tf.bitcast(tf.constant(rng.integers(0, 2**16, 4, np.uint16)), tf.bfloat16), name="net/half"
        ),
        "mask": tf.Variable([bool(seed), False], name="mask"),
        "words": tf.Variable([b"\xff", str(seed)], name="words"),
        "scale": tf.Variable(tf.complex(1.0 * seed, -0.0), name="scale"),
        "empty": tf.Variable(tf.zeros((0, 3)), name="empty"),
    }
    return tf.train.Checkpoint(**found, inner=tf.train.Checkpoint(step=tf.Variable(seed, name="step")))


def contents(path: object) -> dict[str, bytes]:
    return {tensor.name: bytes(tensor.content()) for tensor in state_of(path).tensors}


@pytest.mark.parametrize("style", STYLES)
def test_a_checkpoint_of_objects_is_restored_by_tensorflow(style: str, tmp_path: Path) -> None:
    first, second = variables(1), variables(2)
    a, b = first.save(tmp_path / "a"), second.save(tmp_path / "b")
    export_state(a, tmp_path / "s.csv", style=style, max_cell=20)
    assert restore_file(tmp_path / "s.csv", b, tmp_path / "out.ckpt") == []
    second.restore(str(tmp_path / "out.ckpt")).assert_consumed()
    for name in ("kernel", "half", "mask", "words", "scale"):
        old, new = getattr(first, name), getattr(second, name)
        assert new.numpy().tobytes() == old.numpy().tobytes() or new.numpy().tolist() == old.numpy().tolist()
    assert contents(tmp_path / "out.ckpt") == contents(a)
    with pytest.raises(OutputError, match="exists already"):
        restore_file(tmp_path / "s.csv", b, tmp_path / "out.ckpt")


def test_names_of_a_checkpoint_are_those_of_its_variables(tmp_path: Path) -> None:
    path = variables(1).save(tmp_path / "a")
    assert set(contents(path)) == {
        "net/kernel", "net/half", "mask", "words", "scale", "empty", "step", "save_counter"
    }  # fmt: skip
    assert contents(tmp_path) == contents(path)
    with pytest.raises(StateError):
        state_of(tmp_path / "nothing")
    (tmp_path / "x.index").write_bytes(b"nonsense")
    (tmp_path / "x.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(StateError, match=r"x\.index"):
        state_of(tmp_path / "x.index")


def test_a_saved_model_is_read_without_its_graph_and_written_again(tmp_path: Path) -> None:
    def saved(seed: int, name: str) -> keras.Model:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(1, name="b")])
        module = tf.Module()
        module.kernel, module.bias = (tf.Variable(v.value, name=v.path) for v in model.layers[0].weights)
        module.call = tf.function(lambda x: x @ module.kernel + module.bias, input_signature=[tf.TensorSpec((None, 3))])
        tf.saved_model.save(module, str(tmp_path / name))
        return module

    first, _ = saved(1, "first"), saved(2, "second")
    export_state(tmp_path / "first", tmp_path / "s.csv", style="base64")
    restore_file(tmp_path / "s.csv", tmp_path / "second", tmp_path / "out")
    x = tf.ones((2, 3))
    again = tf.saved_model.load(str(tmp_path / "out"))
    np.testing.assert_array_equal(again.call(x), first.call(x))
    assert {each.status for each in diff_states(tmp_path / "first", tmp_path / "out")} == {"same"}
    with pytest.raises(OutputError, match="exists already"):
        restore_file(tmp_path / "s.csv", tmp_path / "second", tmp_path / "out")
    restore_file(tmp_path / "s.csv", tmp_path / "second", tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_model_is_rebuilt_from_its_logs(dtype: str, tmp_path: Path) -> None:
    def build() -> keras.Model:
        layers = [keras.layers.Dense(2, dtype=dtype), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
        return keras.Sequential([keras.Input((3,)), *layers])

    model, steps = build(), {}
    rng = np.random.default_rng(0)
    with tf.summary.create_file_writer(str(tmp_path / "logs")).as_default():
        for step in (0, 4):
            for variable in model.weights:
                variable.assign(rng.normal(size=variable.shape))
                tf.summary.write(f"weights/{variable.path}", variable.value, step)
                tf.summary.scalar(f"weights/{variable.path}/norm", 1.0, step)
                tf.summary.histogram(f"weights/{variable.path}/histogram", tf.cast(variable.value, tf.float32), step)
            steps[step] = [variable.numpy().tobytes() for variable in model.weights]
    fresh = build()
    for step, expected in steps.items():
        assert load_state(recorded_state(tmp_path / "logs", step), fresh) == []
        assert [variable.numpy().tobytes() for variable in fresh.weights] == expected


def test_what_our_recorder_wrote_rebuilds_the_model(tmp_path: Path) -> None:
    from tb2csv.recorders import TrainingRecorder

    def build(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
        model.compile("adam", "mse")
        return model

    model, kept = build(0), {}
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.zeros((40, 2))
    keeper = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: kept.update({batch: [v.numpy().tobytes() for v in model.weights]})
    )
    recorder = TrainingRecorder(tmp_path / "logs", weights_every=2)
    model.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=[recorder, keeper])
    state = recorded_state(tmp_path / "logs", 4)
    fresh = build(3)
    left = load_state(state, fresh, allow_partial=True)
    assert left == [f"optimizer/{name}: is not in the state" for name in ("iteration", "learning_rate")]
    assert [variable.numpy().tobytes() for variable in fresh.weights] == kept[3]  # batches count from 0 in Keras


@pytest.mark.parametrize("way", ["export", "saved_model.save"])
def test_a_saved_model_of_a_keras_model_has_each_weight_once(way: str, tmp_path: Path) -> None:
    def saved(seed: int, name: str) -> keras.Model:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4,))
        normalized = keras.layers.BatchNormalization(name="n")(inputs)
        model = keras.Model(inputs, keras.layers.Dense(1, name="o")(normalized))
        if way == "export":
            model.export(tmp_path / name, verbose=False)
        else:
            tf.saved_model.save(model, str(tmp_path / name))
        return model

    first, _ = saved(0, "a"), saved(1, "b")
    names = {"n/gamma", "n/beta", "n/moving_mean", "n/moving_variance", "o/kernel", "o/bias"}
    assert set(contents(tmp_path / "a")) == names
    export_state(tmp_path / "a", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b", tmp_path / "out")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    served = tf.saved_model.load(str(tmp_path / "out"))
    result = served.serve(x) if way == "export" else served.signatures["serving_default"](tf.constant(x))
    found = result if way == "export" else next(iter(result.values()))
    np.testing.assert_array_equal(found, first(x))
    assert load_state(tmp_path / "s.csv", first) == []  # the names are those of the live model
