"""Series and their ids, in every reader of a run."""

from __future__ import annotations

import ast
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from event_files import Value, event, scalar, simple_value, tensor, tensor_of, write_run

import tb2csv
from tb2csv.decoders import DecodeOptions
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.logdir import discover
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.filtered_run import FilteredRun
from tb2csv.runs.merged_runs import MergedRun
from tb2csv.runs.row_selection import RowSelection
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.scanned_run import ScannedRun
from tb2csv.runs.series_registry import SeriesRegistry
from tb2csv.runs.subruns import Subrun
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from tb2csv.runs.series_reader import SeriesReader

PACKAGE = Path(tb2csv.__file__).parent
#: The modules that know a series by its id.
BY_ID = ("runs", "layouts", "analysis", "tensorboard_plugin", "dataframes.py", "series_listing.py", "conversion.py")


def bad_vector(tag: str) -> Value:
    """Return two float32 of which only one is there."""
    return Value(tag=tag, tensor=tensor_of("DT_FLOAT", (2,), tensor_content=bytes(4)))


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Write a run with a tag of two types, and a sub-run whose tag becomes the same as one of the run's."""
    write_run(
        tmp_path / "run",
        event(simple_value("loss/train", 1.0), simple_value("other", 1.0), step=1),
        event(tensor("other", np.zeros(2, np.float32)), bad_vector("other"), step=2),
        event(simple_value("other", 3.0), step=3),
    )
    write_run(
        tmp_path / "run" / "loss_train",
        event(scalar("loss", 1.0, "float64"), step=4),
        event(simple_value("loss", 2.0), step=5),
        event(bad_vector("loss"), step=6),
    )
    return tmp_path


def readers(logdir: Path) -> dict[str, SeriesReader]:
    """Return each reader of the run ``run``, and the reader that merges its sub-run into it."""
    own, below = discover(logdir).runs
    selected = functools.partial(RunReader, selection=Selection(exclude_tags=("nothing",)))
    scanned = ScannedRun(own, new_reader=selected)
    registry = SeriesRegistry()
    subrun = Subrun(below.name, own.name, "train", "add_scalars")
    parts = [RunReader(own, registry=registry), RunReader(below, registry=registry, subrun=subrun)]
    return {
        "all": RunReader(own),
        "filtered": FilteredRun(scanned, RowSelection(min_step=2), lambda _: None),
        "merged": MergedRun(own.name, parts, registry),
    }


@pytest.mark.parametrize("name", ["all", "filtered", "merged"])
def test_ids_are_unique_and_lead_to_stats(name: str, logdir: Path) -> None:
    reader = readers(logdir)[name]
    decoded = list(reader.decode(with_contents=True))
    series = [stats.series for stats in reader.stats.series]
    assert [each.id for each in series] == list(range(len(series)))
    assert len(set(series)) == len(series)
    yielded = [
        each for item in decoded for each in ([item.series] if isinstance(item, UndecodableValue) else item.series)
    ]
    assert set(yielded) <= set(series)
    for each in yielded:
        assert reader.stats_of(each).series == each


def test_series_of_merged_runs_keep_their_variants(logdir: Path) -> None:
    """Each has its variant when the first of its rows comes, and the same one afterwards."""
    reader = readers(logdir)["merged"]
    found = {}
    for item in reader.decode():
        for each in [item.series] if isinstance(item, UndecodableValue) else item.series:
            assert found.setdefault(each.id, each) is each
    assert [(each.tag, each.kind, each.variant != "") for each in found.values()] == [
        ("loss/train", "scalars", False),
        ("other", "scalars", False),
        ("other", "tensors", False),
        ("loss/train", "scalars", True),
        ("loss/train", "scalars", False),
        ("loss/train", "tensors", False),
    ]


def test_undecodable_values_of_merged_runs_name_the_run_that_they_were_written_to(logdir: Path) -> None:
    undecodable = [item for item in readers(logdir)["merged"].decode() if isinstance(item, UndecodableValue)]
    assert [(each.series.run, each.series.tag, each.original_run) for each in undecodable] == [
        ("run", "other", "run"),
        ("run", "loss/train", "run/loss_train"),
    ]


def test_a_series_cannot_be_changed(logdir: Path) -> None:
    reader = RunReader(discover(logdir).runs[0])
    reader.count()
    series = reader.stats.series[0].series
    with pytest.raises(AttributeError):
        series.variant = "other"


def test_selected_rows_of_frames_do_not_change_the_report(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    before = frames.report.to_json()
    frames.scalars(rows=RowSelection(last=True))
    assert frames.report.to_json() == before


@pytest.mark.parametrize("part", BY_ID)
def test_no_object_is_identified_by_its_id(part: str) -> None:
    path = PACKAGE / part
    for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        calls = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
        assert not [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "id"], module
