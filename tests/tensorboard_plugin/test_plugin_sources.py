"""Which event files the Export tab is for, and what their runs are called: as TensorBoard has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from event_files import event, file_name, scalar, write_run
from hypothesis import given
from hypothesis import strategies as st
from plugin_server import Tab, context_of
from tensorboard.backend.event_processing.data_ingester import _parse_event_files_spec
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from tb2csv.errors import LogdirError
from tb2csv.tensorboard_plugin.event_sources import EventSources, parse_logdir_spec

if TYPE_CHECKING:
    from pathlib import Path


def runs_of(sources: EventSources) -> dict[str, str]:
    """Return the folder of each run."""
    return {run.name: os.path.dirname(run.files[0].location) for run in sources.find().logdir.runs}


def multiplexed(folders: dict[str, str | None]) -> dict[str, str]:
    """Return the folder of each run as TensorBoard finds them."""
    multiplexer = EventMultiplexer()
    for path, name in folders.items():
        multiplexer.AddRunsFromDirectory(path, name)
    return dict(multiplexer.RunPaths())


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for name in (".", "a", "a/b", "=odd name, ü"):
        write_run(tmp_path / "logs" / name, event(scalar("loss", 1)))
    for name in (".", "c", "a"):
        write_run(tmp_path / "more" / name, event(scalar("loss", 1)))
    return tmp_path


def test_runs_of_a_logdir_equal_tensorboards(logs: Path) -> None:
    sources = EventSources(context_of(logs / "logs"))
    assert runs_of(sources) == multiplexed({str(logs / "logs"): None})


@pytest.mark.parametrize(
    "spec",
    [
        "{0}/logs",
        "x:{0}/logs",
        "x:{0}/logs,y:{0}/more",
        "x:{0}/logs,{0}/more",
        "{0}/logs,{0}/more",
        "x:{0}/logs,y:{0}/logs",
        "x:{0}/logs,x:{0}/more",
        "x:{0}/logs,y:{0}/nowhere",
        "x/y:{0}/logs/,z:{0}/logs/../more",
    ],
)
def test_runs_of_a_logdir_spec_equal_tensorboards(logs: Path, spec: str) -> None:
    spec = spec.format(logs)
    assert runs_of(EventSources(context_of(spec=spec))) == multiplexed(_parse_event_files_spec(spec))


PARTS = ["a", "b", ":", "/", ",", "~", "file://", "s3://", "C:\\", ".", " "]


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_a_logdir_spec_is_read_as_tensorboard_reads_it(spec: str) -> None:
    assert [(folder.path, folder.name) for folder in parse_logdir_spec(spec)] == [
        (path, name or None) for path, name in _parse_event_files_spec(spec).items()
    ]


def test_relative_paths_ignore_a_later_chdir(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(logs)
    by_logdir, by_spec = EventSources(context_of("logs")), EventSources(context_of(spec="x:logs"))
    monkeypatch.chdir("/")
    assert set(runs_of(by_logdir)) == {".", "a", "a/b", "=odd name, ü"}
    assert set(runs_of(by_spec)) == {"x/.", "x/a", "x/a/b", "x/=odd name, ü"}


def test_a_home_folder_in_logdir_is_expanded(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(logs))
    assert "a/b" in runs_of(EventSources(context_of("~/logs")))


def test_tensorboards_list_of_runs_is_used_if_there_is_no_folder(logs: Path) -> None:
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logs / "logs"), "x")
    sources = EventSources(context_of(multiplexer=multiplexer))
    assert not sources.is_empty
    assert runs_of(sources) == dict(multiplexer.RunPaths())


def test_circular_links_add_no_runs(logs: Path) -> None:
    (logs / "logs" / "a" / "loop").symlink_to("..")
    assert set(runs_of(EventSources(context_of(logs / "logs")))) == {".", "a", "a/b", "=odd name, ü"}


def test_a_folder_without_event_files_is_noted_and_all_of_them_refused(logs: Path) -> None:
    found = EventSources(context_of(spec=f"x:{logs}/logs,y:{logs}/nowhere")).find()
    assert found.notes == ["There are no event files in the folder 'y'."]
    with pytest.raises(LogdirError, match="no event files"):
        EventSources(context_of(spec=f"y:{logs}/nowhere")).find()


def test_the_tab_of_several_folders_exports_them_under_their_names(logs: Path) -> None:
    (logs / "more" / "c" / file_name(1)).write_bytes(b"damaged")
    tab = Tab(context_of(spec=f"x:{logs}/logs,y:{logs}/more"))
    index = tab.index()
    assert index["runs"] == ["x/.", "x/=odd name, ü", "x/a", "x/a/b", "y/.", "y/a", "y/c"]
    files = tab.archive()
    assert {path for path in files if path.endswith("/loss.csv")} == {
        f"{run}/scalars/loss.csv" for run in ("x/%2E", "x/%3Dodd name, ü", "x/a", "x/a/b", "y/%2E", "y/a", "y/c")
    }
    assert str(logs) not in files["datapackage.json"].decode()
    command = tab.post("plan", {"runs": ["x/.", "x/a", "y/c"]}).json["command"]
    assert command.splitlines() == [
        "# TensorBoard has names of its own for these folders, so each has a command.",
        f"tb2csv convert {logs}/logs tensorboard-tables/x --run . --run a --escape-formulas",
        f"tb2csv convert {logs}/more tensorboard-tables/y --run c --escape-formulas",
    ]
    tab.close()


def test_messages_name_folders_without_their_paths() -> None:
    sources = EventSources(context_of("/secret/place"))
    with pytest.raises(LogdirError) as error:
        sources.find()
    assert sources.hide_paths(str(error.value)) == (
        "There is no folder LOGDIR; give the folder with the TensorBoard logs."
    )
