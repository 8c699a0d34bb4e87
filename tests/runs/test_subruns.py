"""Which runs are taken for another's sub-runs: those that the real writers make, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from commands import run_here
from converted import dtypes_of, read_package, read_table
from event_files import (
    Value,
    event,
    hparams_end,
    hparams_experiment,
    hparams_start,
    scalar,
    simple_value,
    tensor,
    tensor_of,
    write_run,
)
from tables import read_index, read_rows, read_tree

import tb2csv
from tb2csv.event_files.event_file import EventFileReader
from tb2csv.layouts.layouts import LAYOUTS
from tb2csv.notes import Note
from tb2csv.runs import run_reader
from tb2csv.runs.subruns import Subrun, find_subruns, notes_on
from tb2csv.sinks.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLES = Path(__file__).parents[2] / "sample_logs"


def found_in(logdir: Path) -> dict[str, Subrun]:
    runs = tb2csv.open_logdir(logdir)._scanned.runs
    return find_subruns({name: [account.series for account in run.stats.series] for name, run in runs.items()})


def test_sub_runs_of_real_writers_are_found() -> None:
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
        ("other/loss_train", ["loss"]),  # not a sub-run
        ("parent/train", ["loss"]),
    ],
)
def test_runs_that_only_look_alike_are_left_alone(run: str, tags: list[str], tmp_path: Path) -> None:
    write_tags(tmp_path / "parent", ["other"])
    write_tags(tmp_path / run, tags)
    assert found_in(tmp_path) == {}


def test_the_root_run_can_be_a_parent(tmp_path: Path) -> None:
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
    details = {"made_by": "add_scalars", "example": "loss_a"}
    assert notes_on(found_in(tmp_path)) == [Note("subruns", ".", count=2, details=details)]


@pytest.mark.parametrize("layout", ["tree", "tags", "wide", "long"])
def test_merged_sub_runs_are_tables_of_their_parents(layout: str, tmp_path: Path) -> None:
    tb2csv.convert(SAMPLES, tmp_path / "apart")
    report = tb2csv.convert(SAMPLES, tmp_path / "merged", layout=layout, merge_subruns=True)
    apart, merged = tb2csv.open_tables(tmp_path / "apart"), tb2csv.open_tables(tmp_path / "merged")
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


def write_folding_together(logdir: Path) -> None:
    """Write a tag of a run, and two sub-runs' tags that become the same one; their types differ, and one's changes."""
    write_run(logdir, event(scalar("loss/train", 0.1, "float64"), simple_value("loss", 0.5), step=0))
    write_run(
        logdir / "loss" / "train",
        event(scalar("loss", 7, "int64"), step=1),
        event(scalar("loss", 0.1, "float64"), step=2),
    )
    write_run(
        logdir / "loss_train", event(simple_value("loss", 0.1), step=3), event(scalar("loss", 8, "int64"), step=4)
    )


#: The rows of ``loss/train`` there, by the type of the value: run, step, value.
FOLDED = {
    "float32": [("loss_train", 3, float(np.float32(0.1)))],
    "float64": [(".", 0, 0.1), ("loss/train", 2, 0.1)],
    "int64": [("loss/train", 1, 7), ("loss_train", 4, 8)],
}


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("layout", ["tree", "tags", "long"])
@pytest.mark.parametrize("is_chosen", [False, True])
def test_types_of_tags_that_become_one_do_not_mix(
    layout: str, format_name: str, *, is_chosen: bool, tmp_path: Path
) -> None:
    write_folding_together(tmp_path / "logs")
    rows = tb2csv.RowSelection(min_step=0) if is_chosen else None
    report = tb2csv.convert(
        tmp_path / "logs", tmp_path / "out", merge_subruns=True, layout=layout, format=format_name, rows=rows
    )
    assert (report.values_read, report.values_written) == (6, 6)
    paths = {row["path"]: row for row in read_index(tmp_path / "out")}
    found = {}
    for path, resource in read_package(tmp_path / "out").items():
        dtypes = dtypes_of(resource)
        names = list(dtypes)
        table = [dict(zip(names, row, strict=True)) for row in read_table(tmp_path / "out", resource)]
        tags = {row.get("tag", paths[path]["tag"]) for row in table}
        if "loss/train" in tags:
            assert dtypes["value"] not in found
            found[dtypes["value"]] = [
                (row["original_run"], row["step"], number_of(row["value"], dtypes["value"]))
                for row in table
                if row.get("tag", "loss/train") == "loss/train"
            ]
    assert found == FOLDED


def number_of(cell: bytes | int, dtype: str) -> float:
    return cell if isinstance(cell, int) else float(np.frombuffer(cell, dtype)[0])


def test_tables_of_tags_that_become_one_are_named_by_their_types(tmp_path: Path) -> None:
    """The first type of the run, in the order in which it is read, has none in its name."""
    write_folding_together(tmp_path / "logs")
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", merge_subruns=True)
    assert {row["path"] for row in read_index(tmp_path / "out")} == {
        "scalars/loss.csv",
        "scalars/loss/train.csv",
        "scalars/loss/train~float32.csv",
        "scalars/loss/train~int64.csv",
    }
    assert {note.details["type"].split()[0] for note in report.notes} == {"float32", "int64"}


def test_columns_of_tags_that_become_one_are_named_by_their_types(tmp_path: Path) -> None:
    write_folding_together(tmp_path / "logs")
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", merge_subruns=True, layout="wide", format="jsonl")
    lines = (tmp_path / "out" / "scalars.jsonl").read_text("utf-8").splitlines()
    names = ("loss/train", "loss/train~int64", "loss/train~float32")
    cells = [[json.loads(line)[name] for name in names] for line in lines]
    assert cells == [[0.1, None, None], [None, 7, None], [0.1, None, None], [None, None, 0.1], [None, 8, None]]


def test_types_of_a_sub_run_if_the_parents_tag_is_not_selected(tmp_path: Path) -> None:
    write_folding_together(tmp_path / "logs")
    only = tb2csv.Selection(tags=("loss",), exclude_runs=("loss/*",))
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", merge_subruns=True, selection=only)
    paths = {row["path"] for row in read_index(tmp_path / "out")}
    assert paths == {"scalars/loss.csv", "scalars/loss/train.csv", "scalars/loss/train~int64.csv"}
    assert (report.values_written, report.values_filtered) == (3, 1)


def broken(tag: str) -> Value:
    return tensor(tag, tensor_of("DT_INT64", (), tensor_content=b"short"), "scalars")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("is_chosen", [False, True])
def test_undecodable_payloads_name_their_run(layout: str, *, is_chosen: bool, tmp_path: Path) -> None:
    """The first are met before anything else of their tags."""
    write_run(tmp_path / "logs", event(broken("loss/train"), step=0), event(scalar("loss/train", 0.5, "float64")))
    write_run(
        tmp_path / "logs" / "loss_train", event(broken("loss"), step=1), event(scalar("loss", 3, "int64"), step=2)
    )
    rows = tb2csv.RowSelection(min_step=0) if is_chosen else None
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", merge_subruns=True, layout=layout, rows=rows)
    assert (report.values_read, report.values_written, report.values_undecodable) == (4, 2, 2)
    (path,) = [row["path"] for row in read_index(tmp_path / "out") if "undecodable" in row["path"]]
    table = read_rows(tmp_path / "out" / path)
    assert list(table[0])[-1] == "original_run"
    assert [(row["original_run"], row["step"]) for row in table] == [(".", "0"), ("loss_train", "1")]


def test_merged_trials_are_rows_of_their_parent(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLES, tmp_path / "apart")
    tb2csv.convert(SAMPLES, tmp_path / "merged", merge_subruns=True)
    apart, merged = (tb2csv.open_tables(tmp_path / name)["hparams.csv"] for name in ("apart", "merged"))
    assert merged.columns[:2] == ["run", "original_run"]
    assert merged["original_run"].equals(apart["run"].alias("original_run"))
    assert merged.drop("run", "original_run").equals(apart.drop("run"))
    parents = dict(merged.select("original_run", "run").rows())
    assert parents["torch/trial_0"] == "torch"
    assert parents["tf2_hparams/session_0"] == "tf2_hparams/session_0"


def test_unmerged_sub_runs_are_reported(tmp_path: Path) -> None:
    report = tb2csv.convert(SAMPLES, tmp_path / "out")
    notes = [note for note in report.notes if note.kind == "subruns"]
    assert len(notes) == 4
    details = {"made_by": "add_hparams", "example": "torch/trial_0"}
    assert tb2csv.Note("subruns", "torch", count=2, details=details) in notes
    merged = tb2csv.convert(SAMPLES, tmp_path / "m", merge_subruns=True)
    assert "subruns" not in {note.kind for note in merged.notes}


def test_rows_are_selected_in_merged_runs(tmp_path: Path) -> None:
    rows = tb2csv.RowSelection(max_step=1)
    tb2csv.convert(SAMPLES, tmp_path / "out", merge_subruns=True, rows=rows, workers=1)
    tb2csv.convert(SAMPLES, tmp_path / "again", merge_subruns=True, rows=rows, workers=4)
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "again")
    table = tb2csv.open_tables(tmp_path / "out").table("torch", "rate/by part/body")
    assert table["step"].to_list() == [0, 1]


def test_a_sub_run_alone_is_merged_into_a_parent_that_is_not_selected(tmp_path: Path) -> None:
    only = tb2csv.Selection(runs=("torch/rate*", "torch"))
    tb2csv.convert(SAMPLES, tmp_path / "out", merge_subruns=True, selection=only)
    index = tb2csv.open_tables(tmp_path / "out").index
    assert set(index["run"]) == {"torch"}


def test_every_read_uses_the_given_chunk_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one for sub-runs, and the one for metrics of trials as well."""
    sizes: list[int] = []

    class Reader(EventFileReader):
        def __init__(self, *args: Any, chunk_size: int, **options: Any) -> None:
            sizes.append(chunk_size)
            super().__init__(*args, chunk_size=chunk_size, **options)

    monkeypatch.setattr(run_reader, "EventFileReader", Reader)
    only = tb2csv.Selection(runs=("torch/trial_0",))
    tb2csv.convert(SAMPLES, tmp_path / "out", selection=only, merge_subruns=True, chunk_size=5000)
    assert sizes == [5000] * 3


def test_the_command_merges_sub_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run_here(capsys, "convert", SAMPLES, tmp_path / "out", "--merge-subruns", "--quiet")
    assert done.status == 3  # a sample is damaged
    assert (tmp_path / "out" / "torch" / "scalars" / "rate" / "by part" / "body.csv").is_file()
