"""Logs on web servers, with and without ranges, sizes and versions."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from event_files import event, event_file, file_name, simple_value, write_run
from installed import skip_module_without
from remote_logs import assert_converts_as_local, write_logs
from web_server import WebServer, web_server

import tb2csv
from tb2csv.sources.request_watch import WATCH
from tb2csv.tensorboard_plugin.event_sources import EventSources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

skip_module_without("aiohttp")


def values(count: int) -> bytes:
    return event_file([event(simple_value("loss", step), step=step, wall_time=step) for step in range(count)])


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("has_lengths", [True, False])
@pytest.mark.parametrize("has_etags", [True, False])
def test_tables_equal_those_of_the_folder(
    server: WebServer, tmp_path: Path, has_ranges: bool, has_lengths: bool, has_etags: bool
) -> None:
    server.has_ranges, server.has_lengths, server.has_etags = has_ranges, has_lengths, has_etags
    assert_converts_as_local(server.url, write_logs(server.folder), tmp_path)


@pytest.mark.slow
def test_frames_summaries_and_listings_equal_those_of_the_folder(server: WebServer) -> None:
    logdir = write_logs(server.folder)
    remote, local = tb2csv.open_logdir(server.url), tb2csv.open_logdir(logdir)
    assert remote.scalars().equals(local.scalars())
    assert remote.histograms(run="train").equals(local.histograms(run="train"))
    assert tb2csv.ls(server.url).table.equals(tb2csv.ls(logdir).table)
    assert tb2csv.summary(server.url).table.equals(tb2csv.summary(logdir).table)
    assert tb2csv.check(server.url).to_dict() == tb2csv.check(logdir).to_dict()


def test_the_export_tab_finds_the_runs(server: WebServer) -> None:
    logdir = write_logs(server.folder)
    names = [run.name for run in tb2csv.discover(logdir).runs]
    for given, spec, prefix in [(server.url, "", ""), ("", f"web:{server.url}", "web/")]:
        context = SimpleNamespace(logdir=given, flags=SimpleNamespace(logdir_spec=spec), multiplexer=None)
        found = EventSources(context).find().logdir
        assert [run.name for run in found.runs] == [prefix + name for name in names]
        assert tb2csv.check(found).values_read == tb2csv.check(logdir).values_read


def test_a_small_file_takes_one_request_without_its_head(server: WebServer) -> None:
    write_run(server.folder / "a", name=file_name())
    write_run(server.folder / "b", event(simple_value("loss", 1.0), step=1), name=file_name())
    tb2csv.check(server.url)
    assert [server.counts()[f"/{run}/{file_name()}"] for run in "ab"] == [1, 1]


@pytest.mark.parametrize("widths", [(100,), (3, 20)])
def test_the_pages_of_a_level_are_requested_at_once(server: WebServer, widths: tuple[int, ...]) -> None:
    folders, at_depth = [server.folder], {}
    for depth, width in enumerate(widths, 1):
        folders = [folder / f"f{number}" for folder in folders for number in range(width)]
        at_depth[depth] = threading.Barrier(len(folders), timeout=60)
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / file_name()).touch()

    def wait_for_all_pages(path: str) -> None:
        if path.endswith("/") and path != "/":
            at_depth[path.strip("/").count("/") + 1].wait()

    server.before_answer = wait_for_all_pages
    assert len(tb2csv.discover(server.url).runs) == len(folders)


@pytest.mark.slow
@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_file_of_one_chunk_takes_at_most_three_requests(server: WebServer, has_ranges: bool) -> None:
    server.has_ranges = has_ranges
    blob = [event(simple_value("x" * 1000, step), step=step) for step in range(30_000)]
    path = server.folder / file_name()
    path.write_bytes(event_file(blob))
    assert path.stat().st_size > 25 << 20
    assert tb2csv.check(server.url).values_read == 30_000
    assert 1 <= server.counts()[f"/{file_name()}"] <= 3


def test_an_address_of_one_file(server: WebServer) -> None:
    (server.folder / "demo.pb").write_bytes(values(3))
    assert tb2csv.check(f"{server.url}/demo.pb").values_read == 3


def test_a_signed_address_is_read_and_not_shown(server: WebServer) -> None:
    (server.folder / "demo.pb").write_bytes(values(3))
    logdir = tb2csv.discover(f"{server.url}/demo.pb?X-Signature=hidden")
    assert [file.path for run in logdir.runs for file in run.files] == ["demo.pb"]
    assert tb2csv.check(logdir).values_read == 3
    assert "hidden" not in repr(logdir)


@pytest.mark.parametrize("path", ["", "/demo.pb?X-Signature=hidden"])
def test_a_refused_address_is_one_sentence(server: WebServer, path: str) -> None:
    server.refuses = True
    with pytest.raises(tb2csv.LogdirError, match=r"access is refused .status 403; ") as caught:
        tb2csv.ls(server.url + path)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "/nothing", "/nothing/"])
def test_an_address_without_logs_is_an_error(server: WebServer, path: str) -> None:
    if path:
        with pytest.raises(tb2csv.LogdirNotFoundError, match=f"{server.url}{path}"):
            tb2csv.ls(server.url + path)
    else:
        with pytest.raises(tb2csv.LogdirError, match=server.url):
            tb2csv.ls(server.url)


def test_a_server_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        url = server.url
    with pytest.raises(tb2csv.LogdirError, match=r"^[^.]*127\.0\.0\.1:\d+ cannot be (listed|read): .*\.$|nothing at"):
        tb2csv.ls(url)


def test_a_cut_answer_makes_the_file_unreadable_and_not_short(server: WebServer) -> None:
    (server.folder / file_name()).write_bytes(values(100))
    server.cut_after, server.cuts = 1000, 1
    report = tb2csv.check(server.url)
    assert [damage.kind for damage in report.damage] == ["unreadable"]
    assert "the connection was cut" in report.damage[0].detail
    assert not tb2csv.check(server.url).damage


# Versions


def large_values(last: int = 0) -> bytes:
    """Return a file of two ranges; the last value shows the version."""
    steps = [event(simple_value("x" * 1000, step), step=step) for step in range(12_000)]
    return event_file([*steps, event(simple_value("last", last), step=1)])


def replace_after_first_answer(server: WebServer, data: bytes) -> None:
    """Replace the event file before its second range is sent; the listing and its version are not ranges."""
    ranges = 0

    def before(path: str) -> None:
        nonlocal ranges
        method = server.requests[-1][0]
        ranges += method == "GET" and path.endswith(file_name())
        if ranges == 2:
            (server.folder / file_name()).write_bytes(data)

    server.before_answer = before


@pytest.mark.slow
def test_a_file_that_grows_is_read_on_in_its_new_version(server: WebServer) -> None:
    old = large_values()
    (server.folder / file_name()).write_bytes(old)
    replace_after_first_answer(server, old + values(5))
    report = tb2csv.check(server.url)
    assert not report.damage
    assert report.values_read == 12_001


@pytest.mark.slow
def test_a_file_that_is_replaced_is_unreadable_and_never_mixed(server: WebServer) -> None:
    old = large_values()
    (server.folder / file_name()).write_bytes(old)
    replace_after_first_answer(server, event_file([event(simple_value("y" * 1000, 1), step=1)] * 20_000))
    report = tb2csv.check(server.url)
    (damage,) = report.damage
    assert (damage.kind, damage.detail) == (
        "unreadable",
        "the file cannot be read: it was replaced while it was read",
    )
    assert {series.tag for series in tb2csv.ls(server.url).series} == {"y" * 1000}


def test_a_listing_is_never_stale(server: WebServer) -> None:
    path = server.folder / "run" / file_name()
    path.parent.mkdir()
    path.write_bytes(values(1))
    frames = tb2csv.open_logdir(server.url)
    path.write_bytes(values(3))
    (server.folder / "other").mkdir()
    (server.folder / "other" / file_name()).write_bytes(values(1))
    assert frames.refresh()
    assert sorted(frames.scalars()["run"].to_list()) == ["other", "run", "run", "run"]


def test_links_that_lead_above_or_around_are_not_followed(server: WebServer, tmp_path: Path) -> None:
    (server.folder / "run").mkdir()
    (server.folder / "run" / file_name()).write_bytes(values(1))
    (tmp_path / file_name(1)).write_bytes(values(1))
    (server.folder / "run" / "%2e%2e").mkdir()
    (server.folder / "run" / "%2e%2e" / file_name(2)).write_bytes(values(1))
    logdir = tb2csv.discover(server.url)
    assert [run.name for run in logdir.runs] == ["run", "run/%2e%2e"]
    tb2csv.convert(server.url, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "out", file_name(1)}


@pytest.mark.slow
def test_a_logdir_pickles_as_its_url(server: WebServer, tmp_path: Path) -> None:
    (server.folder / file_name()).write_bytes(values(2))
    logdir = tb2csv.discover(server.url)
    assert tb2csv.check(logdir).values_read == 2
    pickled = pickle.dumps(logdir)
    assert b"fsspec" not in pickled
    (tmp_path / "pickled").write_bytes(pickled)
    code = "import pickle, sys, tb2csv; print(tb2csv.check(pickle.load(open(sys.argv[1], 'rb'))).values_read)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pickled")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "2\n"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_file_system_is_made_anew_after_a_fork(server: WebServer) -> None:
    (server.folder / file_name()).write_bytes(values(2))
    code = (
        "import os, sys, tb2csv\n"
        "logdir = tb2csv.discover(sys.argv[1])\n"
        "child = os.fork()\n"
        "if not child: os._exit(tb2csv.check(logdir, workers=1).values_read)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("2\n", "")


@pytest.mark.slow
def test_the_user_is_informed_about_a_slow_answer(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb2csv.sources.request_watch.PATIENCE", 0.05)
    (server.folder / file_name()).write_bytes(values(2))
    lines: list[str] = []
    server.latency = 1.5  # the watch may be asleep for a second since an earlier test
    with WATCH.listen(lines.append):
        tb2csv.check(server.url)
    assert lines
    assert all(line.startswith(f"waiting for an answer about {server.url} for ") for line in lines)
    assert len(lines) <= len(server.requests)  # one for each time that answers stop


@pytest.mark.slow
def test_a_progress_bar_shows_waiting_in_its_line(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb2csv.sources.request_watch.PATIENCE", 0.05)
    (server.folder / file_name()).write_bytes(values(2))
    logdir = tb2csv.discover(server.url)
    server.latency = 1.5  # the watch may be asleep for a second since an earlier test
    lines: list[str] = []
    shown: list[str] = []
    with WATCH.listen(lines.append), WATCH.listen(lines.append, shown.append):
        tb2csv.check(logdir)
    assert not lines
    assert any(line.startswith(f"waiting for an answer about {server.url} for ") for line in shown)


def test_a_large_file_that_is_loaded_whole_is_mentioned(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb2csv.sources.ranges._LARGE", 1000)
    server.has_ranges = False
    (server.folder / file_name()).write_bytes(values(100))
    lines: list[str] = []
    with WATCH.listen(lines.append):
        assert tb2csv.check(server.url).values_read == 100
    assert [line for line in lines if "loaded whole" in line]
