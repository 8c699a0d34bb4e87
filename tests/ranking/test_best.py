"""``tb2csv best`` against a loop over EventAccumulator, and what it does with what cannot be ranked."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here
from event_files import event, file_name, flip, histogram, records, scalar, simple_value, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import parse_rows
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tb2csv
from tb2csv.errors import LogdirError, NameNotFoundError, OptionError
from tb2csv.ranking.goals import goal_by_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAN = math.nan
#: Of each run, the step and the value of each point of the tag.
Log = dict[str, list[tuple[int, float]]]


def write_log(folder: Path, log: Log, tag: str = "acc", value: Callable[..., Any] = simple_value) -> Path:
    for run, points in log.items():
        events = [
            event(value(tag, number), step=step, wall_time=100.0 + place) for place, (step, number) in enumerate(points)
        ]
        write_run(folder / run, *events, wall_time=99.0)
    return folder


def rows_of(ranking: tb2csv.Ranking, *columns: str) -> list[tuple[Any, ...]]:
    return ranking.table.select(*columns).rows()


def by_accumulator(log: Path, runs: list[str], tag: str, goal: str, at: str | int) -> list[tuple[str, float, int]]:
    """Return run, value and step of each run that has a value, best first, by a loop over TensorBoard's reader."""
    found = []
    for run in runs:
        accumulator = EventAccumulator(str(log / run), size_guidance={"scalars": 0, "tensors": 0})
        accumulator.Reload()
        if tag in accumulator.Tags()["scalars"]:
            points = [(each.value, each.step) for each in accumulator.Scalars(tag)]
        elif tag in accumulator.Tags()["tensors"]:
            import tensorboard.util.tensor_util as tensors

            points = [(float(tensors.make_ndarray(e.tensor_proto)), e.step) for e in accumulator.Tensors(tag)]
        else:
            continue
        if at == "last":
            chosen = points[-1:]
        elif at == "best":
            numbers = [point for point in points if not math.isnan(point[0])] or points[:1]
            pick = max if goal == "max" else min
            chosen = [pick(numbers, key=lambda point: point[0])]  # the first of several
        else:
            chosen = [point for point in points if point[1] == at][-1:]
        found += [(run, *point) for point in chosen]
    sign = -1 if goal == "max" else 1
    return sorted(found, key=lambda row: (math.isnan(row[1]), 0 if math.isnan(row[1]) else sign * row[1], row[0]))


VALUES = st.floats(-100, 100, width=32) | st.sampled_from([NAN, math.inf, -math.inf, 0.0, 1.0])
POINTS = st.lists(st.tuples(st.integers(0, 4), VALUES), min_size=1, max_size=8)
LOGS = st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e"]), POINTS, min_size=1)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    log=LOGS,
    goal=st.sampled_from(["max", "min"]),
    at=st.sampled_from(["best", "last", 2]),
    is_tensor=st.booleans(),
)
def test_rankings_equal_a_loop_over_event_accumulator(
    log: Log, goal: str, at: str | int, is_tensor: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_log(tmp_path_factory.mktemp("log"), log, value=scalar if is_tensor else simple_value)
    expected = by_accumulator(folder, sorted(log), "acc", goal, at)
    if not expected:
        with pytest.raises(NameNotFoundError):
            tb2csv.best(folder, "acc", goal=goal, at=at)
        return
    found = rows_of(tb2csv.best(folder, "acc", goal=goal, at=at), "run", "value", "step")
    assert [(run, step) for run, _, step in found] == [(run, step) for run, _, step in expected]
    np.testing.assert_array_equal([row[1] for row in found], [row[1] for row in expected])


def test_large_files_rank_like_small_ones(tmp_path: Path) -> None:
    """Small files are read in batches, and larger ones in chunks."""
    rng = np.random.default_rng(3)
    log = {f"r{number}": [(step, float(x)) for step, x in enumerate(rng.normal(size=400))] for number in range(4)}
    folder = write_log(tmp_path / "log", log)
    for at in ("best", "last", 7):
        small = tb2csv.best(folder, "acc", at=at)
        assert tb2csv.best(folder, "acc", at=at, chunk_size=1000).table.equals(small.table)
        assert rows_of(small, "run", "value", "step") == by_accumulator(folder, sorted(log), "acc", "max", at)


def test_a_float64_keeps_all_its_digits(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(scalar("acc", 0.1, "float64")))
    write_run(tmp_path / "b", event(scalar("acc", 0.1 + 2**-50, "float64")))
    assert rows_of(tb2csv.best(tmp_path, "acc"), "run", "value") == [("b", 0.1 + 2**-50), ("a", 0.1)]


@pytest.mark.parametrize("numbers", [[2**63, 2**63 - 1], [2**62 + 1, 2**62]])
def test_large_integers_are_compared_exactly(numbers: list[int], tmp_path: Path) -> None:
    for run, number in zip("ab", numbers, strict=True):
        write_run(tmp_path / run, event(scalar("acc", number, "uint64")))
    assert rows_of(tb2csv.best(tmp_path, "acc", goal="min"), "run", "value") == list(
        zip("ba", reversed(numbers), strict=True)
    )


def test_equal_values_share_a_rank_in_the_order_of_runs(tmp_path: Path) -> None:
    log: Log = {"b": [(0, 2.0)], "a": [(5, 2.0)], "c": [(0, 3.0)], "d": [(0, 1.0)], "e": [(0, NAN)], "f": [(0, NAN)]}
    ranking = tb2csv.best(write_log(tmp_path, log), "acc")
    assert rows_of(ranking, "rank", "run") == [(1, "c"), (2, "a"), (2, "b"), (4, "d"), (5, "e"), (5, "f")]


@pytest.mark.parametrize("at", ["best", "last", 1])
def test_nan_is_last_for_either_goal(at: str | int, tmp_path: Path) -> None:
    folder = write_log(tmp_path, {"a": [(1, NAN)], "b": [(1, -math.inf)], "c": [(1, math.inf)]})
    assert [row[0] for row in rows_of(tb2csv.best(folder, "acc", goal="max", at=at), "run")] == ["c", "b", "a"]
    assert [row[0] for row in rows_of(tb2csv.best(folder, "acc", goal="min", at=at), "run")] == ["b", "c", "a"]


def test_the_values_of_a_restart_count(tmp_path: Path) -> None:
    """The first file goes to step 3; the second starts again at step 2."""
    write_run(tmp_path / "r", *(event(simple_value("acc", x), step=i) for i, x in enumerate([0, 1, 2, 9])))
    second = [event(simple_value("acc", x), step=i, wall_time=9.0) for i, x in [(2, 3), (3, 4)]]
    write_run(tmp_path / "r", *second, name=file_name(1), wall_time=8.0)
    assert rows_of(tb2csv.best(tmp_path, "acc"), "value", "step") == [(9, 3)]
    assert rows_of(tb2csv.best(tmp_path, "acc", at="last"), "value", "step") == [(4, 3)]
    assert rows_of(tb2csv.best(tmp_path, "acc", at=3), "value", "step") == [(4, 3)]


def test_a_tag_that_changes_its_type_has_one_value(tmp_path: Path) -> None:
    values = [scalar("acc", 5, "float64"), scalar("acc", 1, "int32"), scalar("acc", 3, "float64")]
    write_run(tmp_path / "r", *(event(value, step=step) for step, value in enumerate(values)))
    values = [scalar("acc", 5, "float64"), scalar("acc", 7, "int32")]
    write_run(tmp_path / "s", *(event(value, step=step) for step, value in enumerate(values)))
    assert rows_of(tb2csv.best(tmp_path, "acc", at="last"), "run", "value") == [("s", 7), ("r", 3)]
    assert rows_of(tb2csv.best(tmp_path, "acc"), "run", "value", "step") == [("s", 7, 1), ("r", 5, 0)]


def test_the_duration_is_that_of_all_tags(tmp_path: Path) -> None:
    values = [("loss", 1.0, 100.0), ("acc", 2.0, 105.5), ("loss", 1.0, 130.25)]
    write_run(tmp_path, *(event(simple_value(tag, x), wall_time=time) for tag, x, time in values), wall_time=1.0)
    assert rows_of(tb2csv.best(tmp_path, "acc"), "run", "duration") == [(".", 30.25)]


def test_runs_that_cannot_be_ranked_are_noted(tmp_path: Path) -> None:
    folder = write_log(tmp_path, {"a": [(0, 1.0)], "b": [(1, 1.0)]})
    write_run(tmp_path / "c", event(simple_value("loss", 1)), event(histogram("acc", [[0, 1, 2]])))
    ranking = tb2csv.best(folder, "acc", at=1, goal="max")
    assert rows_of(ranking, "run") == [("b",)]
    notes = {note.kind: (note.count, note.details["runs"]) for note in ranking.notes}
    assert notes == {"runs_without_tag": (1, ("c",)), "runs_without_value": (1, ("a",))}


def test_the_placeholder_of_lightning_is_not_a_value(tmp_path: Path) -> None:
    write_log(tmp_path, {"a": [(0, -1.0), (5, 0.5)], "b": [(0, -1.0)], "c": [(0, -1.0), (3, 0.25)]}, "hp_metric")
    ranking = tb2csv.best(tmp_path, "hp_metric", goal="min")
    assert rows_of(ranking, "run", "value") == [("c", 0.25), ("a", 0.5)]
    assert [note.details["runs"] for note in ranking.notes] == [("b",)]


def test_a_pattern_must_match_one_tag(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(simple_value("val/acc", 1), simple_value("val/loss", 2)))
    write_run(tmp_path / "b", event(simple_value("val/acc", 2), simple_value("val/loss", 1)))
    assert tb2csv.best(tmp_path, "*acc").tag == "val/acc"
    assert rows_of(tb2csv.best(tmp_path, "*ss"), "run") == [("b",), ("a",)]
    with pytest.raises(OptionError, match="several"):
        tb2csv.best(tmp_path, "val/*")


def test_the_goal_of_a_pattern_is_that_of_its_tag(tmp_path: Path) -> None:
    """The pattern has no known word, so the runs are read for the other goal first."""
    write_log(tmp_path, {"a": [(0, 1.0), (1, 5.0)], "b": [(0, 2.0), (1, 3.0)]}, "loss")
    assert rows_of(tb2csv.best(tmp_path, "l*s"), "run", "value") == [("a", 1.0), ("b", 2.0)]


def test_a_tag_whose_name_is_a_pattern_is_found(tmp_path: Path) -> None:
    write_run(tmp_path, event(simple_value("acc[0]", 1), simple_value("acc0", 2)))
    assert tb2csv.best(tmp_path, "acc[0]").table["value"].to_list() == [1]


@pytest.mark.parametrize(
    ("tag", "goal"),
    [
        ("loss", "min"),
        ("val/accuracy", "max"),
        ("Loss/train", "min"),
        ("losses/accuracy", "max"),
        ("accuracy/loss", "min"),
        ("epoch_sparse_categorical_accuracy", "max"),
        ("val_binary_crossentropy", "min"),
        ("valAUC", "max"),
        ("F1Score", "max"),
        ("topAccuracy_1", "max"),
        ("test/R2", "max"),
        ("rollout/ep_rew_mean", "max"),
        ("Perplexity", "min"),
        ("mean_absolute_error", "min"),
        ("accuracy_loss", None),
        ("learning_rate", None),
        ("lossless", None),
        ("glossy", None),
        ("", None),
        ("train/epoch", None),
    ],
)
def test_names_show_the_goal(tag: str, goal: str | None) -> None:
    assert goal_by_name(tag) == goal


def test_a_goal_that_no_name_shows_is_requested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path, {"a": [(0, 1.0)], "b": [(0, 2.0)]}, "width")
    with pytest.raises(OptionError, match=r"goal='max'.*goal='min'"):
        tb2csv.best(tmp_path, "width")
    refused = run_here(capsys, "best", tmp_path, "--by", "width")
    assert (refused.status, "--max" in refused.stderr, "--min" in refused.stderr) == (2, True, True)
    assert run_here(capsys, "best", tmp_path, "--by", "width", "--min").stdout.splitlines()[1].startswith("1,a,")


def test_the_goal_of_a_name_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path, {"a": [(0, 1.0)]})
    (note,) = tb2csv.best(tmp_path, "acc").notes
    assert (note.kind, note.tag, note.details) == ("goal_by_name", "acc", {"goal": "max"})
    assert "--min" in run_here(capsys, "best", tmp_path, "--by", "acc").stderr
    assert tb2csv.best(tmp_path, "acc", goal="max").notes == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"by": "nope"}, NameNotFoundError),
        ({"by": "h"}, OptionError),
        ({"by": "acc", "goal": "highest"}, OptionError),
        ({"by": "acc", "at": "first"}, OptionError),
        ({"by": "acc", "at": "1.5"}, OptionError),
        ({"by": "acc", "at": True}, OptionError),
        ({"by": "acc", "at": 10}, NameNotFoundError),
        ({"by": "acc", "top": 0}, OptionError),
        ({"by": "acc", "run": "nope"}, LogdirError),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception], tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(simple_value("acc", 1), histogram("h", [[0, 1, 2]])))
    with pytest.raises(error):
        tb2csv.best(tmp_path, **options)


def test_runs_are_selected(tmp_path: Path) -> None:
    folder = write_log(tmp_path, {"a/train": [(0, 9.0)], "a/val": [(0, 1.0)], "b/val": [(0, 2.0)]})
    assert rows_of(tb2csv.best(folder, "acc", run="*/val"), "run") == [("b/val",), ("a/val",)]
    assert rows_of(tb2csv.best(folder, "acc", exclude_run="*/val"), "run") == [("a/train",)]


def test_open_frames_have_the_ranking(tmp_path: Path) -> None:
    folder = write_log(tmp_path, {"a": [(0, 1.0)], "b": [(0, 2.0)]})
    expected = tb2csv.best(folder, "acc", at="last").table
    assert tb2csv.open_logdir(folder).best("acc", at="last").equals(expected)
    assert tb2csv.best(tb2csv.open_logdir(folder), "acc", top=1).table["run"].to_list() == ["b"]


def test_damage_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_log(tmp_path, {"a": [(0, 1.0), (1, 2.0), (2, 3.0)], "b": [(0, 1.5)]})
    (path,) = (folder / "a").iterdir()
    data = path.read_bytes()
    path.write_bytes(flip(data, records(data)[-1].payload.start))
    ranking = tb2csv.best(folder, "acc")
    assert rows_of(ranking, "run", "value") == [("a", 2.0), ("b", 1.5)]
    assert len(ranking.report.damage) == 1
    assert run_here(capsys, "best", folder, "--by", "acc").status == 3
    assert run_here(capsys, "best", folder, "--by", "acc", "--strict").status == 1


# The command


def test_the_command_writes_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_log(tmp_path / "log", {"a": [(0, 1.0)], "b": [(7, 2.5)]})
    best = ("best", folder, "--by", "acc", "--quiet")
    rows = parse_rows(run_here(capsys, *best).stdout)
    assert [(row["rank"], row["run"], row["value"], row["step"]) for row in rows] == [
        ("1", "b", "2.5", "7"),
        ("2", "a", "1.0", "0"),
    ]
    assert [row["run"] for row in json.loads(run_here(capsys, *best, "--json").stdout)] == ["b", "a"]
    assert run_here(capsys, *best, "--format", "markdown", "--top", "1").stdout.count("\n") == 3
    assert run_here(capsys, *best, "-o", tmp_path / "best.tex").status == 0
    assert "\\begin{tabular}" in (tmp_path / "best.tex").read_text()


def test_a_terminal_shows_the_best_ten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_log(tmp_path, {f"run_{number:02}": [(0, float(number))] for number in range(14)})
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    shown = run_here(capsys, "best", folder, "--by", "acc").stdout.splitlines()
    assert shown[0].split() == ["rank", "run", "value", "step", "duration"]
    assert [line.split()[1] for line in shown[1:11]] == [f"run_{number:02}" for number in range(13, 3, -1)]
    assert shown[11:] == ["4 more rows: --top 14 shows all"]
    assert len(run_here(capsys, "best", folder, "--by", "acc", "--top", "14").stdout.splitlines()) == 15


@pytest.mark.parametrize("wrong", [("--max", "--min"), ("--at", "sometime"), ("--top", "0")])
def test_wrong_command_lines_are_refused(
    wrong: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_log(tmp_path, {"a": [(0, 1.0)]})
    assert run_here(capsys, "best", folder, "--by", "acc", *wrong).status == 2
