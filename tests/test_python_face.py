"""The functions of tb2csv: what they take, what they return, and the errors that they raise."""

from __future__ import annotations

import copy
import io
import os
import pickle
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import typed_client
from event_files import event, simple_value, text, write_run

import tb2csv
import tb2csv.model_state
from tb2csv.cli import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    write_run(folder / "a", *(event(simple_value("loss", float(step)), step=step) for step in (1, 2, 2)))
    write_run(folder / "b", *(event(simple_value("loss", 10.0 + step), step=step) for step in (2, 3)))
    write_run(folder / "c", event(simple_value("acc", 0.5), step=1), event(text("notes", [b"hello"]), step=1))
    return folder


SOURCES: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "path": lambda folder: folder,
    "logdir": tb2csv.discover,
    "frames": tb2csv.open_logdir,
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_function_takes_a_path_a_logdir_or_frames(source: str, logs: Path, tmp_path: Path) -> None:
    given = SOURCES[source](logs)
    assert [(each.run, each.points) for each in tb2csv.ls(given, tag="loss").series] == [("a", 3), ("b", 2)]
    assert tb2csv.check(given, run="a").values_read == 3
    assert tb2csv.convert(given, tmp_path / "out", run=["a", "b"], exclude_run="b").values_written == 3
    assert tb2csv.summary(given, tag="acc").table["last"].to_list() == [0.5]
    assert tb2csv.reduce(given, tmp_path / "mean", by="*", run="b").values_written == 2
    assert tb2csv.plot(given, tmp_path / "x.svg", run="a", tag="loss").values == 3
    assert tb2csv.hparams(given).table.is_empty()
    assert tb2csv.diagnose(given, tag="loss").findings["run"].to_list() == []
    with pytest.raises(tb2csv.LogdirError, match="layer errors"):
        tb2csv.layer_errors(given)


def test_home_folders_are_expanded(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(logs)
    assert tb2csv.open_logdir("~/logs").runs == ["a", "b", "c"]
    tb2csv.convert("~/logs", "~/out")
    assert len(tb2csv.open_tables("~/out")) == 4
    assert (tmp_path / "out" / "index.csv").exists()
    assert sorted(os.listdir(logs)) == ["a", "b", "c"]


def test_a_string_is_one_pattern() -> None:
    assert tb2csv.Selection(tags="loss") == tb2csv.Selection(tags=["loss"])
    assert tb2csv.Selection(tags="loss").includes_tag("loss")
    assert not tb2csv.Selection(tags="loss").includes_tag("l")


def test_arguments_go_with_a_selection_that_leaves_them_open(logs: Path) -> None:
    chosen = tb2csv.Selection(tags="loss")
    assert {each.run for each in tb2csv.ls(logs, run="b", selection=chosen).series} == {"b"}
    with pytest.raises(tb2csv.OptionError):
        tb2csv.ls(logs, tag="acc", selection=chosen)
    with pytest.raises(tb2csv.OptionError):
        tb2csv.ls(logs, kind="scalar")


@pytest.mark.parametrize("argument", ["run", "tag", "kind"])
def test_an_empty_list_does_not_select_everything(argument: str, logs: Path) -> None:
    for empty in ([], (), iter(())):
        with pytest.raises(tb2csv.OptionError, match=argument):
            tb2csv.ls(logs, **{argument: empty})  # type: ignore[arg-type]
    assert len(tb2csv.ls(logs, exclude_run=[], exclude_tag=()).series) == 4
    with pytest.raises(tb2csv.OptionError):
        tb2csv.open_logdir(logs).scalars(run=[])


@pytest.mark.parametrize("given", [1, re.compile("loss"), ["loss", 2]])
def test_patterns_that_are_not_text_are_refused(given: Any, logs: Path) -> None:
    with pytest.raises(tb2csv.OptionError):
        tb2csv.ls(logs, tag=given)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda logs: tb2csv.convert(logs, logs.parent / "out", rows={"every": 2}), "give a RowSelection"),
        (lambda logs: tb2csv.open_logdir(logs).scalars(rows="last"), "give a RowSelection"),
        (lambda logs: tb2csv.open_logdir(logs)["a"].table("loss", rows=5), "give a RowSelection"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", tag="loss", rows=5), "give a RowSelection"),
        (lambda logs: next(tb2csv.follow(logs, rows=5)), "give a RowSelection"),
        (lambda _: tb2csv.RowSelection(every=1.5), "every is 1.5; it must be a whole number"),
        (lambda _: tb2csv.RowSelection(min_step="5"), "min_step is '5'; it must be a whole number"),
        (lambda logs: tb2csv.ls(logs, selection="loss"), "give a Selection"),
        (lambda logs: tb2csv.convert(logs, io.StringIO(), tag="loss"), "open it for bytes"),
        (lambda logs: tb2csv.convert(logs, None, tag="loss"), "None is not an output; give a path"),
        (lambda logs: tb2csv.convert(logs, logs.parent / "out", workers="2"), "workers is '2'; give a whole number"),
        (lambda logs: tb2csv.open_logdir(logs)[0], "does not have a run 0"),
        (lambda logs: tb2csv.repair(logs, 5), "5 is not a path; give text or a Path"),
        (lambda logs: tb2csv.reduce(logs, b"out", by="*"), "b'out' is not a path"),
        (lambda logs: tb2csv.reduce(logs, logs.parent / "out", by=5), "by is 5; give a pattern of runs"),
        (lambda logs: tb2csv.reduce(logs, logs.parent / "out", by="*", align=5), "align is 5; give bin:N"),
        (lambda logs: tb2csv.open_logdir(logs).sql(5), "query is 5; give a SELECT statement as text"),
        (lambda logs: tb2csv.sql(logs, ["select 1"]), "query is ['select 1']; give a SELECT statement"),
        (lambda logs: tb2csv.plot(logs, 5), "out is 5; give the path of a file"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", width="a"), "width is 'a'; give a number from 1 to 200"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", title=5), "title is 5; give text"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", smooth="a"), "smooth is 'a'; give a number"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", ylim=5), "ylim is 5; give two numbers"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", ylim="01"), "ylim is '01'; give two numbers"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", kind=["text"]), "kind is ['text']; give the name"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", style=[1]), "style is [1]; give the name"),
        (lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", theme=[1]), "Unknown theme [1]"),
        (lambda logs: tb2csv.best(logs, by=5), "by is 5; give a tag"),
        (lambda logs: tb2csv.best(logs, by="loss", top="3"), "top is '3'; give a number of rows"),
        (lambda logs: tb2csv.best(logs, by="loss", at=[1]), "[1]"),
        (lambda logs: tb2csv.convert(logs, logs.parent / "out", layout=["long"]), "Unknown layout ['long']"),
        (lambda logs: tb2csv.convert(logs, logs.parent / "out", format=["csv"]), "format is ['csv']; give the name"),
        (lambda logs: tb2csv.convert(logs, logs.parent / "out", time=5), "time is 5; give the names of time columns"),
        (lambda logs: tb2csv.convert(logs, logs.parent / "out", layout="compare", align=5), "align is 5; give bin:N"),
        (lambda logs: tb2csv.diagnose(logs, thresholds=[1]), "thresholds is [1]; give a dictionary"),
        (lambda logs: tb2csv.diagnose(logs, families=[5]), "families is 5; give texts"),
        (lambda logs: tb2csv.diagnose(logs, families=5), "families is 5; give texts"),
        (lambda logs: tb2csv.diagnose(logs, steps="3"), "steps is '3'; give a whole number"),
        (
            lambda logs: tb2csv.diagnose(logs, thresholds={"plateau_loss": "a"}),
            "plateau_loss is 'a'; give a number",
        ),
        (lambda logs: next(tb2csv.follow(logs, diagnose=True, families=5)), "families is 5; give texts"),
        (lambda logs: next(tb2csv.follow(logs, diagnose=True, thresholds=[1])), "thresholds is [1]; give a dict"),
        (lambda logs: tb2csv.reduce(logs, logs.parent / "out", by="*", band=[1]), "Unknown band [1]"),
        (lambda logs: tb2csv.discover(logs, max_expansion="a"), "max_expansion is 'a'; give a whole number from 1"),
        (lambda logs: tb2csv.open_logdir(logs).wide("a", on_duplicate=[1]), "Unknown value for duplicate steps [1]"),
        (lambda logs: tb2csv.open_logdir(logs)["a"].table(5), "The name is 5; give text"),
        (lambda logs: tb2csv.open_logdir(logs).trials("a"), "selection is 'a'; give a Selection"),
        (lambda _: tb2csv.table_text({"a": [1]}), "table is {'a': [1]}; give a polars DataFrame"),
        (
            lambda logs: tb2csv.convert(logs, logs.parent / "out", chunk_size="a"),
            "chunk_size is 'a'; give a whole number",
        ),
        (lambda logs: tb2csv.best(logs, by="loss", chunk_size=-3), "chunk_size is -3; give a whole number from 1"),
        (lambda logs: tb2csv.repair(logs, logs.parent / "out", chunk_size=1.5), "chunk_size is 1.5; give a whole"),
        (
            lambda logs: tb2csv.convert(logs, logs.parent / "out", escape_formulas="n"),
            "escape_formulas is 'n'; give True",
        ),
        *(
            (call, "overwrite is 'no'; give True or False")
            for call in (
                lambda logs: tb2csv.convert(logs, logs.parent / "out", overwrite="no"),
                lambda logs: tb2csv.convert(logs, logs.parent / "out.csv", overwrite="no"),
                lambda logs: tb2csv.reduce(logs, logs.parent / "out", by="*", overwrite="no"),
                lambda logs: tb2csv.repair(logs, logs.parent / "out", overwrite="no"),
                lambda logs: tb2csv.plot(logs, logs.parent / "x.svg", tag="loss", overwrite="no"),
                lambda logs: next(tb2csv.follow(logs, logs.parent / "out", overwrite="no")),
            )
        ),
        (lambda logs: tb2csv.convert(logs, logs.parent / "out", progress=5), "progress is 5; give a function"),
        (lambda logs: tb2csv.ls(logs, progress=None), "progress is None; give a function"),
        (lambda logs: tb2csv.summary(logs, curve_points=-3), "curve_points is -3; give a whole number from 0"),
        (lambda logs: tb2csv.summary(logs, curve_points="a"), "curve_points is 'a'; give a whole number"),
    ],
)
def test_arguments_of_other_types_are_refused(call: Callable[[Path], Any], words: str, logs: Path) -> None:
    with pytest.raises(tb2csv.Tb2csvError, match=re.escape(words)):
        call(logs)
    assert {path.name for path in logs.parent.iterdir()} == {"logs"}, "nothing is written"


def test_numbers_of_numpy_select_rows_as_those_of_python(logs: Path) -> None:
    rows = tb2csv.RowSelection(min_step=np.int64(2), every=np.int32(1))
    assert tb2csv.open_logdir(logs).scalars(run="a", rows=rows)["step"].to_list() == [2, 2]


def test_listed_series_are_frozen_and_make_a_frame(logs: Path) -> None:
    listing = tb2csv.ls(logs)
    with pytest.raises(FrozenInstanceError):
        listing.series[0].points = 0  # type: ignore[misc]
    assert listing.table.select("run", "tag", "kind", "points", "first_step", "last_step").rows() == [
        ("a", "loss", "scalars", 3, 1, 2),
        ("b", "loss", "scalars", 2, 2, 3),
        ("c", "acc", "scalars", 1, 1, 1),
        ("c", "notes", "text", 1, 1, 1),
    ]
    assert tb2csv.open_logdir(logs).series() == listing.series


def test_wide_frames_have_runs_side_by_side(logs: Path) -> None:
    log = tb2csv.open_logdir(logs)
    expected = {"step": [1, 2, 3], "a": [1.0, 2.0, None], "b": [None, 12.0, 13.0]}
    assert log.wide(tag="loss").to_dict(as_series=False) == expected
    assert log["c"].wide().columns == ["step", "c"]
    assert log.wide(run=["a", "c"]).columns == ["step", "a: loss", "c: acc"]
    with pytest.raises(tb2csv.Tb2csvError, match="step 2"):
        log.wide(tag="loss", on_duplicate="error")
    with pytest.raises(tb2csv.OptionError):
        log.wide(tag="loss", on_duplicate="mean")


def test_wide_frames_keep_the_requested_value_of_a_step(tmp_path: Path) -> None:
    write_run(tmp_path / "r", *(event(simple_value("x", value), step=7) for value in (1.0, 2.0)))
    log = tb2csv.open_logdir(tmp_path)
    assert log.wide()["r"].to_list() == [2.0]
    assert log.wide(on_duplicate="first")["r"].to_list() == [1.0]


def test_a_run_named_like_a_column_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "step", event(simple_value("x", 1.0), step=7))
    with pytest.raises(tb2csv.Tb2csvError, match="'step'"):
        tb2csv.open_logdir(tmp_path).wide()


def test_a_run_is_a_name_and_not_a_pattern(logs: Path, tmp_path: Path) -> None:
    log = tb2csv.open_logdir(logs)
    assert log["a"].scalars("loss")["value"].to_list() == [1.0, 2.0, 2.0]
    assert log["c"].text().select("tag", "text").rows() == [("notes", "hello")]
    with pytest.raises(tb2csv.NameNotFoundError) as caught:
        log["*"]
    assert isinstance(caught.value, KeyError)
    assert not str(caught.value).startswith('"')


def test_opened_tables_are_a_mapping(logs: Path, tmp_path: Path) -> None:
    tb2csv.convert(logs, tmp_path / "out")
    tables = tb2csv.open_tables(tmp_path / "out")
    assert "a/scalars/loss.csv" in list(tables.keys())
    assert all(isinstance(table, pl.DataFrame) for table in tables.values())
    assert tables.get("nothing.csv") is None
    with pytest.raises(tb2csv.NameNotFoundError):
        tables["nothing.csv"]


def test_a_missing_log_directory_is_a_file_that_is_not_found(tmp_path: Path) -> None:
    for function in (tb2csv.discover, tb2csv.open_logdir, tb2csv.ls, tb2csv.check, tb2csv.summary):
        with pytest.raises(FileNotFoundError) as caught:
            function(tmp_path / "nothing")
        assert isinstance(caught.value, tb2csv.LogdirError)


def test_a_missing_extra_has_the_command_that_installs_it() -> None:
    error = tb2csv.MissingExtraError("Plotting", "matplotlib", "plot")
    assert isinstance(error, ImportError)
    for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert "[plot]" in str(each)


HOSTILE = "<script>\x1b[2Jloss"


def results(folder: Path) -> dict[str, object]:
    """Return an object of each class that a function returns, made from a log whose names are hostile text."""
    logs = folder / "logs"
    write_run(logs / "<b>r", *(event(simple_value(HOSTILE, float(step)), step=step) for step in (1, 2)))
    write_run(logs / "<b>s", event(simple_value(f"gradients/{HOSTILE}", float("nan")), step=1))
    log = tb2csv.open_logdir(logs)
    report = tb2csv.convert(logs, folder / "<b>out")
    report.shared_notes.append(tb2csv.Note("restarted", HOSTILE, count=2))
    np.savez(folder / "model.npz", **{"<b>w": np.ones(2)})
    return {
        "log": log,
        "run": log["<b>r"],
        "logdir": tb2csv.discover(logs),
        "report": report,
        "report of a run": report.runs[0],
        "listing": tb2csv.ls(logs),
        "summary": tb2csv.summary(logs),
        "trials": tb2csv.hparams(logs),
        "diagnosis": tb2csv.diagnose(logs),
        "plot": tb2csv.plot(logs, folder / "x.svg"),
        "reduction": tb2csv.reduce(logs, folder / "mean", by="*"),
        "tables": tb2csv.open_tables(folder / "<b>out"),
        "state": tb2csv.model_state.state_of(folder / "model.npz"),
    }


@pytest.mark.slow
def test_html_of_results_escapes_hostile_names(tmp_path: Path) -> None:
    for name, result in results(tmp_path).items():
        page = result._repr_html_()  # type: ignore[attr-defined]
        assert "<script>" not in page, name
        assert "<b>" not in page, name
        assert page.startswith("<p>&lt;"), name
    assert "&lt;script&gt;" in results(tmp_path / "again")["report"]._repr_html_()  # type: ignore[attr-defined]


def test_text_of_results_has_a_title_and_no_control_characters_of_names(tmp_path: Path) -> None:
    shown = {name: str(result).splitlines() for name, result in results(tmp_path).items()}
    assert shown["log"] == [f"<LogdirFrames {str(tmp_path / 'logs')!r}: 2 runs, 2 tags, 3 values>"]
    assert shown["run"][0].startswith("<RunFrames '<b>r' of ")
    assert shown["logdir"] == [f"<Logdir {str(tmp_path / 'logs')!r}: 2 runs, 2 event files>"]
    assert shown["report"] == [
        "<Report: 3 values of 2 runs read, 3 written to 2 tables, 0 damaged places>",
        "- run '<script>\\x1b[2Jloss' has 2 sessions, as after a restart; see restarts and sessions",
    ]
    assert shown["report of a run"] == ["<RunReport of '<b>r': 2 values read, 2 written to 1 table>"]
    assert shown["plot"][0] == "<Plot: scalars drawn as curves, 2 tags of 2 runs, 3 values>"
    assert shown["state"] == ["<ModelState of numpy: 1 tensor, 2 elements>", "- <b>w: float64 [2]"]
    assert all(lines[0].startswith("<") for lines in shown.values())


def test_long_lists_of_results_are_cut(tmp_path: Path) -> None:
    write_run(tmp_path, event(simple_value("x", 1.0), step=1))
    report = tb2csv.check(tmp_path)
    report.shared_notes += [tb2csv.Note("restarted", f"run {number}", count=2) for number in range(1, 13)]
    assert str(report).splitlines()[-2].startswith("- run 'run 10' has 2 sessions")
    assert str(report).splitlines()[-1] == "- and 2 more"
    assert "</li><li>and 2 more</li>" in report._repr_html_()  # type: ignore[attr-defined]


def test_program_whose_types_mypy_checks_runs(logs: Path, tmp_path: Path) -> None:
    """``make lint`` checks its types; here it shows that the calls are right as well."""
    typed_client.main(logs, tmp_path)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "state"])
def test_every_command_has_a_function_of_its_name(command: str) -> None:
    name = command.replace("-", "_")
    assert getattr(tb2csv, name).__name__ == name


@pytest.mark.parametrize(
    ("earlier", "name"),
    [("list_series", "ls"), ("summarize", "summary"), ("reduce_runs", "reduce"), ("read_csv_tables", "open_tables")],
)
def test_earlier_names_warn(earlier: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=name):
        assert getattr(tb2csv, earlier) is getattr(tb2csv, name)


@pytest.mark.slow
def test_dir_and_help_show_public_names_without_frameworks() -> None:
    code = (
        "import sys, tb2csv; help(tb2csv);"
        "print(sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules)), dir(tb2csv))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shown = done.stdout.splitlines()[-1]
    assert shown == f"[] {sorted([*tb2csv.__all__, 'model_state', 'types'])}"
    assert "_RENAMED" not in done.stdout
