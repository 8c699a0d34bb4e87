"""The recorder for any framework with tensors of TensorFlow, and beside ``tf.summary``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from raw_events import summary_values
from recordings import recorded

from tb2csv.recorders import Recorder, RecorderError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_values_are_those_of_tf_summary(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    number, numbers = np.float32(0.1), random.normal(size=50).astype(np.float32)
    pictures = random.uniform(-0.5, 1.5, (2, 4, 5, 3)).astype(np.float32)
    clips = random.uniform(-1.1, 1.1, (1, 30, 2)).astype(np.float32)
    with tf.summary.create_file_writer(str(tmp_path / "tf")).as_default():
        tf.summary.scalar("scalar", number, 1)
        tf.summary.histogram("histogram", numbers, 1)
        tf.summary.text("text", "a", 1)
        tf.summary.image("image", pictures, 1)
        tf.summary.audio("audio", clips, 8000, 1)
    with Recorder(tmp_path / "ours") as recorder:
        recorder.scalars({"scalar": number}, 1)
        recorder.histograms({"histogram": numbers}, 1)
        recorder.text({"text": "a"}, 1)
        recorder.images({"image": pictures}, 1)
        recorder.audio({"audio": clips}, 1, sample_rate=8000)
    theirs, ours = summary_values(tmp_path / "tf"), summary_values(tmp_path / "ours")
    for tag, value in theirs.items():
        assert ours[tag].metadata.plugin_data == value.metadata.plugin_data, tag
        assert ours[tag].tensor.dtype == value.tensor.dtype
        their_array, our_array = tf.make_ndarray(value.tensor), tf.make_ndarray(ours[tag].tensor)
        if tag == "image":
            assert our_array[:2].tolist() == their_array[:2].tolist()
            for our_file, their_file in zip(our_array[2:], their_array[2:], strict=True):
                np.testing.assert_array_equal(tf.io.decode_png(our_file), tf.io.decode_png(their_file))
        elif tag == "audio":
            assert our_array.tolist() == their_array.tolist()
        elif tag == "histogram":
            np.testing.assert_allclose(our_array[:, :2], their_array[:, :2], rtol=1e-5, atol=1e-6)
            assert our_array[:, 2].sum() == their_array[:, 2].sum()
        else:
            np.testing.assert_array_equal(our_array, their_array)


def test_tensors_and_variables_are_recorded(tmp_path: Path) -> None:
    given = {
        "tensor": tf.constant([1.5, 2.5], tf.bfloat16),
        "variable": tf.Variable([[1, 2]]),
        "keras": keras.Variable([3.0]),
        "text": tf.constant(["a", "b"]),
    }
    with Recorder(tmp_path) as recorder:
        recorder.tensors(given, tf.constant(4))
        recorder.scalars({"scalar": tf.constant(0.1, tf.float64)}, 4)
    found = {tag: rows[0] for tag, rows in recorded(tmp_path).items()}
    assert found["tensor"][1].tolist() == [1.5, 2.5]
    assert found["tensor"][1].dtype == tf.bfloat16.as_numpy_dtype
    assert (found["variable"][1].tolist(), found["keras"][1].tolist()) == ([[1, 2]], [3.0])
    assert found["text"][1].tolist() == [b"a", b"b"]
    assert found["scalar"] == (4, np.float64(0.1))


def test_values_within_a_function_are_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    variable = tf.Variable(1.0)
    for value in (lambda: tf.constant(1.0) + variable, lambda: variable):

        @tf.function(autograph=False)
        def record(value: Any = value) -> None:
            recorder.scalars({"x": value()}, 1)

        with pytest.raises(RecorderError, match=r"within a tf\.function has no numbers"):
            record()
