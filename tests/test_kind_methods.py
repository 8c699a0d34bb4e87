"""The methods for kinds of tables, which a log directory and each of its runs have."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from event_files import event, simple_value, write_run
from polars.testing import assert_frame_equal

import tb2csv
from tb2csv.selection import KINDS, SECONDARY_KINDS

SAMPLE_LOGS = Path(__file__).resolve().parent.parent / "sample_logs"

#: Kinds with a table of their own, except the table of trials, which belongs to a log directory.
METHODS = [kind for kind in KINDS if kind not in (*SECONDARY_KINDS, "hparams")]

#: What only a log directory has, and what only a run has.
OF_A_LOG = {"best", "logdir", "path", "refresh", "runs", "trials"}
OF_A_RUN = {"log", "name"}


@pytest.fixture(scope="module")
def log() -> tb2csv.LogdirFrames:
    return tb2csv.open_logdir(SAMPLE_LOGS)


def public_names(frames: object) -> set[str]:
    return {name for name in dir(frames) if not name.startswith("_")}


def test_runs_have_the_names_of_log_directories(log: tb2csv.LogdirFrames) -> None:
    assert public_names(log) - OF_A_LOG == public_names(log["tf2"]) - OF_A_RUN


def test_arguments_are_those_of_log_directories_without_the_run(log: tb2csv.LogdirFrames) -> None:
    for name in public_names(log["tf2"]) - OF_A_RUN - {"report"}:
        of_log = inspect.signature(getattr(log, name)).parameters
        of_run = inspect.signature(getattr(log["tf2"], name)).parameters
        assert list(of_run) == [each for each in of_log if each not in ("run", "exclude_run")], name


@pytest.mark.parametrize("kind", METHODS)
def test_every_kind_has_a_method_with_help(kind: str) -> None:
    for face in (tb2csv.LogdirFrames, tb2csv.RunFrames):
        method = getattr(face, kind)
        assert method.__qualname__ == f"{face.__name__}.{kind}"
        assert method.__doc__.startswith("Return ")


@pytest.mark.parametrize("kind", METHODS)
def test_runs_have_the_rows_that_their_log_directory_has(log: tb2csv.LogdirFrames, kind: str) -> None:
    for run in log.tags(kind=kind)["run"].unique() if kind in log.tags()["kind"] else ():
        of_log = getattr(log, kind)(run)
        assert set(of_log["run"]) == {run}
        assert_frame_equal(getattr(log[run], kind)(), of_log)
        assert_frame_equal(getattr(log[run], kind)(lazy=True).collect(), of_log)


def test_a_run_whose_name_is_a_pattern_is_one_run(tmp_path: Path) -> None:
    write_run(tmp_path / "[ab]", event(simple_value("x", 1.0), step=1))
    write_run(tmp_path / "a", event(simple_value("x", 2.0), step=1))
    run = tb2csv.open_logdir(tmp_path)["[ab]"]
    assert run.scalars()["value"].to_list() == [1.0]
    assert [each.run for each in run.series()] == ["[ab]"]
    assert [each.run for each in run.report.runs] == ["[ab]"]


def test_columns_named_like_those_of_the_log_are_renamed_as_in_the_long_layout(log: tb2csv.LogdirFrames) -> None:
    columns = ["run", "tag", "wall_time", "step", "category", "chart", "type", "custom_scalars:tag", "lower", "upper"]
    frame = log.custom_scalars("torch")
    assert frame.columns == columns
    assert frame["tag"].to_list() == ["custom_scalars__config__"] * 2
    assert frame["custom_scalars:tag"].to_list() == ["loss/.*", "loss/legacy"]
