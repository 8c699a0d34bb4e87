"""The table of trials, and small tables as text, against TensorBoard's reader, a Markdown parser and pandas."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from commands import run_here
from event_files import (
    Value,
    event,
    hparams_end,
    hparams_experiment,
    hparams_start,
    scalar,
    simple_value,
    write_run,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tables import parse_rows
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

import tb2csv
from tb2csv.analysis.table_text import TABLE_TEXTS, json_rows, latex_text, markdown_text, text_format
from tb2csv.errors import LogdirError, OptionError, Tb2csvError
from tb2csv.logdir import discover
from tb2csv.runs.run_metrics import read_metrics
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLE_LOGS = Path(__file__).resolve().parents[2] / "sample_logs"
PARTS = {"": "last", ":min": "min", ":min_step": "min_step", ":max": "max", ":max_step": "max_step"}


def hparams_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return run_here(capsys, "hparams", *arguments)


# Metrics


def shown_by_tensorboard(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the scalars of a run as TensorBoard's own reader has them."""
    accumulator = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    found = {tag: [(each.step, each.value) for each in accumulator.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        if accumulator.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            points = accumulator.Tensors(tag)
            found[tag] = [(each.step, float(make_ndarray(each.tensor_proto))) for each in points]
    return found


def test_metrics_equal_those_of_tensorboard() -> None:
    rows = list(tb2csv.open_logdir(SAMPLE_LOGS).hparams().iter_rows(named=True))
    compared = 0
    for row in rows:
        for tag, points in shown_by_tensorboard(SAMPLE_LOGS / row["run"]).items():
            if tag not in row:
                continue
            values = [value for _, value in points]
            known = {
                "last": values[-1],
                "min": min(values),
                "min_step": points[int(np.argmin(values))][0],
                "max": max(values),
                "max_step": points[int(np.argmax(values))][0],
            }
            assert {part: row[tag + ending] for ending, part in PARTS.items()} == pytest.approx(known, rel=1e-7)
            compared += 1
    assert compared >= 8


@settings(deadline=None)
@given(
    written=st.lists(st.tuples(st.sampled_from("ab"), st.floats(width=32), st.booleans()), min_size=1, max_size=30),
    chunk_size=st.sampled_from([150, 1 << 20]),
)
@pytest.mark.slow
def test_metrics_of_a_tag_that_changes_its_type_are_of_all_its_values(
    written: list[tuple[str, float, bool]], chunk_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("metrics")
    events = [
        event(scalar(tag, value, "float64" if is_double else "float32"), step=step)
        for step, (tag, value, is_double) in enumerate(written)
    ]
    write_run(folder, *events)
    (run,) = discover(folder).runs
    found = read_metrics(run, chunk_size)
    assert found.keys() == {tag for tag, _, _ in written}
    for tag, metric in found.items():
        points = [(value, step) for step, (each, value, _) in enumerate(written) if each == tag]
        numbers = [(value, step) for value, step in points if not math.isnan(value)]
        assert metric.last == points[-1][0] or math.isnan(points[-1][0])
        if not numbers:
            assert (metric.min, metric.min_step, metric.max, metric.max_step) == (None,) * 4
            continue
        assert metric.min == min(value for value, _ in numbers)
        assert metric.max == max(value for value, _ in numbers)
        # If the types share an extreme, either of their first steps will do.
        assert (metric.min, metric.min_step) in numbers
        assert (metric.max, metric.max_step) in numbers


def test_a_table_of_single_hyperparameters_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All trials have ``lr``, two have ``both``, and each has three of its own."""
    monkeypatch.setattr("tb2csv.runs.hparams_table.MAX_EMPTY_CELLS", 50)
    monkeypatch.setattr("tb2csv.runs.hparams_table.MAX_CELLS_PER_VALUE", 1)
    for number in range(10):
        own = {f"own{number}_{each}": 1.0 for each in range(3)}
        shared = {"lr": 0.1, **({"both": 2.0} if number < 2 else {})}
        write_run(tmp_path / f"trial{number}", event(hparams_start({**own, **shared})))
    result = tb2csv.hparams(tmp_path)
    (note,) = (each for each in result.notes if each.kind == "hparams_left_out")
    assert note.count == 32 - 5
    assert {"lr", "both"} < set(result.table.columns)
    assert len([name for name in result.table.columns if name.startswith("own")]) == 3
    assert len(result.table) == 10
    few = tb2csv.hparams(tmp_path, run="trial[0-2]")
    assert [each.kind for each in few.notes if each.kind == "hparams_left_out"] == []
    assert len([name for name in few.table.columns if name.startswith("own")]) == 9


def test_trials_without_end_or_start_have_no_duration(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(hparams_start({"rate": 1}, start=10)), event(hparams_end(end=12.5)))
    write_run(tmp_path / "b", event(hparams_start({"rate": 1}, start=10)))
    write_run(tmp_path / "c", event(hparams_start({"rate": 1})), event(hparams_end(end=12.5)))
    assert tb2csv.open_logdir(tmp_path).hparams()["duration"].to_list() == [2.5, None, None]


def test_names_that_clash_get_the_prefix_of_their_kind(tmp_path: Path) -> None:
    write_run(
        tmp_path,
        event(hparams_start({"duration": 5, "loss": 1}, start=1)),
        event(scalar("loss", 2), scalar("loss:min", 3), scalar("duration", 4)),
        event(hparams_end(end=3)),
    )
    (row,) = tb2csv.open_logdir(tmp_path).hparams().iter_rows(named=True)
    names = ["hparam:duration", "loss", "metric:loss", "loss:min", "metric:loss:min", "metric:duration", "duration"]
    assert [row[name] for name in names] == [5, 1, 2, 2, 3, 4, 2]


# Which scalars are metrics


def write_trial(folder: Path, *values: Value, metrics: Iterable[str] = (), wall_time: float = 1.0) -> None:
    """Write what ``add_hparams`` of PyTorch writes into a run of its own."""
    write_run(
        folder,
        event(hparams_experiment(["rate"], metrics, has_tensor=False), wall_time=wall_time),
        event(hparams_start({"rate": 0.5}, has_tensor=False), wall_time=wall_time),
        event(hparams_end(has_tensor=False), wall_time=wall_time),
        *(event(value, wall_time=wall_time) for value in values),
    )


def metrics_of(table: pl.DataFrame) -> list[dict[str, float]]:
    """Return the last values of the metrics of each row, by their columns."""
    names = [name.removesuffix(":max_step") for name in table.columns if name.endswith(":max_step")]
    return [{name: row[name] for name in names if row[name] is not None} for row in table.iter_rows(named=True)]


def chosen(folder: Path, *tags: str, exclude: tuple[str, ...] = ()) -> list[dict[str, float]]:
    return metrics_of(tb2csv.open_logdir(folder).hparams(Selection(tags=tags, exclude_tags=exclude)))


def test_a_tag_that_no_experiment_names_can_be_a_metric(tmp_path: Path) -> None:
    """Lightning names ``hp_metric`` alone; Stable-Baselines3 names two of its many scalars."""
    write_trial(tmp_path / "a", simple_value("hp_metric", 0.5), simple_value("val_dice", 0.75), metrics=["hp_metric"])
    write_trial(tmp_path / "b", simple_value("val_dice", 0.25), metrics=["hp_metric"])
    assert metrics_of(tb2csv.open_logdir(tmp_path).hparams()) == [{"hp_metric": 0.5}, {}]
    assert chosen(tmp_path, "val_dice") == [{"val_dice": 0.75}, {"val_dice": 0.25}]
    assert chosen(tmp_path, "*", exclude=("hp*",)) == [{"val_dice": 0.75}, {"val_dice": 0.25}]
    assert chosen(tmp_path, "*") == [{"hp_metric": 0.5, "val_dice": 0.75}, {"val_dice": 0.25}]


def test_scalars_of_the_run_above_can_be_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Accelerate writes hyperparameters without metrics by ``add_hparams``, and curves to the run above."""
    for number in range(2):
        write_trial(tmp_path / f"exp{number}" / "1700000000.5")
        write_run(
            tmp_path / f"exp{number}",
            event(simple_value("train_loss", 2), step=1),
            event(simple_value("train_loss", number), step=2),
        )
    ran = hparams_here(capsys, tmp_path)
    assert list(parse_rows(ran.stdout)[0])[5:] == ["rate", "duration"]
    assert "2 trials without metrics" in ran.stderr
    assert "'train_loss'" in ran.stderr
    assert hparams_here(capsys, tmp_path, "--quiet").stderr == ""
    ran = hparams_here(capsys, tmp_path, "--tag", "train*")
    assert ran.stderr == ""
    rows = parse_rows(ran.stdout)
    assert [(row["run"], row["train_loss"], row["train_loss:max"]) for row in rows] == [
        ("exp0/1700000000.5", "0.0", "2.0"),
        ("exp1/1700000000.5", "1.0", "2.0"),
    ]


def test_scalars_of_the_run_above_are_those_of_the_last_trial(tmp_path: Path) -> None:
    """A trial's own scalars go before them."""
    write_run(tmp_path, event(simple_value("loss", 3)), event(simple_value("acc", 0.5)))
    write_trial(tmp_path / "trial_10", simple_value("loss", 1), metrics=["loss"], wall_time=20)
    write_trial(tmp_path / "trial_9", simple_value("loss", 2), metrics=["loss"], wall_time=10)
    table, notes, report = tb2csv.open_logdir(tmp_path).trials(Selection(tags=("*",)))
    assert report.values_read == 2 + 4 + 4
    assert table["run"].to_list() == ["trial_10", "trial_9"]
    assert metrics_of(table) == [{"loss": 1, "acc": 0.5}, {"loss": 2}]
    (note,) = notes
    assert note.counts == ((".", 2),)
    assert tb2csv.open_logdir(tmp_path).trials(Selection(tags=("loss",))).table["loss"].to_list() == [1, 2]


def test_a_pattern_selects_tags_and_columns(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(hparams_start({"rate": 1})))
    write_run(tmp_path / "a" / "train", event(scalar("loss", 1)), event(scalar("acc", 2)))
    write_run(tmp_path / "a" / "validation", event(scalar("loss", 3)))
    assert chosen(tmp_path) == [{"train/loss": 1, "train/acc": 2, "validation/loss": 3}]
    assert chosen(tmp_path, "loss") == [{"train/loss": 1, "validation/loss": 3}]
    assert chosen(tmp_path, "validation/*") == [{"validation/loss": 3}]
    assert chosen(tmp_path, exclude=("train/*",)) == [{"validation/loss": 3}]
    assert chosen(tmp_path, "train/*", exclude=("loss",)) == [{"train/acc": 2}]


@pytest.mark.parametrize("metrics", [[], ["loss"], ["never"]])
@pytest.mark.parametrize("values", [[], [simple_value("loss", 1)]])
@pytest.mark.parametrize("run", [".", "a"])
def test_an_unknown_tag_is_an_error(metrics: list[str], values: list[Value], run: str, tmp_path: Path) -> None:
    write_trial(tmp_path / run, *values, metrics=metrics)
    with pytest.raises(Tb2csvError, match="No scalar"):
        chosen(tmp_path, "losss")


def test_a_log_without_trials_is_refused_with_and_without_tags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, event(scalar("loss", 1)))
    for options in ([], ["--tag", "loss"], ["--tag", "other"]):
        ran = hparams_here(capsys, tmp_path, *options)
        assert (ran.status, "has no trials" in ran.stderr) == (1, True)


def test_a_named_metric_that_no_trial_has_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of Keras the tags are ``epoch_accuracy``, and they are in runs below the trial."""
    logs = tmp_path / "logs"
    write_run(logs, event(hparams_experiment(["rate"], ["accuracy", ("train", "epoch_loss")])))
    write_run(logs / "a", event(hparams_start({"rate": 1})))
    write_run(logs / "a" / "train", event(scalar("epoch_accuracy", 0.5)), event(scalar("epoch_loss", 2)))
    write_run(logs / "b", event(hparams_start({"rate": 2})))
    report = tb2csv.convert(logs, tmp_path / "out")
    (note,) = report.notes
    assert (note.kind, note.count, note.details["metrics"]) == ("metrics_missing", 1, ("accuracy",))
    assert "'train/epoch_accuracy'" in note.details["nearest"]
    assert "'train/epoch_loss'" not in note.details["nearest"]
    assert report.to_dict()["notes"] == [str(note)]
    assert hparams_here(capsys, logs).stderr == f"{note}\n"
    assert hparams_here(capsys, logs, "--tag", "epoch_loss").stderr == ""
    assert hparams_here(capsys, logs, "--run", "a", "--quiet").stderr == ""


def test_trials_without_an_experiment_have_their_own_scalars(tmp_path: Path) -> None:
    """An experiment in one branch of the log takes no metrics from the trials of another."""
    write_trial(tmp_path / "torch" / "t", simple_value("acc", 1), simple_value("other", 2), metrics=["acc"])
    write_run(tmp_path / "keras" / "r", event(hparams_start({"rate": 1})))
    write_run(tmp_path / "keras" / "r" / "train", event(scalar("epoch_loss", 3)))
    table = tb2csv.open_logdir(tmp_path).hparams()
    assert table["run"].to_list() == ["keras/r", "torch/t"]
    assert metrics_of(table) == [{"train/epoch_loss": 3}, {"acc": 1}]


def test_a_trial_that_ended_early_adds_no_metrics(tmp_path: Path) -> None:
    """The experiment is beside the trials, above them, or in the same run."""
    write_run(tmp_path / "experiment", event(hparams_experiment(["rate"], ["acc"])))
    write_run(tmp_path / "a", event(hparams_start({"rate": 1})), event(scalar("acc", 1), scalar("fps", 2)))
    assert metrics_of(tb2csv.open_logdir(tmp_path).hparams()) == [{"acc": 1}]
    write_trial(tmp_path / "torch", simple_value("fps", 3), metrics=["acc"])
    assert metrics_of(tb2csv.open_logdir(tmp_path).hparams()) == [{"acc": 1}, {}]


# Lightning's placeholder


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("points", "expected", "placeholders"),
    [
        # Value and step of each; last, min, its step, max, its step.
        ([(-1, 0), (0.25, 10), (0.5, 20)], (0.5, 0.25, 10, 0.5, 20), 1),
        ([(-1, 0), (-2, 10), (-3, 20)], (-3, -3, 20, -2, 10), 1),
        # A training that was resumed writes it again.
        ([(-1, 0), (0.5, 10), (-1, 0), (0.25, 20)], (0.25, 0.25, 20, 0.5, 10), 2),
        ([(-1, 0), (0.5, 10), (-1, 0)], (0.5, 0.5, 10, 0.5, 10), 2),
        # A measured -1.
        ([(-1, 0), (-1, 0), (0.5, 10)], (0.5, -1, 0, 0.5, 10), 1),
        ([(-1, 0), (0.5, 10), (-1, 20)], (-1, -1, 20, 0.5, 10), 1),
        ([(0.5, 0), (-1, 0), (0.75, 1)], (0.75, -1, 0, 0.75, 1), 0),
        ([(-1, 5), (0.5, 10)], (0.5, -1, 5, 0.5, 10), 0),
        ([(-0.75, 0), (0.5, 10)], (0.5, -0.75, 0, 0.5, 10), 0),
        # Nothing else.
        ([(-1, 0)], (-1, -1, 0, -1, 0), 1),
    ],
)
def test_the_placeholder_of_lightning_is_not_a_measurement(
    points: list[tuple[float, int]],
    expected: tuple[float | None, ...],
    placeholders: int,
    tmp_path: Path,
    *,
    is_streamed: bool,
) -> None:
    events = [event(simple_value("hp_metric", value), simple_value("loss", value), step=step) for value, step in points]
    write_run(tmp_path, *events)
    (run,) = discover(tmp_path).runs
    found = read_metrics(run, 150 if is_streamed else 1 << 20)
    assert found["hp_metric"][:5] == expected
    assert found["hp_metric"].placeholders == placeholders
    assert found["loss"].min == min(value for value, _ in points)
    assert found["loss"].placeholders == 0


def test_a_metric_that_is_nan_after_the_placeholder_has_no_minimum(tmp_path: Path) -> None:
    events = [event(simple_value("hp_metric", value), step=step) for step, value in enumerate([-1, math.nan])]
    write_run(tmp_path, *events)
    (run,) = discover(tmp_path).runs
    metric = read_metrics(run, 1 << 20)["hp_metric"]
    assert math.isnan(metric.last)
    assert metric[1:5] == (None, None, None, None)


def test_the_placeholder_of_lightning_is_a_note(tmp_path: Path) -> None:
    placeholder = event(simple_value("hp_metric", -1))
    for name, values in (("a", [0.5]), ("b", []), ("c", [0.25])):
        later = [event(simple_value("hp_metric", value), step=9) for value in values]
        write_run(
            tmp_path / "logs" / name,
            event(hparams_experiment(["rate"], ["hp_metric"]), hparams_start({"rate": 1})),
            placeholder,
            *later,
        )
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert [note for note in report.notes if note.tag == "hp_metric"] == [
        tb2csv.Note("placeholders_left_out", tag="hp_metric", count=2),
        tb2csv.Note("placeholders_only", tag="hp_metric", count=1),
    ]
    table = tb2csv.open_tables(tmp_path / "out")["hparams.csv"]
    assert table["hp_metric:min"].to_list() == [0.5, -1, 0.25]
    # The table of the scalar has every value.
    assert tb2csv.open_tables(tmp_path / "out").table("a", "hp_metric")["value"].to_list() == [-1, 0.5]


# Whole numbers


@pytest.mark.parametrize(
    ("numbers", "dtype", "cells"),
    [
        ([32, 64], pl.Int64, ["32", "64"]),
        ([-3, None, 0], pl.Int64, ["-3", "", "0"]),
        ([2**53, -(2**53)], pl.Int64, ["9007199254740992", "-9007199254740992"]),
        ([1, 0.5], pl.Float64, ["1.0", "0.5"]),
        ([-0.0], pl.Float64, ["-0.0"]),
        ([1e300], pl.Float64, ["1e+300"]),
        ([1, math.nan], pl.Float64, ["1.0", "NaN"]),
        ([2, math.inf], pl.Float64, ["2.0", "inf"]),
        ([3, "auto"], pl.String, ["3", "auto"]),
        ([0.5, "auto"], pl.String, ["0.5", "auto"]),
    ],
)
def test_numbers_that_are_all_whole_are_integers(
    numbers: list[object], dtype: type[pl.DataType], cells: list[str], tmp_path: Path
) -> None:
    for place, number in enumerate(numbers):
        write_run(tmp_path / "logs" / f"run{place}", event(hparams_start({"units": number, "same": 1})))
    column = tb2csv.open_logdir(tmp_path / "logs").hparams()["units"]
    assert column.dtype == dtype
    tb2csv.convert(tmp_path / "logs", tmp_path / "csv")
    tb2csv.convert(tmp_path / "logs", tmp_path / "parquet", format="parquet")
    rows = parse_rows((tmp_path / "csv" / "hparams.csv").read_text("utf-8"))
    assert [row["units"] for row in rows] == cells
    for out, name in (("csv", "hparams.csv"), ("parquet", "hparams.parquet")):
        found = tb2csv.open_tables(tmp_path / out)[name]["units"]
        assert (found.dtype, found.equals(column, null_equal=True)) == (dtype, True)


def test_whole_numbers_are_written_alike_in_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, event(hparams_start({"units": 64, "rate": 0.5})))
    assert parse_rows(hparams_here(capsys, tmp_path).stdout)[0]["units"] == "64"
    assert '"units":64,' in hparams_here(capsys, tmp_path, "--json").stdout
    assert "| 64 |" in hparams_here(capsys, tmp_path, "--format", "markdown").stdout
    assert "& 64 &" in hparams_here(capsys, tmp_path, "--format", "latex").stdout


# The command


def test_the_command_prints_the_table_that_convert_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tb2csv.convert(SAMPLE_LOGS, tmp_path / "out")
    ran = hparams_here(capsys, SAMPLE_LOGS)
    assert ran.stdout == (tmp_path / "out" / "hparams.csv").read_text("utf-8")
    assert ran.status == 3  # one of the logs is damaged
    assert "42 bytes lost" in ran.stderr
    header, *lines = csv.reader(io.StringIO(ran.stdout))
    assert header[:5] == ["run", "session_group", "status", "start_time", "end_time"]
    assert header[-1] == "duration"
    assert len(lines) == 6


def test_every_trial_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(120):  # TensorBoard's page has a hundred
        folder = tmp_path / f"trial_{number:03}"
        write_run(folder, event(hparams_start({"n": number})), event(simple_value("loss", number), step=number))
    rows = parse_rows(hparams_here(capsys, tmp_path).stdout)
    assert [(row["run"], row["n"], row["loss"], row["loss:max_step"]) for row in rows] == [
        (f"trial_{number:03}", str(number), f"{number}.0", str(number)) for number in range(120)
    ]


def write_two_experiments(folder: Path) -> None:
    write_run(folder, event(hparams_experiment(["rate", "units"], ["loss", "acc"])))
    write_run(folder / "a", event(hparams_start({"rate": 1})), event(scalar("loss", 2), scalar("other", 9)))
    write_run(folder / "b", event(hparams_start({"units": 3})), event(scalar("acc", 0.5)))


def test_runs_choose_rows_and_tags_choose_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_two_experiments(tmp_path)
    loss, acc = ([f"{name}{ending}" for ending in PARTS] for name in ("loss", "acc"))
    fixed = ["run", "session_group", "status", "start_time", "end_time"]

    def columns(*arguments: str) -> tuple[list[str], list[str]]:
        rows = parse_rows(hparams_here(capsys, tmp_path, *arguments).stdout)
        assert all(list(row) == list(rows[0]) for row in rows)
        names = list(rows[0])
        assert (names[:5], names[-1]) == (fixed, "duration")
        return [row["run"] for row in rows], names[5:-1]

    assert columns() == (["a", "b"], ["rate", "units", *loss, *acc])
    assert columns("--tag", "a*") == (["a", "b"], ["rate", "units", *acc])
    assert columns("--exclude-tag", "a*") == (["a", "b"], ["rate", "units", *loss])
    # What the experiment says counts although its own run is not chosen; what no chosen run has is left out.
    assert columns("--run", "a") == (["a"], ["rate", *loss])
    assert columns("--exclude-run", "a") == (["b"], ["units", *acc])


def test_missing_names_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_two_experiments(tmp_path)
    cases = [("--tag", "lost", "'loss'"), ("--run", "A", "'a'"), ("--run", ".", "no trials")]
    for option, value, told in cases:
        ran = hparams_here(capsys, tmp_path, option, value)
        assert (ran.status, ran.stdout) == (1, "")
        assert told in ran.stderr
    frames = tb2csv.open_logdir(tmp_path)
    with pytest.raises(Tb2csvError, match="'loss'"):
        frames.hparams(Selection(tags=("lost",)))
    with pytest.raises(LogdirError, match="'a'"):
        frames.hparams(Selection(runs=("A",)))


def test_json_has_types_and_strict_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = hparams_start({"rate": 0.1, "flag": True, "name": 'a "b"', "odd": math.nan, "none": None})
    write_run(tmp_path, event(start), event(scalar("loss", math.inf), step=3))
    ran = hparams_here(capsys, tmp_path, "--format", "json")
    (row,) = json.loads(ran.stdout, parse_constant=pytest.fail)
    assert row == {
        **dict.fromkeys(["session_group", "status", "start_time", "end_time", "none", "duration"]),
        **dict.fromkeys(["loss", "loss:min", "loss:max"], "Infinity"),
        **dict.fromkeys(["loss:min_step", "loss:max_step"], 3),
        "run": ".",
        "rate": 0.1,
        "flag": True,
        "name": 'a "b"',
        "odd": "NaN",
    }
    assert hparams_here(capsys, tmp_path, "--json").stdout == ran.stdout


@pytest.mark.parametrize("name", list(TABLE_TEXTS))
def test_a_file_has_the_printed_text(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ending = {"csv": ".csv", "json": ".json", "markdown": ".MD", "latex": ".tex"}[name]
    out = tmp_path / f"table{ending}"
    assert hparams_here(capsys, SAMPLE_LOGS, "--run", "torch*", "-o", out).stdout == f"2 rows: see {out}\n"
    printed = hparams_here(capsys, SAMPLE_LOGS, "--run", "torch*", "--format", name).stdout
    assert out.read_text("utf-8") == printed
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_an_earlier_file_is_refused_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("mine")
    ran = hparams_here(capsys, tmp_path / "nowhere", "-o", tmp_path / "t.csv")
    assert (ran.status, "--overwrite" in ran.stderr) == (1, True)
    assert (tmp_path / "t.csv").read_text() == "mine"


# Text


def test_formats_are_found_by_name_or_ending() -> None:
    assert text_format(None, None) == "csv"
    assert text_format("latex", "table.md") == "latex"
    for name in ("table", "table.txt", ".md"):
        with pytest.raises(OptionError, match=r"\.csv"):
            text_format(None, name)
    with pytest.raises(OptionError, match="xlsx"):
        text_format("xlsx", None)


#: What Markdown or LaTeX may take for their own.
TEXT = st.text(
    st.sampled_from("ab 1_*`~|\\<>&$#%{}^[](){}!-\"'\n:/.é")
    | st.characters(codec="utf-8", exclude_categories=["C", "Z"])
)


def parsed_markdown(text: str) -> list[list[str]]:
    """Return the cells of a Markdown table as they are shown."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    rows: list[list[str]] = []
    for token in parser.parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            shown = ["\n" if child.type == "html_inline" else child.content for child in token.children or []]
            assert {child.type for child in token.children or []} <= {"text", "html_inline", "text_special"}
            assert {child.content for child in token.children or [] if child.type == "html_inline"} <= {"<br>"}
            rows[-1].append("".join(shown))
    return rows


@settings(max_examples=300, deadline=None)
@given(name=TEXT, cells=st.lists(TEXT, min_size=1, max_size=4))
@example(name="<br>", cells=["a\nb"])
@pytest.mark.slow
def test_markdown_shows_names_and_cells_as_they_are(name: str, cells: list[str]) -> None:
    table = pl.DataFrame({name: cells, f"{name}2": range(len(cells))}, {name: pl.String, f"{name}2": pl.Int64})
    header, *rows = parsed_markdown(markdown_text(table))
    assert header == [name.strip(" "), f"{name}2".strip(" ")]
    assert rows == [[cell.strip(" "), str(number)] for number, cell in enumerate(cells)]


def test_markdown_leaves_common_names_as_they_are() -> None:
    table = pl.DataFrame({"batch_size": ["adam_w", "[1, 2]", "relu", None]})
    assert markdown_text(table) == "| batch_size |\n| --- |\n| adam_w |\n| [1, 2] |\n| relu |\n|  |\n"


def unified(latex: str) -> str:
    """Return LaTeX with one way to write what pandas and we write in two."""
    return re.sub(r"(\\text\w+)(?:\{\}| )(?: )?", r"\1{}", latex).replace(r"\space ", "")


@pytest.mark.slow
@given(cell=st.text("ab12_%$#{}&\\~^ .", min_size=1))
def test_latex_is_escaped_as_pandas_does(cell: str) -> None:
    theirs = pd.DataFrame({"x": [cell]}).to_latex(escape=True, header=False, index=False)
    ours = latex_text(pl.DataFrame({"x": [cell]}))
    assert unified(ours.splitlines()[4]).split() == unified(theirs.splitlines()[3]).split()


def test_latex_is_a_tabular_of_all_cells() -> None:
    table = pl.DataFrame(
        {"name_1": ["[a]*", "x--y\n|<>`", None], "value": [0.1, math.nan, None], "flag": [True, None, False]}
    )
    assert latex_text(table).splitlines() == [
        r"\begin{tabular}{lrl}",
        r"\hline",
        r"name\_1 & value & flag \\",
        r"\hline",
        r"{[}a]{*} & 0.1 & true \\",
        r"x-{}-{}y \textbar{}\textless{}\textgreater{}\textasciigrave{} & NaN &  \\",
        r" &  & false \\",
        r"\hline",
        r"\end{tabular}",
    ]


@given(cells=st.lists(st.none() | st.floats(width=32), max_size=5))
def test_json_numbers_read_back(cells: list[float | None]) -> None:
    table = pl.DataFrame({"x": pl.Series(cells, dtype=pl.Float32)})
    words = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    for row, cell in zip(json_rows(table), cells, strict=True):
        found = words.get(row["x"], row["x"])
        assert found is cell or np.float32(found) == np.float32(cell) or (math.isnan(found) and math.isnan(cell or 0))
    assert json.loads(TABLE_TEXTS["json"](table), parse_constant=pytest.fail) == json_rows(table)
