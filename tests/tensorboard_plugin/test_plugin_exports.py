"""Exports from the tab: the same bytes as the command line's, whatever the client does."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest
from commands import run_here
from event_files import audio, event, hparams_start, image, scalar, tensor, tensor_of, text, write_run
from hostile_names import HOSTILE_NAMES
from plugin_server import API, Tab, context_of, files_of_folder, files_of_zip, tensorboard_here

from tb2csv import convert
from tb2csv.sinks.zip_stream import stream_zip
from tb2csv.tensorboard_plugin import export_jobs, export_service
from tb2csv.tensorboard_plugin.loader import ExportLoader

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"


needs_unzip = pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")


def until(condition: Any) -> None:
    """Wait for something that another thread does."""
    while not condition():
        time.sleep(0.01)


def tab_of(logdir: Path) -> Iterator[Tab]:
    tab = Tab(context_of(logdir))
    tab.index()
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def samples() -> Iterator[Tab]:
    yield from tab_of(SAMPLE_LOGS)


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    """The tab of a small log."""
    logs = tmp_path / "logs"
    write_run(logs / "a", *(event(scalar("loss", step), scalar("acc", 1), step=step) for step in range(10)))
    write_run(logs / "b", event(scalar("loss", 1)), event(text("note", ["=1+1", "-"])))
    yield from tab_of(logs)


class Gate:
    """Holds conversions back before they begin, until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.arrived = 0
        self.cancelled = 0

    def convert(self, *arguments: Any, progress: Any, **options: Any) -> Any:
        self.arrived += 1
        try:
            while not self.opened.wait(0.01):
                progress(1)
        except BaseException:
            self.cancelled += 1
            raise
        return convert(*arguments, progress=progress, **options)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(export_service, "convert", gate.convert)
    yield gate
    gate.opened.set()


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"escape_formulas": False},
        {"layout": "tags"},
        {"layout": "wide", "time": ["iso", "relative"]},
        {"layout": "compare"},
        {"layout": "compare", "runs": ["tf1", "tf2"], "kinds": ["scalars"], "format": "parquet"},
        {"layout": "long", "format": "jsonl"},
        {"format": "csv.gz", "kinds": ["scalars", "text"]},
        {"format": "parquet", "tensors": "base64"},
        {"tensors": "npy", "kinds": ["tensors"]},
        {"restarts": "supersede", "runs": ["restarted"]},
        {"runs": ["tf1", "tf2"], "tags": ["loss"]},
        {"what": "hparams"},
        {"sessions": True},
        {"merge_subruns": True, "sessions": True},
    ],
    ids=str,
)
@pytest.mark.slow
def test_an_archive_equals_the_output_of_its_command(
    samples: Tab, request_: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = samples.post("plan", request_).json
    program, *arguments = shlex.split(plan["command"])
    assert program == "tb2csv"
    out = tmp_path / "out"
    ran = run_here(capsys, *(out if argument == "tensorboard-tables" else argument for argument in arguments))
    assert ran.status in {0, 3}, ran.stderr
    files = files_of_folder(out)
    assert samples.archive(**request_) == files
    rows = list(csv.DictReader(io.StringIO(files["index.csv"].decode())))
    assert plan["tables"] == len(rows)


@pytest.mark.parametrize(("layout", "tables"), [("tree", 4), ("tags", 4), ("wide", 4), ("long", 3), ("compare", 4)])
def test_tables_of_plugin_content_are_planned_as_they_are_written(layout: str, tables: int, tmp_path: Path) -> None:
    """The layout ``long`` has one table of the content of all kinds."""
    for step, content in enumerate((b"a", b"b")):
        write_run(
            tmp_path / "logs",
            event(tensor("t", np.ones(2, "f4"), "mine", content=content), step=step),
            event(tensor("x", np.array("y", object), "text", content=content), step=step),
            name=f"events.out.tfevents.{step}",
        )
    served = Tab(context_of(tmp_path / "logs"))
    served.index()
    plan = served.post("plan", {"layout": layout}).json
    files = served.archive(layout=layout)
    assert plan["tables"] == len(list(csv.DictReader(io.StringIO(files["index.csv"].decode())))) == tables
    served.close()


@pytest.mark.parametrize("layout", ["tree", "tags", "wide", "long"])
@pytest.mark.parametrize("times", [["epoch"], ["iso", "relative"]], ids="-".join)
def test_the_planned_size_of_scalars_is_that_of_the_tables(tmp_path: Path, layout: str, times: list[str]) -> None:
    for run in ("a", "baselines/long name of a run"):
        points = [
            event(
                scalar("loss", 1 / (3 + step)),
                scalar("metrics/accuracy", 1 - 1 / (3 + step)),
                step=step,
                wall_time=1.7e9 + step / 7,
            )
            for step in range(500)
        ]
        write_run(tmp_path / "logs" / run, *points)
    served = Tab(context_of(tmp_path / "logs"))
    served.index()
    request = {"layout": layout, "time": times}
    plan = served.post("plan", request).json
    files = served.archive(**request)
    rows = sum(int(row["rows"]) for row in csv.DictReader(io.StringIO(files["index.csv"].decode())))
    assert plan["rows"] == rows
    written = sum(len(data) for path, data in files.items() if path.endswith(".csv") and path != "index.csv")
    assert 0.85 < plan["bytes"] / written < 1.15
    served.close()


@pytest.mark.parametrize("tensors", ["elements", "wide", "base64", "npy"])
def test_the_planned_size_of_tensors_is_that_of_the_tables(tmp_path: Path, tensors: str) -> None:
    noise = np.random.default_rng(0).normal(size=(50, 20, 5)).astype(np.float32)
    points = (event(tensor("weights", each), step=step, wall_time=1.7e9 + step / 7) for step, each in enumerate(noise))
    write_run(tmp_path / "logs", *points)
    served = Tab(context_of(tmp_path / "logs"))
    served.index()
    plan = served.post("plan", {"tensors": tensors}).json
    files = served.archive(tensors=tensors)
    (row,) = csv.DictReader(io.StringIO(files["index.csv"].decode()))
    assert plan["rows"] == int(row["rows"])
    written = sum(len(data) for path, data in files.items() if path not in {"index.csv", "datapackage.json"})
    assert 0.8 < plan["bytes"] / written < 1.25
    served.close()


@pytest.mark.parametrize(
    "value",
    [
        tensor("t", tensor_of("DT_FLOAT", (10**6, 10**6), float_val=[1.0])),
        tensor("t", tensor_of("DT_FLOAT", (10**6, 10**6), tensor_content=b"1234")),
        tensor("t", tensor_of("DT_STRING", (10**12,), string_val=[b"a"])),
        tensor("t", tensor_of("DT_DOUBLE", (10**12, 3), double_val=[1.0]), "histograms"),
        tensor("t", tensor_of("DT_FLOAT", (-4, -4), float_val=[1.0])),
    ],
    ids=["repeated", "short", "strings", "histogram", "negative"],
)
def test_values_that_cannot_be_decoded_count_as_no_rows(tmp_path: Path, value: Any) -> None:
    write_run(tmp_path / "logs", event(value))
    served = Tab(context_of(tmp_path / "logs"))
    assert served.index()["series"]["rows"] == [0]
    plan = served.post("plan", {}).json
    assert (plan["rows"], plan["bytes"]) == (0, 0)
    files = served.archive()
    tables = csv.DictReader(io.StringIO(files["index.csv"].decode()))
    assert all(row["path"].endswith(".undecodable.csv") or row["rows"] == "0" for row in tables)
    served.close()


def test_notes_name_options_as_the_page_does(samples: Tab) -> None:
    token = samples.export()
    assert samples.get(f"download/{token}").data
    notes = samples.status(token)["report"]["notes"]
    assert "run 'restarted' has 2 sessions, as after a restart; see Restarts and Add the session of each row" in notes
    assert any("add_scalars" in note for note in notes)
    assert not any("--" in note for note in notes)


@needs_unzip
def test_other_programs_can_unpack_an_archive(samples: Tab, tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    archive.write_bytes(samples.get(f"download/{samples.export()}").data)
    done = subprocess.run(["unzip", "-t", archive], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "No errors detected" in done.stdout


def test_a_download_has_a_type_and_a_name(tab: Tab) -> None:
    response = tab.get(f"download/{tab.export()}")
    assert response.headers["Content-Type"] == "application/zip"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="logs.zip"')
    assert "Content-Length" not in response.headers
    response.data


@pytest.mark.parametrize(
    ("selection", "name"),
    [
        ({}, "logs.zip"),
        ({"runs": ["a"]}, "logs-a.zip"),
        ({"tags": ["loss"]}, "logs-loss.zip"),
        ({"runs": ["a"], "kinds": ["scalars"]}, "logs-a-scalars.zip"),
        ({"runs": ["a", "b"]}, "logs-selection.zip"),
        ({"runs": ["a", "b"], "tags": ["loss"]}, "logs-loss.zip"),
    ],
)
def test_an_archive_is_named_after_logdir_and_selection(tab: Tab, selection: dict[str, Any], name: str) -> None:
    started = tab.post("export", selection).json
    assert started["name"] == name
    archive = zipfile.ZipFile(io.BytesIO(tab.get(f"download/{started['token']}").data))
    assert {each.partition("/")[0] for each in archive.namelist()} == {name.removesuffix(".zip")}


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "/", "../../x", "a/../b", "-", ".", "x" * 300, "\U0001f642" * 100])
def test_the_name_of_an_archive_is_a_safe_segment(tmp_path: Path, name: str) -> None:
    write_run(tmp_path / "logs", event(scalar(name, 1)), event(scalar("other", 1)))
    for tab in tab_of(tmp_path / "logs"):
        started = tab.post("export", {"tags": [name]}).json
        found = started["name"]
        assert found.startswith("logs-")
        assert found.endswith(".zip")
        assert not re.search(r'[\x00-\x1f<>:"/\\|?*]', found)
        assert len(found.encode()) <= 124
        archive = zipfile.ZipFile(io.BytesIO(tab.get(f"download/{started['token']}").data))
        assert {each.partition("/")[0] for each in archive.namelist()} == {found.removesuffix(".zip")}


def test_a_head_request_neither_starts_nor_ends_an_export(tab: Tab) -> None:
    token = tab.export()
    response = tab.client.head(f"{tab.root}download/{token}")
    assert (response.status_code, response.data) == (200, b"")
    assert files_of_zip(tab.get(f"download/{token}").data)


@pytest.mark.parametrize(
    ("format_name", "media_type"), [("csv", "text/csv; charset=utf-8"), ("parquet", "application/vnd.apache.parquet")]
)
def test_one_table_is_one_file(tab: Tab, tmp_path: Path, format_name: str, media_type: str) -> None:
    token = tab.export(runs=["a"], tags=["loss"], kinds=["scalars"], archive=False, format=format_name)
    response = tab.get(f"download/{token}")
    convert(tmp_path / "logs", tmp_path / "out", format=format_name)
    expected = (tmp_path / "out" / "a" / "scalars" / f"loss.{format_name}").read_bytes()
    assert response.data == expected
    assert response.headers["Content-Type"] == media_type
    assert response.headers["Content-Length"] == str(len(expected))
    assert f'filename="a-loss.{format_name}"' in response.headers["Content-Disposition"]


ONE_FILE = {
    "tables.csv": {"file": "table", "kinds": ["scalars"]},
    "tables.parquet": {
        "file": "table",
        "kinds": ["scalars"],
        "layout": "compare",
        "tags": ["loss"],
        "format": "parquet",
    },
    "tables.jsonl": {"file": "table", "kinds": ["text"], "format": "jsonl-null"},
    "tables.xlsx": {"file": "xlsx", "kinds": ["scalars", "text"], "runs": ["tf1", "tf2"]},
}


@pytest.mark.parametrize("name", ONE_FILE)
def test_one_file_of_several_series_equals_that_of_its_command(
    samples: Tab, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if name.endswith(".xlsx"):
        openpyxl = pytest.importorskip("openpyxl")
        pytest.importorskip("xlsxwriter")
    request_ = ONE_FILE[name]
    plan = samples.post("plan", request_).json
    command = plan["command"].replace("tensorboard-tables.", f"{tmp_path}/tensorboard-tables.")
    assert run_here(capsys, *shlex.split(command)[1:]).status in {0, 3}
    (expected,) = tmp_path.iterdir()
    assert expected.suffix == Path(name).suffix
    token = samples.export(**request_)
    response = samples.get(f"download/{token}")
    assert samples.job(token).name.endswith(Path(name).suffix)
    assert response.headers["Content-Length"] == str(len(response.data))
    if name.endswith(".xlsx"):
        books = [openpyxl.load_workbook(file) for file in (expected, io.BytesIO(response.data))]
        sheets = [[(sheet.title, list(sheet.values)) for sheet in book] for book in books]
        assert sheets[0] == sheets[1]
        assert len(sheets[0]) == plan["tables"] + 1  # and the index
        assert response.headers["Content-Type"].endswith("spreadsheetml.sheet")
    else:
        assert response.data == expected.read_bytes()
        assert plan["tables"] == 1


def test_several_kinds_do_not_become_one_table(samples: Tab) -> None:
    """The plan is refused as well, so that the page can say so before the export."""
    for path in ("plan", "export"):
        response = samples.post(path, {"file": "table", "kinds": ["scalars", "text"]})
        assert response.status_code == 400
        fact = "The file is one table, but there are values of several kinds: scalars and text"
        assert response.json["error"]["message"] == f"{fact}; choose one with Kinds."
    assert (
        samples.post("plan", {"file": "table", "kinds": ["scalars", "text"], "layout": "compare"}).json["tables"] == 1
    )


def test_the_table_of_trials_is_one_file(samples: Tab, tmp_path: Path) -> None:
    convert(SAMPLE_LOGS, tmp_path / "out")
    token = samples.export(what="hparams", archive=False)
    assert samples.get(f"download/{token}").data == (tmp_path / "out" / "hparams.csv").read_bytes()
    assert samples.job(token).name == "hparams.csv"


def test_one_file_of_a_histogram_is_its_buckets(samples: Tab, tmp_path: Path) -> None:
    convert(SAMPLE_LOGS, tmp_path / "out")
    stats = next((tmp_path / "out").rglob("*.stats.csv"))
    table = stats.with_name(stats.name.replace(".stats", ""))
    run = table.relative_to(tmp_path / "out").parts[0]
    index = {row["path"]: row for row in csv.DictReader((tmp_path / "out" / "index.csv").read_text().splitlines())}
    tag = index[table.relative_to(tmp_path / "out").as_posix()]["tag"]
    token = samples.export(runs=[run], tags=[tag], kinds=["histograms"], archive=False)
    assert samples.get(f"download/{token}").data == table.read_bytes()


def test_a_table_with_stored_files_needs_an_archive(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_run(
        logs,
        event(image("i", 1, 1, b"png"), audio("a", (b"wav", b"")), tensor("t", np.zeros(3))),
        event(tensor("t", np.zeros((2, 2)))),
    )
    for tab in tab_of(logs):
        for tag, options in [("i", {}), ("a", {}), ("t", {}), ("t", {"tensors": "npy"})]:
            response = tab.post("export", {"tags": [tag], "archive": False, **options})
            assert (response.status_code, response.json["error"]["code"]) == (400, "needs_archive"), tag
        assert len(tab.archive(tags=["t"])) == 4  # as its rank changes, it has two tables


def test_formulas_are_escaped_by_default(tab: Tab) -> None:
    escaped = tab.archive(runs=["b"], kinds=["text"])
    assert b"0.0,0,0,'=1+1\n0.0,0,1,'-\n" in escaped["b/text/note.csv"]
    plain = tab.archive(runs=["b"], kinds=["text"], escape_formulas=False)
    assert b"0.0,0,0,=1+1\n0.0,0,1,-\n" in plain["b/text/note.csv"]


HOSTILE = [
    "=cmd()|' /C calc'!A0",
    "../../x",
    "/etc/passwd",
    "<img src=x onerror=alert(1)>",
    "a\nb\x00",
    "C:\\x",
    "ü\u202e",
]


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    values = [scalar(tag, 1) for tag in HOSTILE]
    write_run(logs / HOSTILE[0].replace("/", "-"), event(*values))
    write_run(logs / "<img src=x onerror=alert(1)>", event(*values))
    for tab in tab_of(logs):
        index = tab.index()
        assert sorted(HOSTILE) == index["tags"]
        files = tab.archive()
        assert len(files) == 2 * len(HOSTILE) + 2
        for path in files:
            assert not path.startswith("/")
            assert ".." not in path.split("/")
            assert not set('<>:"\\|?*\n\x00') & set(path)
        # Not by csv, which refuses NUL before Python 3.11.
        rows = pl.read_csv(files["index.csv"], has_header=False, infer_schema=False).rows()
        assert not [cell for row in rows for cell in row if (cell or "")[:1] in {"=", "+", "-", "@", "\t", "\r"}]
        for tag in HOSTILE:
            body = {"runs": index["runs"][:1], "tags": [tag], "archive": False}
            assert shlex.split(tab.post("plan", body).json["command"])[0] == "tb2csv"
            response = tab.get(f"download/{tab.export(**body)}")
            assert response.data.startswith(b"wall_time,step,value\n")
            assert "\n" not in response.headers["Content-Disposition"]
            assert response.headers["Content-Disposition"].isascii()


def test_status_follows_an_export(tab: Tab, gate: Gate) -> None:
    token = tab.export()
    until(lambda: gate.arrived)
    status = tab.status(token)
    assert (status["state"], status["report"], status["error"], status["bytes"]) == ("running", None, None, None)
    assert status["progress"]["total"] == sum(
        path.stat().st_size for path in Path(tab.plugin._sources.folders[0].path).rglob("*v2")
    )
    gate.opened.set()
    until(lambda: tab.status(token)["state"] == "ready")
    status = tab.status(token)
    assert status["report"]["values_read"] == status["report"]["values_written"] == 22
    assert status["report"]["damage"] == []
    archive = files_of_zip(tab.get(f"download/{token}").data)
    assert status["bytes"] == sum(map(len, archive.values()))
    assert tab.status(token)["state"] == "sent"
    assert files_of_zip(tab.get(f"download/{token}").data) == archive  # download managers ask twice


def test_damage_is_reported_and_its_list_is_cut(samples: Tab) -> None:
    token = samples.export(runs=["damaged"])
    samples.get(f"download/{token}").data
    report = samples.status(token)["report"]
    assert report["damage_count"] == len(report["damage"]) > 0
    assert report["damage"][0]["path"].startswith("damaged/")


def test_two_at_once_and_the_others_wait_for_their_turn(tab: Tab, gate: Gate) -> None:
    tokens = [tab.export() for _ in range(4)]
    until(lambda: gate.arrived == 2)
    states = [tab.status(token) for token in tokens]
    assert [status["state"] for status in states] == ["running", "running", "queued", "queued"]
    assert [status["position"] for status in states] == [0, 0, 1, 2]
    tab.post(f"cancel/{tokens[2]}", {})
    assert tab.status(tokens[3])["position"] == 1
    tab.post(f"cancel/{tokens[0]}", {})
    until(lambda: tab.status(tokens[3])["state"] == "running")
    gate.opened.set()
    assert files_of_zip(tab.get(f"download/{tokens[3]}").data)
    assert gate.arrived == 3


def test_a_cancelled_export_ends_at_once_and_leaves_nothing(tab: Tab, gate: Gate) -> None:
    token = tab.export()
    until(lambda: gate.arrived)
    folder = tab.job(token).folder
    assert folder is not None
    assert folder.is_dir()
    assert tab.post(f"cancel/{token}", {}).json == {"state": "cancelled"}
    until(lambda: gate.cancelled)
    until(lambda: not folder.exists())
    status = tab.status(token)
    assert (status["state"], status["error"]["code"]) == ("cancelled", "cancelled")
    response = tab.get(f"download/{token}")
    assert (response.status_code, response.json["error"]["code"]) == (410, "cancelled")


def test_a_download_that_waits_is_cut_when_the_export_is_cancelled(tab: Tab, gate: Gate) -> None:
    token = tab.export()
    pieces = tab.get(f"download/{token}", buffered=False).response
    assert next(pieces).startswith(b"PK")
    tab.post(f"cancel/{token}", {})
    with pytest.raises(ConnectionAbortedError, match="cancelled"):
        next(pieces)
    until(lambda: gate.cancelled)


def test_the_first_bytes_come_before_the_conversion_is_done(tab: Tab, gate: Gate) -> None:
    token = tab.export()
    response = tab.get(f"download/{token}", buffered=False)
    first = next(response.response)
    assert first.startswith(b"PK\x03\x04")
    assert tab.status(token)["state"] == "running"
    gate.opened.set()
    assert files_of_zip(first + b"".join(response.response))


def test_an_export_that_fails_late_cuts_the_download(
    tab: Tab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        message = "no space left in /somewhere"
        raise RuntimeError(message)

    monkeypatch.setattr(export_service, "convert", fail)
    token = tab.export()
    until(lambda: tab.status(token)["state"] == "failed")
    status = tab.status(token)
    assert status["error"]["code"] == "internal"
    assert "/somewhere" not in status["error"]["message"]
    assert "no space left" in caplog.text
    assert tab.get(f"download/{token}").status_code == 410


def test_an_error_of_tb2csv_reaches_the_page_without_a_path(tab: Tab, gate: Gate, tmp_path: Path) -> None:
    token = tab.export()
    until(lambda: gate.arrived)
    for path in list((tmp_path / "logs").rglob("*v2")):
        path.unlink()
    gate.opened.set()
    until(lambda: tab.status(token)["state"] in {"failed", "ready"})
    later = tab.export()
    until(lambda: tab.status(later)["state"] == "failed")
    error = tab.status(later)["error"]
    assert error["code"] == "failed"
    assert str(tmp_path) not in error["message"]
    assert "no event files" in error["message"]


def test_a_missing_package_is_named(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError(name="polars")

    monkeypatch.setattr(export_service, "convert", fail)
    token = tab.export()
    until(lambda: tab.status(token)["state"] == "failed")
    assert tab.status(token)["error"] == {
        "code": "broken",
        "message": "polars cannot be imported; reinstall tb2csv.",
    }


def test_a_file_that_is_lost_in_mid_download_fails_it(tab: Tab) -> None:
    token = tab.export()
    until(lambda: tab.status(token)["state"] == "ready")
    response = tab.get(f"download/{token}", buffered=False)
    next(response.response)
    job = tab.job(token)
    assert job.result is not None
    lost = max(path for path in job.result.rglob("*") if path.is_file())
    lost.unlink()
    lost.mkdir()
    (lost / "x").symlink_to("nowhere")
    with pytest.raises(OSError, match="No such file"):
        list(response.response)
    status = tab.status(token)
    assert (status["state"], status["error"]["code"]) == ("failed", "sending")
    assert str(job.folder) not in status["error"]["message"]


def test_a_client_that_leaves_while_it_is_served_can_come_back(tab: Tab) -> None:
    token = tab.export()
    until(lambda: tab.status(token)["state"] == "ready")
    response = tab.get(f"download/{token}", buffered=False)
    next(response.response)
    next(response.response)
    assert tab.status(token)["state"] == "sending"
    response.close()
    assert tab.status(token)["state"] == "ready"
    assert files_of_zip(tab.get(f"download/{token}").data)


@pytest.mark.slow
def test_a_client_that_vanishes_while_it_waits_frees_its_place(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "_GRACE", 0.0)
    monkeypatch.setattr(export_jobs, "_SWEEP", 0.1)
    write_run(tmp_path / "run", event(scalar("loss", 1)))
    with tensorboard_here(tmp_path) as served:
        served.index()
        tokens = [served.json(f"{API}export", {})["token"] for _ in range(3)]
        running, queued = served.hanging_download(tokens[0]), served.hanging_download(tokens[2])
        queued.close()
        until(lambda: served.json(f"{API}status/{tokens[2]}")["state"] == "cancelled")
        assert gate.arrived == 2
        another = served.json(f"{API}export", {})["token"]
        running.close()
        until(lambda: served.json(f"{API}status/{tokens[0]}")["state"] == "cancelled")
        until(lambda: served.json(f"{API}status/{another}")["state"] == "running")
        gate.opened.set()
        assert files_of_zip(served.get(f"{API}download/{another}"))


@pytest.mark.slow
def test_a_second_client_does_not_end_the_export(tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_jobs, "_GRACE", 0.0)
    monkeypatch.setattr(export_jobs, "_SWEEP", 0.1)
    write_run(tmp_path / "run", event(scalar("loss", 1)))
    with tensorboard_here(tmp_path) as served:
        served.index()
        token = served.json(f"{API}export", {})["token"]
        first, second = served.hanging_download(token), served.hanging_download(token)
        first.close()
        time.sleep(2 * export_jobs._LOOK)  # in which it would have been noticed
        assert served.json(f"{API}status/{token}")["state"] == "running"
        gate.opened.set()
        with second:
            data = b"".join(iter(lambda: second.recv(1 << 16), b""))
        assert data.endswith(b"0\r\n\r\n")  # the end of what is sent in chunks


def test_exports_that_are_not_fetched_are_removed(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_jobs, "_SWEEP", 0.01)
    monkeypatch.setattr(export_jobs, "_KEPT", 0.05)
    token = tab.export()
    job = tab.job(token)
    until(lambda: job.state != "queued")
    until(lambda: job.token not in tab.jobs._jobs)
    assert tab.get(f"status/{token}").status_code == 404
    assert job.folder is None
    assert job.error is not None
    assert job.error.code == "expired"


@pytest.mark.usefixtures("gate")
def test_too_many_exports_are_refused_and_old_ones_give_way(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_jobs, "_MOST_JOBS", 3)
    tokens = [tab.export() for _ in range(3)]
    response = tab.post("export", {})
    assert (response.status_code, response.json["error"]["code"]) == (429, "busy")
    tab.post(f"cancel/{tokens[1]}", {})
    assert tab.export()
    assert tab.get(f"status/{tokens[1]}").status_code == 404


def test_a_finished_export_that_nothing_fetches_makes_room(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_jobs, "_MOST_JOBS", 2)
    first, second = tab.export(), tab.export()
    until(lambda: [tab.status(token)["state"] for token in (first, second)] == ["ready", "ready"])
    tab.status(first)  # used since
    third = tab.export()
    until(lambda: tab.status(third)["state"] == "ready")
    assert tab.get(f"download/{second}").status_code == 404
    for token in (first, third):
        assert files_of_zip(tab.get(f"download/{token}").data)


#: Make a folder for exports, print its path, and wait.
_MAKE_A_FOLDER = """
import time
from tb2csv.tensorboard_plugin.export_folders import ExportFolders
folders = ExportFolders([])
print(folders.make("export"), flush=True)
time.sleep(3600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_the_next_tensorboard_removes_the_folders_of_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _MAKE_A_FOLDER],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        for _ in range(2)
    ]
    try:
        folders = []
        for process in processes:
            assert process.stdout
            folders.append(Path(process.stdout.readline().strip()))
        (folders[0] / "table.csv").write_text("step\n1\n")
        processes[0].kill()
        processes[0].wait()
        assert folders[0].exists()
        loaded = ExportLoader().load(context_of(tmp_path / "logs"))
        assert loaded
        until(lambda: not folders[0].parent.exists())
        assert folders[1].exists(), "its process lives"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_request_that_ends_early_is_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", event(scalar("loss", 1)))
    with tensorboard_here(tmp_path) as served, caplog.at_level(logging.WARNING):
        served.index()
        caplog.clear()
        capfd.readouterr()
        place = urlsplit(served.url)
        connection = socket.create_connection((str(place.hostname), place.port or 80))
        head = f"POST {API}export HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        connection.close()
        until(lambda: caplog.records)
        assert served.json(f"{API}options")["version"]
    assert [record.getMessage() for record in caplog.records if "tb2csv" in record.getMessage()] == [
        "tb2csv: a client closed the connection before it had sent all of its request."
    ]
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())


def test_stopping_tensorboard_ends_exports_and_removes_their_folders(tab: Tab, gate: Gate) -> None:
    token = tab.export()
    until(lambda: gate.arrived)
    folder = tab.job(token).folder
    assert folder is not None
    tab.close()
    assert gate.cancelled == 1
    assert not folder.parent.exists()
    assert tab.post("export", {}).json["error"]["code"] == "closing"


def test_exports_are_not_written_below_the_log_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "cache"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "logs"))
    monkeypatch.setattr("tb2csv.tensorboard_plugin.export_folders.SHARED", str(tmp_path / "logs" / "run"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere))
    write_run(tmp_path / "logs" / "run", event(scalar("loss", 1)))
    for tab in tab_of(tmp_path / "logs"):
        token = tab.export()
        assert files_of_zip(tab.get(f"download/{token}").data)
        folder = tab.job(token).folder
        assert folder is not None
        assert elsewhere in folder.parents
    assert not list(elsewhere.iterdir())


@needs_unzip
def test_an_archive_of_large_files_is_zip64_and_that_of_small_ones_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(content)
    zip64_end = b"PK\x06\x06"
    assert zip64_end not in b"".join(stream_zip("root", lambda: tmp_path / "folder"))
    monkeypatch.setattr("zipfile.ZIP64_LIMIT", 1000)  # of the writer; the true one takes four gigabytes
    pieces = list(stream_zip("root", lambda: tmp_path / "folder"))
    assert max(map(len, pieces)) < len(content)  # it was not all in memory
    assert zip64_end in pieces[-1]
    archive = tmp_path / "large.zip"
    archive.write_bytes(b"".join(pieces))
    done = subprocess.run(["unzip", "-p", archive, "root/file"], capture_output=True, check=True)
    assert done.stdout == content


def test_hparams_of_a_small_log_are_planned_as_one_table(tmp_path: Path) -> None:
    write_run(tmp_path / "x", event(hparams_start({"lr": 0.1})), event(scalar("loss", 1)))
    write_run(tmp_path / "y", event(hparams_start({"lr": 0.2})), event(scalar("loss", 2)))
    for tab in tab_of(tmp_path):
        assert tab.post("plan", {"what": "hparams"}).json["tables"] == 1
        assert tab.post("plan", {}).json["tables"] == 3
