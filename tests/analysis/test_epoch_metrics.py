"""The table of metrics by epoch: its cells are the scalars that were written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from commands import run_here
from event_files import event, file_name, scalar, simple_value, write_run

import tb2csv
from tb2csv.errors import LogdirError, NameNotFoundError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, values: dict[str, list[float]], *, first: int = 0, name: str | None = None) -> None:
    """Write scalars of epochs as Keras' writers do, tag by tag in each epoch."""
    epochs = range(len(next(iter(values.values()))))
    write_run(
        folder,
        *(
            event(scalar(tag, numbers[epoch]), step=first + epoch)
            for epoch in epochs
            for tag, numbers in values.items()
        ),
        name=name,
    )


def test_train_and_validation_of_keras_are_one_run(tmp_path: Path) -> None:
    """A batch metric beside them is not a metric of an epoch."""
    learned = {"epoch_accuracy": [0.5, 0.75], "epoch_learning_rate": [0.25, 0.125], "epoch_loss": [1.0, 0.5]}
    write(tmp_path / "train", {**learned, "batch_loss": [3.0, 4.0]})
    write(tmp_path / "validation", {"epoch_accuracy": [0.25, 0.5], "epoch_loss": [2.0, 1.0]})
    table = tb2csv.metrics(tmp_path).table
    assert table.columns == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert table.rows() == [(0, 1.0, 0.5, 2.0, 0.25, 0.25), (1, 0.5, 0.75, 1.0, 0.5, 0.125)]


def test_runs_of_recorders_have_a_column_and_empty_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a", {"epoch/loss": [1.0, 0.5], "epoch/val_loss": [3.0, 2.0], "batch/loss": [9.0, 9.0]})
    write(tmp_path / "b/train", {"epoch/mae": [4.0]}, first=7)
    done = run_here(capsys, "metrics", tmp_path, "--quiet")
    header, *rows = done.stdout.splitlines()
    assert (done.status, header) == (0, '"run","epoch","loss","mae","val_loss"')
    assert rows == ["a,0,1.0,,3.0", "a,1,0.5,,2.0", "b/train,7,,4.0,"]


def test_series_with_the_same_name_are_kept_apart(tmp_path: Path) -> None:
    """A recorder in the folder of Keras' callback, and a metric that is called like a column of the table."""
    write(tmp_path, {"epoch/loss": [1.0], "epoch/epoch": [5.0]})
    write(tmp_path / "train", {"epoch_loss": [2.0]})
    (row,) = tb2csv.metrics(tmp_path).table.rows(named=True)
    assert row == {"epoch": 0, "loss": 1.0, "train:loss": 2.0, ".:epoch": 5.0}


def test_epochs_that_are_recorded_again_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"epoch/loss": [3.0, 2.0, 1.0]}, name=file_name(1))
    write(tmp_path, {"epoch/loss": [8.0, 7.0]}, first=1, name=file_name(2))
    found = tb2csv.metrics(tmp_path)
    assert found.table["loss"].to_list() == [3.0, 8.0, 7.0]
    assert [(note.kind, note.run, note.count) for note in found.notes] == [("duplicates_left_out", ".", 2)]
    assert "only the last value of a tag and step is kept; left out: 2" in run_here(capsys, "metrics", tmp_path).stderr


def test_chosen_tags_of_other_writers(tmp_path: Path) -> None:
    values = [event(simple_value("Loss/train", 0.1), simple_value("Loss/test", 0.2), step=epoch) for epoch in (1, 2)]
    write_run(tmp_path, *values)
    with pytest.raises(NameNotFoundError, match=r"'Loss/train', 'Loss/test' may not be epochs; choose tags with tag\."):
        tb2csv.metrics(tmp_path)
    table = tb2csv.metrics(tb2csv.open_logdir(tmp_path), tag="Loss/*").table
    assert table.columns == ["epoch", "Loss/train", "Loss/test"]
    assert table["Loss/test"].dtype == pl.Float32
    assert table["epoch"].to_list() == [1, 2]


def test_files_and_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "logs", {"epoch/loss": [0.1, 0.2]})
    run_here(capsys, "metrics", tmp_path / "logs", "-o", tmp_path / "metrics.csv")
    assert (tmp_path / "metrics.csv").read_text() == "epoch,loss\n0,0.1\n1,0.2\n"
    done = run_here(capsys, "metrics", tmp_path / "logs", "--json", "--quiet")
    assert json.loads(done.stdout) == [{"epoch": 0, "loss": 0.1}, {"epoch": 1, "loss": 0.2}]
    with pytest.raises(LogdirError):
        tb2csv.metrics(tmp_path / "logs", run="other")
