"""Which runs are taken for another's sub-runs: those that the real writers make, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from commands import run_here
from event_files import event, hparams_end, hparams_experiment, hparams_start, simple_value, write_run
from tables import read_tree

import tb2csv
from tb2csv.runs.subruns import Subrun, find_subruns, notes_on

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLES = Path(__file__).parents[1] / "sample_logs"


def found_in(logdir: Path) -> dict[str, Subrun]:
    series = [account.series for account in tb2csv.open_logdir(logdir).series()]
    runs = dict.fromkeys(each.run for each in series)
    return find_subruns({run: [each for each in series if each.run == run] for run in runs})


def test_those_of_real_writers_are_found() -> None:
    found = found_in(SAMPLES)
    assert {(each.run, each.parent, each.name, each.made_by) for each in found.values()} == {
        ("tensorboardx/rate/by part/body", "tensorboardx", "body", "add_scalars"),
        ("tensorboardx/rate/by part/head/bias", "tensorboardx", "head/bias", "add_scalars"),
        ("tensorboardx/trial_0", "tensorboardx", "trial_0", "add_hparams"),
        ("tensorboardx/trial_1", "tensorboardx", "trial_1", "add_hparams"),
        ("torch/rate_by part_body", "torch", "body", "add_scalars"),
        ("torch/rate_by part_head/bias", "torch", "head/bias", "add_scalars"),
        ("torch/trial_0", "torch", "trial_0", "add_hparams"),
        ("torch/trial_1", "torch", "trial_1", "add_hparams"),
    }


def write_tags(folder: Path, tags: Iterable[str]) -> None:
    write_run(folder, event(*(simple_value(tag, 1.0) for tag in tags), step=0))


@pytest.mark.parametrize(
    ("run", "tags"),
    [
        ("parent/loss_train", ["loss", "accuracy"]),  # a writer of its own would have many tags
        ("parent/lossy", ["loss"]),
        ("parent/loss_", ["loss"]),
        ("parent/loss", ["loss"]),
        ("other/loss_train", ["loss"]),  # nobody's
        ("parent/train", ["loss"]),
    ],
)
def test_runs_that_only_look_alike_are_left_alone(run: str, tags: list[str], tmp_path: Path) -> None:
    write_tags(tmp_path / "parent", ["other"])
    write_tags(tmp_path / run, tags)
    assert found_in(tmp_path) == {}


def test_the_root_can_be_the_parent(tmp_path: Path) -> None:
    write_tags(tmp_path, ["other"])
    write_tags(tmp_path / "loss_a" / "b", ["loss"])
    assert found_in(tmp_path) == {"loss_a/b": Subrun("loss_a/b", ".", "a/b", "add_scalars")}


def test_sessions_of_tensorflow_are_runs_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path, event(hparams_experiment(["rate"], ["accuracy"])))
    write_run(tmp_path / "session", event(hparams_start({"rate": 0.1})), event(hparams_end()))
    assert found_in(tmp_path) == {}


def test_a_note_names_the_parent_and_an_example(tmp_path: Path) -> None:
    write_tags(tmp_path, ["other"])
    for name in "ab":
        write_tags(tmp_path / f"loss_{name}", ["loss"])
    (note,) = notes_on(found_in(tmp_path))
    assert "run '.' has 2 runs below it that add_scalars seems to have made" in note
    assert "'loss_a'" in note


@pytest.mark.parametrize("layout", ["tree", "tags", "wide", "long"])
def test_merged_sub_runs_are_tables_of_their_parents(layout: str, tmp_path: Path) -> None:
    tb2csv.convert(SAMPLES, tmp_path / "apart")
    report = tb2csv.convert(SAMPLES, tmp_path / "merged", layout=layout, merge_subruns=True)
    apart, merged = tb2csv.read_csv_tables(tmp_path / "apart"), tb2csv.read_csv_tables(tmp_path / "merged")
    expected = apart.table("torch/rate_by part_body", "rate/by part")
    if layout == "tree":
        table = merged.table("torch", "rate/by part/body")
    elif layout == "tags":
        table = merged["scalars/rate/by part/body.csv"]
        assert table["run"].unique().to_list() == ["torch"]
    elif layout == "long":
        table = merged["scalars.csv"].filter(pl.col("tag") == "rate/by part/body", pl.col("run") == "torch")
    else:
        wide = merged["torch/scalars.csv"]
        assert wide.drop_nulls("rate/by part/body")["rate/by part/body"].to_list() == expected["value"].to_list()
        assert wide["rate/by part/head/bias"].is_not_null().any()
        return
    assert table.select(expected.columns).equals(expected)
    assert table["original_run"].unique().to_list() == ["torch/rate_by part_body"]
    assert table.columns[-1] == "original_run"
    assert report.values_read == report.values_written


def test_merged_trials_are_rows_of_their_parent(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLES, tmp_path / "apart")
    tb2csv.convert(SAMPLES, tmp_path / "merged", merge_subruns=True)
    apart, merged = (tb2csv.read_csv_tables(tmp_path / name)["hparams.csv"] for name in ("apart", "merged"))
    assert merged.columns[:2] == ["run", "original_run"]
    assert merged["original_run"].equals(apart["run"].alias("original_run"))
    assert merged.drop("run", "original_run").equals(apart.drop("run"))
    parents = dict(merged.select("original_run", "run").rows())
    assert parents["torch/trial_0"] == "torch"
    assert parents["tf2_hparams/session_0"] == "tf2_hparams/session_0"


def test_sub_runs_are_reported_where_they_are_not_merged(tmp_path: Path) -> None:
    report = tb2csv.convert(SAMPLES, tmp_path / "out")
    notes = [note for note in report.notes if "--merge-subruns" in note]
    assert len(notes) == 4
    assert any("run 'torch' has 2 runs below it that add_hparams" in note for note in notes)
    assert not [note for note in tb2csv.convert(SAMPLES, tmp_path / "m", merge_subruns=True).notes if "merge" in note]


def test_rows_are_chosen_in_merged_runs_as_well(tmp_path: Path) -> None:
    rows = tb2csv.RowSelection(max_step=1)
    tb2csv.convert(SAMPLES, tmp_path / "out", merge_subruns=True, rows=rows, workers=1)
    tb2csv.convert(SAMPLES, tmp_path / "again", merge_subruns=True, rows=rows, workers=4)
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "again")
    table = tb2csv.read_csv_tables(tmp_path / "out").table("torch", "rate/by part/body")
    assert table["step"].to_list() == [0, 1]


def test_a_sub_run_alone_is_folded_into_a_parent_that_was_not_asked_for(tmp_path: Path) -> None:
    only = tb2csv.Selection(runs=("torch/rate*", "torch"))
    tb2csv.convert(SAMPLES, tmp_path / "out", merge_subruns=True, selection=only)
    index = tb2csv.read_csv_tables(tmp_path / "out").index
    assert set(index["run"]) == {"torch"}


def test_the_command_merges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run_here(capsys, "convert", SAMPLES, tmp_path / "out", "--merge-subruns", "--quiet")
    assert done.status == 3  # a sample is damaged
    assert (tmp_path / "out" / "torch" / "scalars" / "rate" / "by part" / "body.csv").is_file()
