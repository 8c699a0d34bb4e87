"""What a recorder cannot record: the training goes on, and one warning names and counts what is missing."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from recordings import at, recorded, steps

from tb2csv.errors import RecorderError
from tb2csv.recorders import PredictionRecorder, RecorderWarning, TrainingRecorder, record_layer_errors
from tb2csv.recorders.event_writer import EventWriter
from tb2csv.recorders.histograms import histogram_buckets

if TYPE_CHECKING:
    from pathlib import Path

X = np.arange(1, 9, dtype=np.float32)[:, np.newaxis]
Y = np.zeros((8, 1), np.float32)

#: By what the warning calls them.
UNRECORDABLE: dict[str, list[Any]] = {
    "text": ["warm-up", np.str_("a"), np.bytes_(b"b"), np.array(["a", "b"]), tf.constant("warm-up"), ["a", "b"]],
    "None": [None],
    "dict": [{"a": 1.0}],
    "a complex number": [1 + 2j, np.complex64(1j), tf.constant(1j)],
    "list": [[[1.0], [1.0, 2.0]], [None, 1.0], [10**400, 1]],
    "RaggedTensor": [tf.ragged.constant([[1.0], [1.0, 2.0]])],
    "SparseTensor": [tf.sparse.from_dense([[1.0, 0.0]])],
    "KerasTensor": [keras.Input((3,))],
    "object": [object(), np.array(object())],
    "a date": [np.datetime64("2026-11-28"), np.array(["2026-11-28"], "datetime64[s]")],
    "a duration": [np.timedelta64(3, "s")],
    "datetime": [dt.datetime(2026, 11, 28, tzinfo=dt.timezone.utc)],
    "masked": [np.ma.masked, np.ma.masked_array([1.0, 2.0], [True, False])],
    "a number beyond float32": [10**400, 1e300, -(10**60), np.float64(1e39), decimal.Decimal("1e99")],
}

NUMBERS: dict[Any, float] = {
    3: 3.0,
    2.5: 2.5,
    np.float64(0.5): 0.5,
    np.int64(-7): -7.0,
    np.float16(1.5): 1.5,
    fractions.Fraction(1, 4): 0.25,
    decimal.Decimal("0.125"): 0.125,
    2**70: 2.0**70,
    float("inf"): float("inf"),
}


def line(**compiled: Any) -> keras.Model:
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones", name="dense")(inputs), name="line")
    model.compile(**{"optimizer": keras.optimizers.SGD(0.01), "loss": "mse", "jit_compile": False, **compiled})
    return model


def fit(model: keras.Model, *callbacks: Any, epochs: int = 2) -> Any:
    return model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, epochs=epochs, callbacks=list(callbacks)).history


class Logging(keras.callbacks.Callback):
    """Adds to the logs, before the recorder sees them."""

    def __init__(self, extra: dict[str, Any], at_batches: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.extra, self.at_batches = extra, at_batches or {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs.update(self.extra)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        logs.update(self.at_batches)


@pytest.mark.parametrize("word", UNRECORDABLE)
def test_values_that_are_not_numbers_are_one_warning_and_numbers_are_recorded(word: str, tmp_path: Path) -> None:
    extra = {f"note {place}": value for place, value in enumerate(UNRECORDABLE[word])}
    with pytest.warns(RecorderWarning) as caught:
        history = fit(line(), Logging(extra | {"good": 0.5}, {"beside": extra["note 0"]}), TrainingRecorder(tmp_path))
    assert len(history["loss"]) == 2
    (warning,) = caught
    message = str(warning.message)
    assert f"{2 * len(extra) + 4} values were not recorded in {tmp_path}" in message
    for name in extra:
        assert f"epoch/{name} (2 x {word})" in message
    assert f"batch/beside (4 x {word})" in message
    found = recorded(tmp_path)
    assert not [tag for tag in found if "note" in tag or "beside" in tag]
    assert [float(value) for _, value in found["epoch/good"]] == [0.5, 0.5]
    assert steps(found["epoch/loss"]) == [0, 1]
    assert steps(found["batch/loss"]) == [1, 2, 3, 4]


@pytest.mark.filterwarnings("error")
def test_numbers_of_every_type_are_recorded(tmp_path: Path) -> None:
    extra = {f"n{place}": value for place, value in enumerate(NUMBERS)}
    extra |= {
        "bool": True,
        "tensor": tf.constant(4, tf.int32),
        "bfloat16": tf.constant(1.5, tf.bfloat16),
        "variable": keras.Variable(8.0),
        "nan": float("nan"),
        "matrix": np.array([[1, 2], [3, 4]], np.int16),
        "row": [0.5, 0.25],
        "waves": np.array([1 + 2j]),
    }
    fit(line(), Logging(extra), TrainingRecorder(tmp_path), epochs=1)
    found = {tag: at(rows, 0) for tag, rows in recorded(tmp_path).items() if tag.startswith("epoch/")}
    for place, number in enumerate(NUMBERS.values()):
        assert found[f"epoch/n{place}"] == np.float32(number)
    assert [found[f"epoch/{name}"] for name in ("bool", "tensor", "bfloat16", "variable")] == [1, 4, 1.5, 8]
    assert np.isnan(found["epoch/nan"])
    assert found["epoch/matrix"].tolist() == [[1, 2], [3, 4]]
    assert found["epoch/matrix"].dtype == np.int16
    assert found["epoch/row"].tolist() == [0.5, 0.25]
    assert found["epoch/waves"].tolist() == [1 + 2j]


def test_names_that_are_not_unicode_are_left_out(tmp_path: Path) -> None:
    with pytest.warns(RecorderWarning, match=r"1 value was not recorded .*epoch/\\udcff"):
        fit(line(), Logging({"\udcff": 1.0, 7: 2.0}), TrainingRecorder(tmp_path), epochs=1)  # type: ignore[dict-item]
    assert at(recorded(tmp_path)["epoch/7"], 0) == 2


def test_each_fit_reports_once(tmp_path: Path) -> None:
    model, note, recorder = line(), Logging({"note": "a"}), TrainingRecorder(tmp_path)
    for epochs in (2, 3):
        with pytest.warns(RecorderWarning, match=f"^{epochs} values were not recorded") as caught:
            fit(model, note, recorder, epochs=epochs)
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, recorder)
        recorder.close()


def test_many_names_are_counted(tmp_path: Path) -> None:
    with pytest.warns(RecorderWarning, match=r"30 values were not recorded .* and 20 more names\.$"):
        fit(line(), Logging({f"n{place:02}": None for place in range(30)}), TrainingRecorder(tmp_path), epochs=1)


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_custom_loop_continues(in_graph: bool, tmp_path: Path) -> None:
    recorder = TrainingRecorder(tmp_path, weight_statistics_every=1, weights_every=1, gradient_statistics_every=1)
    words, waves = tf.Variable("a", name="words"), tf.Variable(1j, name="waves")
    plain = tf.Variable(3.0, name="plain")

    def train_step(step: Any) -> None:
        text = tf.strings.as_string(step)
        recorder.scalars({"loss": 0.5, "text": text, "none": None, "matrix": tf.ones([2])}, step)
        recorder.tensors({"ragged": tf.ragged.constant([[1], [1, 2]]), "dict": {"a": 1}, "good": [1.0]}, step)
        recorder.histograms({"letters": tf.stack([text]), "waves": tf.constant([1j]), "numbers": [1.0, 2.0]}, step)
        recorder.weights([words, waves, plain], step)
        recorder.gradients([tf.constant(1j), None, tf.constant(2.0)], [waves, words, plain], step)

    run = tf.function(train_step) if in_graph else train_step
    with recorder.as_default():
        for step in (1, 2):
            run(tf.constant(step, tf.int64))
    with pytest.warns(RecorderWarning) as caught:
        recorder.close()
    (warning,) = caught
    for name in ("batch/text", "batch/none", "ragged", "dict", "letters", "waves"):
        assert f" {name} (2 x " in str(warning.message)
    found = recorded(tmp_path)
    for tag in (
        "batch/loss",
        "batch/matrix",
        "good",
        "numbers",
        "weights/words",
        "weights/waves",
        "weights/plain/norm",
    ):
        assert steps(found[tag]) == [1, 2]
    assert steps(found["gradients/plain/norm"]) == steps(found["weights/plain/norm"]) == [1, 2]
    assert "weights/waves/norm" not in found
    assert "gradients/waves/norm" not in found


def test_tensors_too_large_for_a_record_are_left_out(tmp_path: Path) -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1), (2**28,), (0,))
    log = EventWriter(tmp_path)
    log.tensor(1, "big", huge)
    log.tensor(1, "small", huge[:2])
    with pytest.warns(RecorderWarning, match="big .1 x 2,147,483,648 bytes"):
        log.close()
    assert list(recorded(tmp_path)) == ["small"]


# Failures in the middle of a training


class Removing(keras.callbacks.Callback):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            shutil.rmtree(self.folder)


def test_a_folder_that_is_removed_stops_the_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = tmp_path / "run"
    recorder = TrainingRecorder(run, gradient_statistics_every=1, layer_errors_every=1)
    # Of each of two steps: loss, rate, epoch; seven statistics of two gradients; errors of one layer and their norm. Of
    # the epoch: loss and rate.
    with pytest.warns(RecorderWarning, match=rf"stopped \(.*removed\): {2 * (3 + 14 + 2) + 2} values were") as caught:
        history = fit(line(), Removing(run), recorder)
    assert len(history["loss"]) == 2
    assert len(caught) == 1
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert not run.exists()


class Odd(keras.layers.Layer):
    """A layer whose output, and whose gradient, has a shape that TensorFlow does not know."""

    def build(self, _: Any) -> None:
        self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return x * _unknown_shape(tf.convert_to_tensor(self.scale))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _unknown_shape(x: Any) -> Any:
    return tf.identity(x), lambda dy: tf.numpy_function(lambda value: value, [dy], tf.float32)


def test_gradients_of_unknown_shape_are_recorded(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((1,)), Odd(name="odd")], name="line")
    model.compile("sgd", "mse", jit_compile=False)
    recorder = TrainingRecorder(tmp_path, gradients_every=1, gradient_statistics_every=1)
    fit(model, recorder, epochs=1)
    found = recorded(tmp_path)
    gradient = np.mean(2 * X[:4] ** 2)  # of the mean of (s x - 0)**2 at s = 1
    assert at(found["gradients/line/odd/scale"], 1) == pytest.approx(gradient)
    assert at(found["gradients/line/odd/scale/max"], 1) == pytest.approx(gradient)


@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_a_failure_of_the_recorder_does_not_stop_the_training(
    on_error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        message = "no memory\nfor this"
        raise MemoryError(message)

    monkeypatch.setattr("tb2csv.recorders.step_rows.statistics_of", fail)
    recorder = TrainingRecorder(tmp_path, gradient_statistics_every=1, on_error=on_error)
    if on_error == "raise":
        with pytest.raises(RecorderError, match="MemoryError: no memory"):
            fit(line(), recorder)
        return
    with pytest.warns(RecorderWarning, match=r"MemoryError: no memory\): 16 values"):
        assert len(fit(line(), recorder)["loss"]) == 2


def test_a_model_without_the_named_layer_is_refused_before_it_trains(tmp_path: Path) -> None:
    model = line()
    before = model.get_weights()
    with pytest.raises(RecorderError, match="no layer 'deep'"):
        fit(model, TrainingRecorder(tmp_path, layer_errors_every=1, layers=["deep"]))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_predictions_that_cannot_be_made_are_counted(tmp_path: Path) -> None:
    wide = PredictionRecorder(np.ones((3, 5)), log_dir=tmp_path / "wide")
    with pytest.warns(RecorderWarning) as caught:
        history = fit(line(), wide, TrainingRecorder(tmp_path / "run"))
    assert len(history["loss"]) == 2
    (warning,) = caught
    assert "wide: predictions (2 x ValueError: " in str(warning.message)
    assert steps(recorded(tmp_path / "run")["epoch/loss"]) == [0, 1]


def test_targets_of_no_output_are_counted(tmp_path: Path) -> None:
    named = PredictionRecorder(X, {"dense": Y, "other": Y}, log_dir=tmp_path / "named")
    listed = PredictionRecorder(X, [Y, Y, Y], log_dir=tmp_path / "listed")
    with pytest.warns(RecorderWarning) as caught:
        fit(line(), named, listed)
    messages = [str(warning.message) for warning in caught]
    assert "predictions/other/target (2 x" in messages[0]
    assert "predictions/output_1/target (2 x" in messages[1]
    assert "predictions/output_2/target (2 x" in messages[1]
    np.testing.assert_array_equal(at(recorded(tmp_path / "named")["predictions/dense/target"], 1), Y)


def test_layer_errors_in_a_loop_continue_without_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    model = line()
    recorder = TrainingRecorder(tmp_path / "file" / "run")
    with recorder.as_default():
        errors = record_layer_errors(model, X, Y, keras.losses.MeanSquaredError(), step=1)
        tf.summary.scalar("own", 1.0, step=1)
    assert list(errors) == ["dense"]
    with pytest.warns(RecorderWarning, match="file/run .*: 2 values"):
        recorder.close()


def test_histograms_of_the_smallest_numbers() -> None:
    smallest = np.array([3 * 5e-324, 5e-324])
    buckets = histogram_buckets(smallest)
    assert buckets[:, 2].sum() == 2
    assert (buckets[0, 0], buckets[-1, 1]) == (5e-324, 3 * 5e-324)
    assert histogram_buckets(smallest[:1])[:, 2].sum() == 1
