"""The recipe for plain tf.summary: its blocks run, and its tables are those of a training in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from numpy_network import PARAMETERS, Step, data, trained
from pages import Page
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PAGE = Page("docs/recipes/tf_summary.md")
PYTHON = PAGE.blocks("python")
BATCH = 8


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step]]:
    """Run the page in a folder, and return the folder and the steps of the same training in numpy."""
    folder = tmp_path_factory.mktemp("page")
    keras.utils.set_random_seed(5)
    x, y = data()
    batches = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    scope: dict[str, Any] = {"batches": batches}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(PYTHON[0], scope)
        weights = scope["model"].get_weights()
        for block in PYTHON[1:]:
            exec(block, scope)
        PAGE.run_commands()
    return folder, trained(weights, batches, epochs=4, rate=0.5)


def test_metrics_are_those_of_each_epoch(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    table = pl.read_csv(folder / "metrics.csv")
    assert table.columns == ["epoch", "loss", "learning_rate"]
    losses = np.reshape([step.loss for step in steps], (4, -1)).mean(axis=1)
    np.testing.assert_allclose(table["loss"], losses, rtol=1e-5)
    assert table["learning_rate"].to_list() == [0.5] * 4


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_gradients_of_every_second_epoch_are_whole(ran: tuple[Path, list[Step]], parameter: str) -> None:
    folder, steps = ran
    table = pl.read_csv(folder / f"tables/run/tensors/gradients/net/{parameter}.csv")
    gradients = {number: step.gradients[parameter] for number, step in enumerate(steps, 1)}
    indices = [f"i{axis}" for axis in range(gradients[1].ndim)]
    assert table.columns == ["wall_time", "step", *indices, "value"]
    assert table["step"].unique(maintain_order=True).to_list() == [1, 2, 3, 7, 8, 9]
    expected = [gradients[row["step"]][tuple(row[name] for name in indices)] for row in table.rows(named=True)]
    assert len(expected) == 6 * gradients[1].size
    np.testing.assert_allclose(table["value"], expected, rtol=1e-4, atol=1e-7)


def test_histograms_count_the_weights_after_each_epoch(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    for parameter in PARAMETERS:
        table = pl.read_csv(folder / f"tables/run/histograms/weights/net/{parameter}/histogram.csv")
        for epoch in range(4):
            weights = steps[3 * epoch + 2].weights[parameter]
            rows = table.filter(pl.col("step") == epoch)
            assert rows["count"].sum() == weights.size
            np.testing.assert_allclose([rows["left"][0], rows["right"][-1]], [weights.min(), weights.max()], atol=1e-5)


def test_names_of_variables_mix_layers_and_convert_notes_it(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(3)])
    assert [variable.name for variable in model.trainable_variables] == ["kernel", "bias"] * 2
    writer = tf.summary.create_file_writer(str(tmp_path / "logs/run"))
    for step in range(4):
        for variable in model.trainable_variables:
            with writer.as_default(step):
                tf.summary.histogram(variable.name, variable)
    writer.close()
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "tables")
    (note,) = report.notes
    assert (note.kind, note.counts) == ("steps_repeated", (("kernel", 4), ("bias", 4)))
    (shown,) = PAGE.blocks("text")
    assert str(note).startswith(shown.removesuffix("…\n").strip())
    assert len(pl.read_csv(tmp_path / "tables/run/histograms/kernel.csv")["step"]) == 2 * 4 * 30


def test_what_the_page_says_about_tensors(tmp_path: Path) -> None:
    scope: dict[str, Any] = {"tf": tf}
    exec(PYTHON[1].partition("\n\n")[0], scope)
    used = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))
    writer = tf.summary.create_file_writer(str(tmp_path))
    for step in range(12):
        with writer.as_default(step):
            tf.summary.write("bare", tf.ones(()))
            tf.summary.write("named", tf.ones(()), metadata=scope["metadata"])
            tf.summary.write("embedding", used, metadata=scope["metadata"])
    writer.close()
    assert tb2csv.ls(tmp_path).table.select("tag", "kind").rows() == [
        ("bare", "scalars"),
        ("named", "tensors"),
        ("embedding", "tensors"),
    ]
    rows = tb2csv.open_logdir(tmp_path).tensors(tag="embedding")
    assert rows.filter(step=0)["value"].to_list() == [0, 0, 1, 1, 0, 0]
    assert rows["step"].n_unique() == 12
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    assert len(accumulator.Tensors("embedding")) == 10
