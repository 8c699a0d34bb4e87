"""The training recorder: metrics, weights, loops of one's own, and what must not get lost."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from recordings import at, event_files, events, numpy_statistics, recorded, steps

import tb2csv
from tb2csv.errors import RecorderError
from tb2csv.recorders import RecorderWarning, TrainingRecorder
from tb2csv.recorders.event_writer import EventWriter
from tb2csv.recorders.histograms import histogram_buckets, histograms
from tb2csv.recorders.tensor_statistics import STATISTICS, statistics_of
from tb2csv.recorders.variable_names import variable_names

if TYPE_CHECKING:
    from pathlib import Path

X = np.arange(1, 9, dtype=np.float32)[:, np.newaxis]
Y = np.zeros((8, 1), np.float32)


def line(learning_rate: Any = 0.0, **compiled: Any) -> keras.Model:
    inputs = keras.Input((1,))
    outputs = keras.layers.Dense(1, kernel_initializer="ones", name="dense")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(outputs), name="line")
    model.compile(keras.optimizers.SGD(learning_rate), "mse", metrics=["mae"], jit_compile=False, **compiled)
    return model


def fit(model: keras.Model, *callbacks: Any, **options: Any) -> Any:
    options = {"batch_size": 2, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, callbacks=list(callbacks), **options)


class Batches(keras.callbacks.Callback):
    """What Keras says after each batch, and the weights then."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: list[dict[str, float]] = []
        self.weights: list[list[Any]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.logs.append(dict(logs))
        self.weights.append([weight.numpy() for weight in self.model.weights])


# Metrics


def test_metrics_are_those_that_keras_reports(tmp_path: Path) -> None:
    model, seen = line(0.01), Batches()
    history = fit(model, TrainingRecorder(tmp_path), seen, epochs=2, validation_split=0.25).history
    found = recorded(tmp_path)
    for name in ("loss", "mae", "val_loss", "val_mae"):
        assert [value.item() for _, value in found[f"epoch/{name}"]] == pytest.approx(history[name])
        assert steps(found[f"epoch/{name}"]) == [0, 1]
    for name in ("loss", "mae"):
        assert [value.item() for _, value in found[f"batch/{name}"]] == pytest.approx(
            [logs[name] for logs in seen.logs]
        )
        assert steps(found[f"batch/{name}"]) == [1, 2, 3, 4, 5, 6]
    assert [value.item() for _, value in found["batch/epoch"]] == [0, 0, 0, 1, 1, 1]
    assert {value.item() for _, value in (*found["batch/learning_rate"], *found["epoch/learning_rate"])} == {
        np.float32(0.01).item()
    }


def test_the_learning_rate_is_the_one_that_the_batch_was_trained_with(tmp_path: Path) -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.5, 0.25, 0.125])
    fit(line(schedule), TrainingRecorder(tmp_path, batch_every=1))
    found = recorded(tmp_path)
    assert [value.item() for _, value in found["batch/learning_rate"]] == [0.5, 0.5, 0.25, 0.25]
    assert at(found["epoch/learning_rate"], 0) == 0.25


def test_batches_are_recorded_every_so_many_steps_or_never(tmp_path: Path) -> None:
    fit(line(), TrainingRecorder(tmp_path / "some", batch_every=3), epochs=2)
    assert steps(recorded(tmp_path / "some")["batch/loss"]) == [3, 6]
    fit(line(), TrainingRecorder(tmp_path / "none", batch_every=None))
    assert {tag.split("/")[0] for tag in recorded(tmp_path / "none")} == {"epoch"}


def test_a_loss_that_is_nan_is_recorded(tmp_path: Path) -> None:
    x = X.copy()
    x[3] = np.nan
    recorder = TrainingRecorder(tmp_path, gradients_every=1, gradient_histograms_every=1, gradient_statistics_every=1)
    stop = keras.callbacks.TerminateOnNaN()
    line(0.1).fit(x, Y, batch_size=2, shuffle=False, verbose=0, callbacks=[stop, recorder])
    found = recorded(tmp_path)
    assert [bool(np.isnan(value)) for _, value in found["batch/loss"]] == [False, True]
    assert np.isnan(at(found["gradients/dense/kernel"], 2)).all()
    assert at(found["gradients/dense/kernel/nan_count"], 2) == 1
    assert np.isnan(at(found["gradients/dense/kernel/norm"], 2))
    assert not at(found["gradients/dense/kernel/histogram"], 2).any()


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")  # so Keras takes every end of such data
def test_steps_per_execution_of_unknown_length_are_counted_right(tmp_path: Path) -> None:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).filter(lambda x, _: x[0, 0] < 7)
    model = line(steps_per_execution=2)
    model.fit(data, epochs=2, shuffle=False, verbose=0, callbacks=[TrainingRecorder(tmp_path, weights_every=1)])
    found = recorded(tmp_path)
    assert steps(found["batch/loss"]) == [2, 3, 5, 6]
    assert steps(found["weights/dense/kernel"]) == [0, 2, 3, 5, 6]
    assert [(step, int(value)) for step, value in sorted(found["batch/epoch"])] == [
        *((step, 0) for step in (1, 2, 3)),
        *((step, 1) for step in (4, 5, 6)),
    ]


def test_recordings_convert_to_tables(tmp_path: Path) -> None:
    fit(line(0.01), TrainingRecorder(tmp_path / "logs" / "run", weights_every=2, gradient_statistics_every=1))
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert not report.values_undecodable
    assert (tmp_path / "out/run/scalars/epoch/loss.csv").exists()
    assert (tmp_path / "out/run/scalars/gradients/dense/kernel/norm.csv").exists()
    assert (tmp_path / "out/run/tensors/weights/norm/moving_mean.csv").exists()


# Weights


def test_weights_after_each_batch_and_before_the_first(tmp_path: Path) -> None:
    model, seen = line(0.01), Batches()
    initial = [weight.numpy() for weight in model.weights]
    recorder = TrainingRecorder(tmp_path, weights_every=2, weight_histograms_every=4, weight_statistics_every=1)
    fit(model, recorder, seen)
    found = recorded(tmp_path)
    states = [initial, *seen.weights]
    for place, name in enumerate(weight.path for weight in model.weights):
        assert steps(found[f"weights/{name}"]) == [0, 2, 4]
        assert steps(found[f"weights/{name}/histogram"]) == [0, 4]
        assert at(found[f"weights/{name}/histogram"], 4)[:, 2].sum() == states[4][place].size
        for step, state in enumerate(states):
            if step % 2 == 0:
                np.testing.assert_array_equal(at(found[f"weights/{name}"], step), state[place])
            for statistic, value in numpy_statistics(state[place]).items():
                assert at(found[f"weights/{name}/{statistic}"], step) == pytest.approx(value, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_weights_keep_their_dtype_and_bits(dtype: str, tmp_path: Path) -> None:
    value = tf.cast(tf.constant([1.5, -0.0, np.nan, np.inf]), dtype)
    recorder = TrainingRecorder(tmp_path, weights_every=1)
    recorder.weights([tf.Variable(value, name="odd")], step=1)
    stored = at(recorded(tmp_path)["weights/odd"], 1)
    assert stored.dtype == value.numpy().dtype
    assert stored.tobytes() == value.numpy().tobytes()


# Loops of one's own


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_custom_loop(in_graph: bool, tmp_path: Path) -> None:
    weight = tf.Variable([1.0, 2.0], name="w")
    recorder = TrainingRecorder(
        tmp_path, weights_every=2, gradients_every=2, gradient_statistics_every=1, weight_histograms_every=3
    )

    def train_step(step: Any) -> None:
        with tf.GradientTape() as tape:
            outputs = weight * tf.cast(step, tf.float32)
            loss = tf.reduce_sum(outputs)
        gradients = tape.gradient(loss, [weight])
        recorder.gradients(gradients, [weight], step)
        recorder.weights([weight], step)
        recorder.scalars({"loss": loss, "epoch": 0}, step)
        recorder.tensors({"outputs/w": outputs}, step)
        recorder.histograms({"outputs/w/histogram": outputs}, step)
        tf.summary.scalar("own", loss, step=step)

    run = tf.function(train_step) if in_graph else train_step
    with recorder.as_default():
        for step in range(1, 5):
            run(tf.constant(step, tf.int64) if in_graph else step)
        recorder.scalars({"loss": 7.5}, 0, unit="epoch")
    found = recorded(tmp_path)
    assert [(step, value.item()) for step, value in found["batch/loss"]] == [(step, 3.0 * step) for step in range(1, 5)]
    assert [(step, value.item()) for step, value in found["own"]] == [(step, 3.0 * step) for step in range(1, 5)]
    assert [(step, value.tolist()) for step, value in found["gradients/w"]] == [(2, [2, 2]), (4, [4, 4])]
    assert [value.item() for _, value in found["gradients/w/max"]] == [1, 2, 3, 4]
    assert [(step, value.tolist()) for step, value in found["weights/w"]] == [(2, [1, 2]), (4, [1, 2])]
    assert steps(found["weights/w/histogram"]) == [3]
    assert [value.tolist() for _, value in found["outputs/w"]] == [[step, 2 * step] for step in range(1, 5)]
    assert steps(found["outputs/w/histogram"]) == [1, 2, 3, 4]
    assert at(found["epoch/loss"], 0) == 7.5


def test_an_exception_in_a_loop_loses_nothing(tmp_path: Path) -> None:
    recorder = TrainingRecorder(tmp_path)
    with pytest.raises(ZeroDivisionError), recorder.as_default():  # noqa: PT012 - what comes before it counts
        recorder.scalars({"loss": 0.5}, 1)
        tf.summary.scalar("own", 2.0, step=1)
        raise ZeroDivisionError
    assert {tag: at(rows, 1) for tag, rows in recorded(tmp_path).items()} == {"batch/loss": 0.5, "own": 2.0}


# What must not get lost


class Broken(keras.callbacks.Callback):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            raise self.error


def data_that_breaks() -> tf.data.Dataset:
    def batches() -> Any:
        yield from ((X[first : first + 2], Y[first : first + 2]) for first in (0, 2, 4))
        message = "the data is broken"
        raise ValueError(message)

    return tf.data.Dataset.from_generator(
        batches, output_signature=(tf.TensorSpec((2, 1), tf.float32), tf.TensorSpec((2, 1), tf.float32))
    )


def test_values_recorded_before_a_failed_train_step_are_kept(tmp_path: Path) -> None:
    model = line()
    original = model.make_train_function() or model.train_function
    recorder = TrainingRecorder(tmp_path, gradient_statistics_every=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="the data is broken"):
        model.fit(data_that_breaks(), shuffle=False, verbose=0, callbacks=[recorder])
    found = recorded(tmp_path)
    assert steps(found["gradients/dense/kernel/norm"]) == steps(found["batch/loss"]) == [1, 2, 3]
    fit(model)
    assert model.train_function is original
    assert steps(recorded(tmp_path)["batch/loss"]) == [1, 2, 3]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_another_callback_that_fails_leaves_no_traces(error: BaseException, tmp_path: Path) -> None:
    model = line()
    recorder = TrainingRecorder(tmp_path, gradient_statistics_every=1)
    original = model.make_train_function() or model.train_function
    with pytest.raises(type(error)):
        fit(model, recorder, Broken(error))
    assert model.train_function is original
    fit(model)  # without the recorder: nothing of it may be recorded
    recorder.close()
    found = recorded(tmp_path)
    assert steps(found["gradients/dense/kernel/norm"]) == steps(found["batch/loss"]) == [1, 2, 3]
    fit(model, recorder)
    assert steps(recorded(tmp_path)["gradients/dense/kernel/norm"]) == [1, 2, 3, 4, 5, 6, 7]


def test_two_recorders_inside_the_same_train_steps_are_refused(tmp_path: Path) -> None:
    model = line()
    recorders = [TrainingRecorder(tmp_path / name, gradient_statistics_every=1) for name in "ab"]
    with pytest.raises(RecorderError, match="Two recorders cannot record inside the train steps of the same fit"):
        fit(model, *recorders)
    fit(model, recorders[0])
    fit(model, recorders[0], TrainingRecorder(tmp_path / "c"))
    assert steps(recorded(tmp_path / "a")["gradients/dense/kernel/norm"]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert steps(recorded(tmp_path / "c")["batch/loss"]) == [5, 6, 7, 8]


def test_a_recorder_that_is_forgotten_after_a_failure_still_writes(tmp_path: Path) -> None:
    def fail() -> None:
        recorder = TrainingRecorder(tmp_path, gradient_statistics_every=1)
        with contextlib.suppress(ValueError):
            fit(line(), recorder, Broken(ValueError("no")))

    fail()
    gc.collect()
    assert steps(recorded(tmp_path)["gradients/dense/kernel/norm"]) == [1, 2, 3]


#: The interpreter ends, without closing the recorder whose `fit` failed outside of a train step.
ENDING = """
    import sys
    import keras, numpy as np
    from tb2csv.recorders import TrainingRecorder

    class Broken(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise ValueError("no")

    x = np.ones((40, 1), np.float32)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="dense")], name="line")
    model.compile("sgd", "mse")
    recorder = TrainingRecorder(sys.argv[1], gradient_statistics_every=1)
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[recorder, Broken()])
"""


def run_script(script: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, capture_output=True, text=True, check=check, env=environment)


def test_queued_values_are_written_when_python_ends(tmp_path: Path) -> None:
    done = run_script(ENDING, tmp_path, check=False)
    assert done.stderr.splitlines()[-1] == "ValueError: no"
    found = recorded(tmp_path)
    assert steps(found["batch/loss"]) == steps(found["gradients/line/dense/kernel/norm"]) == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras' own
def test_resuming_adds_a_file_and_counts_on(tmp_path: Path) -> None:
    model = line(0.01)
    fit(model, TrainingRecorder(tmp_path / "run", gradients_every=1))
    (first,) = event_files(tmp_path / "run")
    before = first.read_bytes()
    model.save(tmp_path / "model.keras")
    resumed = keras.models.load_model(tmp_path / "model.keras")
    fit(resumed, TrainingRecorder(tmp_path / "run", gradients_every=1), initial_epoch=1, epochs=2)
    assert first.read_bytes() == before
    assert len(event_files(tmp_path / "run")) == 2
    found = recorded(tmp_path / "run")
    assert steps(found["batch/loss"]) == steps(found["gradients/dense/kernel"]) == list(range(1, 9))
    assert steps(found["epoch/loss"]) == [0, 1]


def test_the_first_batch_can_be_given(tmp_path: Path) -> None:
    fit(line(), TrainingRecorder(tmp_path, first_batch=101, gradient_statistics_every=2))
    found = recorded(tmp_path)
    assert steps(found["batch/loss"]) == [101, 102, 103, 104]
    assert steps(found["gradients/dense/kernel/norm"]) == [102, 104]


#: A process of its own, because the limit on its files' size cannot be lifted again. The limit simulates a full disk.
LIMITED = """
    import json, resource, signal, sys, warnings
    import keras, numpy as np
    from tb2csv.errors import RecorderError
    from tb2csv.recorders import TrainingRecorder

    def result_of(run, on_error):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="dense")], name="line")
        model.compile("sgd", "mse")
        recorder = TrainingRecorder(run, on_error=on_error, gradient_statistics_every=1, weights_every=1)
        result = {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                history = model.fit(x, x, batch_size=1, epochs=2, verbose=0, callbacks=[recorder]).history
                result["epochs"] = len(history["loss"])
            except RecorderError as error:
                result["error"] = str(error)
        return result | {"warnings": [f"{each.category.__name__}: {each.message}" for each in caught]}

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    x = np.ones((40, 1), np.float32)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    print(json.dumps({each: result_of(f"{sys.argv[1]}/{each}", each) for each in sys.argv[2:]}))
"""
ON_ERROR = ["warn", "raise"]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """Return a folder of a run for each value of ``on_error``, what came of them, and what was printed as an error."""
    folder = tmp_path_factory.mktemp("limited")
    done = run_script(LIMITED, folder, *ON_ERROR)
    return folder, json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
@pytest.mark.parametrize("on_error", ON_ERROR)
def test_a_full_disk_stops_the_recording_and_leaves_a_whole_file(
    on_error: str, limited: tuple[Path, dict[str, Any], str]
) -> None:
    folder, results, printed = limited
    run, result = folder / on_error, results[on_error]
    stopped = f"Recording in {run} stopped (File too large)"
    if on_error == "raise":
        assert result == {"error": f"{stopped}; earlier records are intact.", "warnings": []}
    else:
        # Of 80 steps: loss, epoch and rate, two weights, and seven statistics of two gradients; the two weights at step
        # 0; loss and rate of two epochs.
        written = sum(len(rows) for rows in recorded(run).values())
        missing = 80 * (3 + 2 + 14) + 2 + 2 * 2 - written
        told = f"RecorderWarning: {stopped}: {missing:,} values were not recorded. The training goes on."
        assert result == {"epochs": 2, "warnings": [told]}
        assert f"{stopped}; the training goes on." in printed
    (path,) = event_files(run)
    assert 10_000 < path.stat().st_size <= 20_000
    report = tb2csv.check(run)
    assert not report.damage
    assert not any(account.incomplete_tail_bytes for _, account in report.sources)
    assert steps(recorded(run)["batch/loss"])[:3] == [1, 2, 3]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    # Loss, mae, epoch and rate of 12 batches; six weights before and after each; loss, mae and rate of three epochs.
    told = f"file/run stopped .*: {12 * 4 + 13 * 6 + 3 * 3} values were not recorded"
    with pytest.warns(RecorderWarning, match=told) as caught:
        history = fit(line(), TrainingRecorder(tmp_path / "file" / "run", weights_every=1), epochs=3).history
    assert len(history["loss"]) == 3
    assert len(caught) == 1
    with pytest.raises(RecorderError, match="file/run stopped"):
        fit(line(), TrainingRecorder(tmp_path / "file" / "run", on_error="raise"))


def test_unsupported_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match="on_error='ignore'"):
        TrainingRecorder(tmp_path, on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(RecorderError, match="gs://bucket/run"):
        TrainingRecorder("gs://bucket/run")
    with pytest.raises(RecorderError, match="layers='dense' is not a list of names"):
        TrainingRecorder(tmp_path, activations_every=1, layers="dense")
    with pytest.raises(RecorderError, match="first_batch=0 is not the number of a batch"):
        TrainingRecorder(tmp_path, first_batch=0)
    recorder = TrainingRecorder(tmp_path)
    with pytest.raises(RecorderError, match="unit='week' is not what steps count"):
        recorder.scalars({"a": 0.5}, 1, unit="week")
    with pytest.raises(RecorderError, match="float is not a mapping"):
        recorder.scalars(0.5, 1)  # type: ignore[arg-type]


def test_a_folder_without_anything_recorded_stays_as_it_is(tmp_path: Path) -> None:
    TrainingRecorder(tmp_path / "run").close()
    assert not (tmp_path / "run").exists()


def test_every_file_begins_with_the_version_of_the_format(tmp_path: Path) -> None:
    fit(line(), TrainingRecorder(tmp_path))
    fit(line(), TrainingRecorder(tmp_path))
    assert [event.file_version for event in events(tmp_path) if event.file_version] == ["brain.Event:2"] * 2


# Numbers


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5, unique=True),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
    st.data(),
)
def test_scalars_of_many_steps_are_unchanged(
    tmp_path_factory: pytest.TempPathFactory, tags: list[str], at_steps: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("scalars")
    rows = data.draw(hnp.arrays(np.float32, (len(at_steps), len(tags))))
    times = [float(number) for number in range(len(at_steps))]
    log = EventWriter(folder)
    log.scalar_rows(tags, at_steps, rows, times)
    log.close()
    _, *found = events(folder)
    assert [(event.step, event.wall_time) for event in found] == list(zip(at_steps, times, strict=True))
    for event, row in zip(found, rows, strict=True):
        assert [value.tag for value in event.summary.value] == tags
        assert all(value.metadata.plugin_data.plugin_name == "scalars" for value in event.summary.value)
        stored = [tf.make_ndarray(value.tensor) for value in event.summary.value]
        assert np.array(stored, np.float32).tobytes() == row.tobytes()


@given(hnp.arrays(st.sampled_from([np.float16, np.float32, np.float64]), hnp.array_shapes(max_side=9)))
@example(np.array([np.finfo(np.float64).max, np.finfo(np.float64).min]))
def test_a_histogram_counts_every_finite_number(array: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        buckets = histogram_buckets(array)
    finite = array.astype(np.float64)[np.isfinite(array)]
    assert buckets.shape == (30, 3)
    assert buckets[:, 2].sum() == finite.size
    if finite.size:
        assert (buckets[0, 0], buckets[-1, 1]) == (finite.min(), finite.max())
        assert (buckets[:, 0] <= buckets[:, 1]).all()
        for left, right, count in buckets[:-1]:
            assert ((left <= finite) & (finite < right)).sum() == count


@pytest.mark.parametrize(
    "array",
    [
        np.arange(-70_000, 70_000) / 3,
        np.random.default_rng(1).normal(size=70_000).astype(np.float32).clip(0),
        np.random.default_rng(2).integers(0, 31, 1_000).astype(np.float64),
        1e9 + np.random.default_rng(3).random(1_000) * 1e-5,
        np.random.default_rng(4).random(1_000) * 1e-320,
    ],
    ids=["even", "relu", "edges", "narrow", "subnormal"],
)
def test_numbers_are_counted_between_the_edges_of_their_buckets(array: Any) -> None:
    left, right, counts = histogram_buckets(array).T
    places = np.searchsorted(left, array.astype(np.float64), side="right") - 1
    assert counts.tolist() == np.bincount(places, minlength=30).tolist()
    assert right.tolist() == [*left[1:], array.max()]


@given(st.lists(st.lists(st.floats(width=32) | st.sampled_from([0.0, 1e-300, 3e307]), max_size=40), max_size=9))
@example([[float(number) for number in range(31)], [], [2.5] * 3, [-1e30, 1e30, float("nan")]])
def test_histograms_of_several_arrays_are_those_of_each(lists: list[list[float]]) -> None:
    arrays = [np.array(each, np.float64) for each in lists]
    together = histograms([np.array_split(array, 2) if array.size > 1 else [array] * array.size for array in arrays])
    assert together.shape == (len(arrays), 30, 3)
    for array, buckets in zip(arrays, together, strict=True):
        finite = array[np.isfinite(array)]
        left, right, counts = buckets.T
        if not finite.size:
            assert not buckets.any()
            continue
        assert (left[0], right[-1]) == (finite.min(), finite.max())
        places = (np.searchsorted(left, finite, side="right") - 1).clip(0, 29)
        assert counts.tolist() == np.bincount(places, minlength=30).tolist()


def test_small_arrays_that_are_counted_together_are_those_of_each() -> None:
    generator = np.random.default_rng(1)
    arrays = [
        generator.normal(size=size).astype(np.float32) * scale
        for size, scale in zip(generator.integers(1, 3_000, 200), 10.0 ** generator.integers(-30, 30, 200), strict=True)
    ]
    arrays[17] = np.arange(-70_000, 70_000, dtype=np.float32)
    together = histograms([[array] for array in arrays])
    for array, (left, right, counts) in zip(arrays, together.transpose(0, 2, 1), strict=True):
        places = np.searchsorted(left, array.astype(np.float64), side="right") - 1
        assert counts.tolist() == np.bincount(places, minlength=30).tolist()
        assert right.tolist() == [*left[1:], array.max()]


#: Far from numbers that a float32 rounds to zero.
ORDINARY = st.just(0.0) | st.floats(1e-9, 1e6) | st.floats(-1e6, -1e-9)


@given(hnp.arrays(np.float64, hnp.array_shapes(max_side=9), elements=ORDINARY))
def test_statistics_against_numpy(array: Any) -> None:
    found = dict(zip(STATISTICS, statistics_of([tf.constant(array)]).numpy()[0], strict=True))
    scale = float(np.abs(array).max())
    for name, value in numpy_statistics(array).items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-5 * scale)


def test_statistics_of_a_tensor_without_elements() -> None:
    (row,) = statistics_of([tf.zeros([0, 3])]).numpy()
    assert row[[0, 6]].tolist() == [0, 0]
    assert np.isnan(row[1:6]).all()


@given(st.lists(st.sampled_from(["a", "b", "a#1", "c/d:0"])))
def test_no_two_variables_have_one_name(names: list[str]) -> None:
    class Named:
        def __init__(self, path: str) -> None:
            self.path = path

    found = variable_names([Named(name) for name in names])
    assert len(set(found)) == len(names)
    firsts = {name: place for place, name in reversed(list(enumerate(names)))}
    for name, place in firsts.items():
        assert found[place] == name
