"""The output folder: whole or not there, an earlier one replaced or left as it was; and CSV text in it."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import polars as pl
import pytest
from event_files import event, histogram, scalar, simple_value, text, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import read_tree

import tb2csv
from tb2csv import atomic_files, log_conversion
from tb2csv.atomic_files import whole_file
from tb2csv.errors import OutputError
from tb2csv.layouts.run_writer import RunWriter
from tb2csv.logdir import Run, discover
from tb2csv.parallel import ahead, map_runs
from tb2csv.runs.run_reader import RunReader
from tb2csv.selection import Selection
from tb2csv.sinks import append_writer
from tb2csv.sinks.append_writer import AppendWriter, TableRows
from tb2csv.sinks.csv import CsvFormat
from tb2csv.sinks.output_folder import OutputFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.report import RunReport

FILE = "run/scalars/loss.csv"


def logs(folder: Path, number: float = 1.0, runs: int = 3) -> Path:
    for run in range(runs):
        write_run(folder / f"run{run}", event(scalar("loss", number), text("note", "hello"), step=run))
    return folder


def beside(out: Path) -> list[str]:
    """Return what is beside an output folder, hidden or not."""
    return sorted(path.name for path in out.parent.iterdir() if path != out)


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    return logs(tmp_path / "logs")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where to write, in a folder where nothing else is."""
    (tmp_path / "results").mkdir()
    return tmp_path / "results" / "out"


# Whole or not there


def test_the_folder_appears_when_it_is_complete(out: Path) -> None:
    with OutputFolder(out) as folder:
        with folder.open(FILE) as file:
            file.write(b"text")
        assert not out.exists()
        assert len(beside(out)) == 1
    assert read_tree(out) == {FILE: b"text"}
    assert beside(out) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_an_exception_leaves_nothing(out: Path, error: type[BaseException]) -> None:
    def interrupted() -> NoReturn:
        with OutputFolder(out) as folder, folder.open(FILE) as file:
            file.write(b"text")
            raise error

    with pytest.raises(error):
        interrupted()
    assert not out.exists()
    assert beside(out) == []


@pytest.mark.parametrize("failing", ["run0", "run2"])
@pytest.mark.parametrize("workers", [1, 4])
def test_an_exception_in_a_worker_leaves_nothing(
    logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch, failing: str, workers: int
) -> None:
    finish = RunWriter.finish

    def finish_or_fail(tables: RunWriter) -> RunReport:
        report = finish(tables)
        if report.run == failing:
            raise ZeroDivisionError(failing)
        return report

    monkeypatch.setattr(RunWriter, "finish", finish_or_fail)
    with pytest.raises(ZeroDivisionError, match=failing):
        tb2csv.convert(logdir, out, workers=workers)
    assert not out.exists()
    assert beside(out) == []


def no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("when", ["tables", "manifest"])
def test_a_full_disk_is_an_output_error(logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    if when == "tables":
        monkeypatch.setattr(AppendWriter, "append", no_space)
    else:
        monkeypatch.setattr(log_conversion, "write_manifest", no_space)
    with pytest.raises(OutputError, match="No space left on device"):
        tb2csv.convert(logdir, out)
    assert not out.exists()
    assert beside(out) == []


def test_an_interrupt_while_tables_are_written_leaves_nothing(logdir: Path, out: Path) -> None:
    def interrupt(_: int) -> NoReturn:
        raise KeyboardInterrupt

    before = set(threading.enumerate())  # other tests leave requests that never end
    with pytest.raises(KeyboardInterrupt):
        tb2csv.convert(logdir, out, progress=interrupt)
    assert not out.exists()
    assert beside(out) == []
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("tb2csv")]


# Its path


def test_missing_parents_of_the_output_are_made(logdir: Path, out: Path) -> None:
    tb2csv.convert(logdir, out / "deep" / "er")
    assert (out / "deep" / "er" / "index.csv").exists()


def test_an_empty_output_folder_is_used(logdir: Path, out: Path) -> None:
    out.mkdir()
    tb2csv.convert(logdir, out)
    assert (out / "index.csv").exists()
    assert beside(out) == []


def test_a_folder_that_is_not_empty_is_refused(logdir: Path, out: Path) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"not empty.*overwrite=True"):
        tb2csv.convert(logdir, out)
    assert read_tree(out) == {"notes.txt": b"mine"}
    assert beside(out) == []


def test_the_later_of_two_conversions_at_once_changes_nothing(logdir: Path, out: Path) -> None:
    with (
        pytest.raises(OutputError, match="since this one began; run the same command again"),
        OutputFolder(out),
    ):
        tb2csv.convert(logdir, out)
    assert tb2csv.convert(logdir, out).update is not None, "it is a conversion that can be brought up to date"


def test_a_file_is_refused(logdir: Path, out: Path) -> None:
    out.write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="is a file"):
            tb2csv.convert(logdir, out, overwrite=overwrite)
    assert out.read_text() == "mine"


def test_an_output_path_below_a_file_is_refused(logdir: Path, out: Path) -> None:
    out.write_text("mine")
    with pytest.raises(OutputError, match="cannot be created"):
        tb2csv.convert(logdir, out / "below")
    assert out.read_text() == "mine"


@pytest.mark.parametrize("place", [".", "run0", "new", "run0/new", "new/deep", "../logs/new", "link/new"])
def test_the_log_directory_is_refused_as_the_output(logdir: Path, place: str) -> None:
    (logdir.parent / "link").symlink_to("logs")
    target = logdir.parent / place if place.startswith("link") else logdir / place
    before = read_tree(logdir)
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            tb2csv.convert(logdir, target, overwrite=overwrite)
    assert read_tree(logdir) == before
    assert sorted(path.name for path in logdir.iterdir()) == ["run0", "run1", "run2"]


def test_a_folder_that_contains_the_log_directory_is_not_replaced(tmp_path: Path) -> None:
    """Not even if it looks like a conversion."""
    out = tmp_path / "out"
    tb2csv.convert(logs(tmp_path / "other"), out)
    logdir = logs(out / "logs")
    before = read_tree(out)
    for target in (out, tmp_path):
        with pytest.raises(OutputError):
            tb2csv.convert(logdir, target, overwrite=True)
    assert read_tree(out) == before


def test_an_empty_log_file_folder_is_not_replaced(tmp_path: Path) -> None:
    """A folder of nothing but the log directory is not empty, even if no file is directly in it."""
    logdir = logs(tmp_path / "above" / "logs")
    with pytest.raises(OutputError):
        tb2csv.convert(logdir, tmp_path / "above", overwrite=True)
    assert logdir.exists()


def test_a_link_to_a_folder_stays_a_link(logdir: Path, out: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    out.symlink_to(target)
    for overwrite in (False, True):
        tb2csv.convert(logdir, out, overwrite=overwrite)
        assert out.is_symlink()
        assert (target / "index.csv").exists()
    assert beside(out) == []
    assert beside(target) == ["logs", "results"]


def test_the_missing_target_of_a_link_is_made(logdir: Path, out: Path) -> None:
    out.symlink_to("target")
    tb2csv.convert(logdir, out)
    assert out.is_symlink()
    assert (out.parent / "target" / "index.csv").exists()
    assert beside(out) == ["target"]


def test_a_link_to_itself_is_refused(logdir: Path, out: Path) -> None:
    out.symlink_to(out.name)
    with pytest.raises(OutputError, match="is a broken link"):
        tb2csv.convert(logdir, out)
    assert beside(out) == []


def test_an_output_path_that_the_file_system_refuses_is_an_output_error(logdir: Path, out: Path) -> None:
    with pytest.raises(OutputError, match="output folder"):
        tb2csv.convert(logdir, out.with_name("a" * 300))


@pytest.mark.parametrize(("name", "sentence"), [("gs://bucket/out", "is a URL"), ("", "is empty")])
def test_invalid_output_paths_are_refused(
    logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    out.parent.joinpath("here").mkdir()
    monkeypatch.chdir(out.parent / "here")
    with pytest.raises(OutputError, match=sentence):
        tb2csv.convert(logdir, name)
    with pytest.raises(OutputError, match=sentence), whole_file(name):
        pass
    assert not any(Path().iterdir())


def test_a_url_of_a_local_folder_is_that_folder(logdir: Path, out: Path) -> None:
    tb2csv.convert(logdir, f"file://{out}")
    assert (out / "index.csv").exists()


def test_output_folders_may_have_odd_names(logdir: Path, out: Path) -> None:
    for name in (" ", "new\nline", "a.b", ".hidden", "%s", "-x"):
        tb2csv.convert(logdir, out.parent / name)
        assert (out.parent / name / "index.csv").exists()


def test_a_relative_output_path_ignores_a_later_chdir(logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(out.parent)
    with OutputFolder("out") as folder:
        monkeypatch.chdir(logdir)
        folder.append(FILE, b"text")
    assert read_tree(out) == {FILE: b"text"}


#: Begin to write a file, say so, and wait.
_BEGIN_A_FILE = """
import sys, time
from tb2csv.atomic_files import whole_file
with whole_file(sys.argv[1], overwrite=True) as place:
    place.write_text("half")
    print("begun", flush=True)
    time.sleep(3600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_the_next_writer_of_a_file_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    out, other = tmp_path / "state.csv", tmp_path / "state.csv.abcdefgh.tmp"
    out.write_text("earlier")
    other.write_text("of the user")
    command = [sys.executable, "-c", _BEGIN_A_FILE, str(out)]
    killed, alive = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2))
    try:
        for process in (killed, alive):
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
        killed.kill()
        killed.wait()
        assert len(beside(out)) == 3
        with whole_file(out, overwrite=True) as place:
            place.write_text("whole")
        assert len(beside(out)) == 2, "that of the process that lives, and the file of the user"
        assert out.read_text() == "whole"
        assert other.read_text() == "of the user"
    finally:
        for process in (killed, alive):
            process.kill()
            process.communicate()
    with whole_file(out, overwrite=True):
        pass
    assert beside(out) == [other.name]


def test_a_file_appears_in_the_folder_that_was_current_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with whole_file("out.txt") as place:
        place.write_text("whole")
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert (tmp_path / "out.txt").read_text() == "whole"
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the open files of a process, which Linux shows")
def test_a_failed_conversion_has_closed_the_event_files(
    logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OutputError("full")

    monkeypatch.setattr(RunWriter, "add", fail)
    with pytest.raises(OutputError, match="full") as kept:
        tb2csv.convert(logdir, out, chunk_size=32)
    opened = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            opened.append(os.readlink(descriptor))
    assert [path for path in opened if str(logdir) in path] == []
    assert kept.value.__traceback__, "the error still refers to what was at work"


# Replacing an earlier conversion


def test_an_earlier_conversion_is_replaced_as_a_whole(tmp_path: Path, out: Path) -> None:
    tb2csv.convert(logs(tmp_path / "old", 1.0, runs=3), out)
    tb2csv.convert(logs(tmp_path / "new", 2.0, runs=1), out, overwrite=True)
    tb2csv.convert(tmp_path / "new", tmp_path / "fresh")
    assert read_tree(out) == read_tree(tmp_path / "fresh")
    assert beside(out) == []


@pytest.mark.parametrize(
    "foreign", ["notes.txt", "run0/notes.txt", "run0/scalars/other.csv", "new/notes.txt", ".hidden"]
)
def test_a_conversion_with_foreign_files_is_not_replaced(logdir: Path, out: Path, foreign: str) -> None:
    tb2csv.convert(logdir, out)
    (out / foreign).parent.mkdir(exist_ok=True)
    (out / foreign).write_text("mine")
    before = read_tree(out)
    with pytest.raises(OutputError) as caught:
        tb2csv.convert(logdir, out, overwrite=True)
    assert str(foreign) in str(caught.value)
    assert read_tree(out) == before


@pytest.mark.parametrize(
    "manifest", [b"", b"{}", b"[]", b"1", b'{"resources": 1}', b'{"resources": [{"path": 1}]}', b"\xff"]
)
def test_a_folder_that_is_not_a_conversion_is_not_replaced(logdir: Path, out: Path, manifest: bytes) -> None:
    out.mkdir()
    (out / "datapackage.json").write_bytes(manifest)
    (out / "data.csv").write_text("mine")
    with pytest.raises(OutputError, match="not replaced"):
        tb2csv.convert(logdir, out, overwrite=True)
    assert (out / "data.csv").read_text() == "mine"


def test_an_error_keeps_the_earlier_conversion(logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tb2csv.convert(logdir, out)
    before = read_tree(out)
    monkeypatch.setattr(log_conversion, "write_manifest", no_space)
    with pytest.raises(OutputError):
        tb2csv.convert(logdir, out, overwrite=True)
    assert read_tree(out) == before
    assert beside(out) == []


def fill(out: Path, *, at_the_end: Callable[[], object] = lambda: None) -> None:
    """Replace an earlier conversion, if there is one."""
    with OutputFolder(out, overwrite=True) as folder:
        folder.append(FILE, b"new")
        at_the_end()


@pytest.mark.parametrize("error", [OSError(16, "Device or resource busy"), KeyboardInterrupt(), SystemExit(143)])
@pytest.mark.parametrize("failing", [1, 2])
def test_an_error_while_it_is_replaced_restores_the_earlier_one(
    logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, failing: int
) -> None:
    tb2csv.convert(logdir, out)
    before = read_tree(out)
    rename, calls = Path.rename, []

    def rename_or_fail(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == failing:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_or_fail)
    monkeypatch.setattr(atomic_files, "_exchange", lambda *_: False)
    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        fill(out)
    assert read_tree(out) == before
    assert beside(out) == []


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2")
def test_a_folder_is_replaced_in_one_step(logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tb2csv.convert(logdir, out)
    number = out.stat().st_ino
    monkeypatch.setattr(Path, "rename", lambda *_: pytest.fail("two steps"))
    fill(out)
    assert read_tree(out) == {FILE: b"new"}
    assert out.stat().st_ino != number
    assert beside(out) == []


def test_a_folder_that_appeared_in_the_meantime_is_not_replaced(out: Path) -> None:
    def appear() -> None:
        out.mkdir()
        (out / "notes.txt").write_text("mine")

    with pytest.raises(OutputError):
        fill(out, at_the_end=appear)
    assert read_tree(out) == {"notes.txt": b"mine"}
    assert beside(out) == []


# Permissions


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="permissions are another matter there")
def test_permissions_follow_the_umask(logdir: Path, out: Path, umask: int) -> None:
    tb2csv.convert(logdir, out)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [out, *out.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o777 & ~umask}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o666 & ~umask}


@pytest.mark.skipif(os.name != "posix", reason="permissions are another matter there")
@pytest.mark.parametrize("mode", [0o2770, 0o700, 0o755, 0o1777])
def test_permissions_of_a_folder_that_is_replaced_are_kept(logdir: Path, out: Path, mode: int) -> None:
    out.mkdir()
    out.chmod(mode)
    group = out.stat().st_gid
    for overwrite in (False, True):
        tb2csv.convert(logdir, out, overwrite=overwrite)
        assert stat.S_IMODE(out.stat().st_mode) == mode
        assert {path.stat().st_gid for path in [out, *out.rglob("*")]} == {group}
    below = [path for path in out.rglob("*") if path.is_dir()]
    if sys.platform == "linux":
        assert {path.stat().st_mode & stat.S_ISGID for path in below} == {mode & stat.S_ISGID}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give folders to any group")
def test_the_group_of_a_folder_that_is_replaced_is_kept(logdir: Path, out: Path) -> None:
    out.mkdir()
    os.chown(out, -1, 4321)
    out.chmod(0o2770)
    tb2csv.convert(logdir, out)
    assert {path.stat().st_gid for path in [out, *out.rglob("*")]} == {4321}
    assert stat.S_IMODE(out.stat().st_mode) == 0o2770


@pytest.mark.parametrize("place", [".", "..", "../../out"])
def test_the_current_folder_is_not_replaced(
    logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    tb2csv.convert(logdir, out)
    before = read_tree(out)
    monkeypatch.chdir(out if place == "." else out / "run0")
    with pytest.raises(OutputError, match="contains the current directory"):
        tb2csv.convert(logdir, place, overwrite=True)
    assert read_tree(out) == before
    monkeypatch.chdir(out.parent)
    empty = out.parent / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with pytest.raises(OutputError, match="contains the current directory"):
        tb2csv.convert(logdir, ".")
    assert empty.samefile(Path.cwd())


# Runs side by side


def numbered_runs(count: int) -> list[Run]:
    return [Run(str(number), ()) for number in range(count)]


def test_the_first_failed_run_is_reported_and_the_others_are_stopped() -> None:
    started, waited = threading.Barrier(3), time.monotonic()

    def work(run: Run, passed: Callable[[int], None]) -> None:
        started.wait(10)
        while run.name == "0":  # does not end by itself
            assert time.monotonic() < waited + 20
            passed(0)
            time.sleep(0.001)
        raise ZeroDivisionError(run.name)

    told: list[int] = []
    with pytest.raises(ZeroDivisionError, match=r"1|2"):
        map_runs(work, numbered_runs(3), workers=3, report_bytes=told.append)
    assert told == []


@pytest.mark.slow
def test_runs_do_not_start_after_one_failed() -> None:
    begun: list[str] = []

    def work(run: Run, _: Callable[[int], None]) -> None:
        begun.append(run.name)
        raise ZeroDivisionError(run.name)

    with pytest.raises(ZeroDivisionError, match="0"):
        map_runs(work, numbered_runs(5000), workers=1)
    assert begun[0] == "0"
    assert len(begun) < 5000


@pytest.mark.parametrize("available", [0, 1])
def test_threads_that_cannot_be_started_are_not_needed(available: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, []

    def start_some(thread: threading.Thread) -> None:
        if len(started) == available:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    assert map_runs(lambda run, _: int(run.name), numbered_runs(9), workers=3) == list(range(9))
    with pytest.raises(ZeroDivisionError):
        map_runs(lambda run, _: 1 // int(run.name), numbered_runs(3), workers=3)
    assert list(ahead(iter(range(5)), lambda: True)) == list(range(5))


#: An interpreter that ends while a thread of its own has runs read; the reader ends on request.
ENDING = """
import atexit, sys, threading, time
from tb2csv.parallel import WorkCancelledError, map_runs

ends, has_begun, has_ended = threading.Event(), threading.Event(), threading.Event()

def work(run, passed):
    has_begun.set()
    while not ends.wait(0.01):
        passed(0)
    raise WorkCancelledError

def read():
    try:
        map_runs(work, range(100), workers=2)
    finally:
        has_ended.set()

def close():
    ends.set()
    print("closing", has_ended.wait(60))

atexit.register(close)
threading.excepthook = lambda _: None  # WorkCancelledError ends the thread
threading.Thread(target=read, daemon=True).start()
has_begun.wait()
"""


def test_the_interpreter_can_end_during_a_conversion() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True, timeout=300)
    assert (ended.stdout, ended.stderr) == ("closing True\n", "")


def test_a_run_is_ended_between_the_pieces_of_a_chunk(tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs",
        *(event(text(f"note{i}", "hello"), histogram(f"h{i}", [[0.0, 1.0, 2.0]]), step=i) for i in range(50)),
    )
    (run,) = discover(tmp_path / "logs").runs
    told: list[int] = []
    pieces = list(RunReader(run, report_bytes=told.append).decode())
    assert told.count(0) >= len(pieces) > 1


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(logdir: Path, out: Path, workers: int) -> None:
    for use in (tb2csv.check, tb2csv.ls, lambda logs, **more: tb2csv.convert(logs, out, **more)):
        with pytest.raises(tb2csv.Tb2csvError, match=rf"workers is {workers};"):
            use(logdir, workers=workers)
    assert beside(out) == []
    assert not out.exists()


# Options that cannot be used


def test_an_unknown_style_of_tensors_is_refused(logdir: Path, out: Path) -> None:
    with pytest.raises(tb2csv.Tb2csvError, match=r"'bogus'.* elements, wide, base64, npy"):
        tb2csv.convert(logdir, out, tensors="bogus")
    assert not out.exists()


@pytest.mark.parametrize("name", ["runs", "tags", "kinds", "exclude_runs", "exclude_tags"])
def test_a_single_string_is_one_pattern(name: str) -> None:
    selection = Selection(**{name: "train"})  # type: ignore[arg-type]
    assert getattr(selection, name) == ("train",)


# CSV text: small tables of the same columns are written together, and must be what each would be alone

cells = {
    pl.Float64: st.floats() | st.none(),
    pl.Float32: st.floats(width=32) | st.none(),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.UInt8: st.integers(0, 255),
    pl.String: st.text(st.sampled_from(['"', ",", "\n", "\r", "a", "ü", " "]), max_size=5) | st.none(),
    pl.Boolean: st.booleans(),
}


@st.composite
def frames_and_tables(draw: st.DrawFn) -> tuple[pl.DataFrame, list[tuple[int, int]]]:
    dtypes = draw(st.lists(st.sampled_from(list(cells)), min_size=1, max_size=4))
    size = draw(st.integers(0, 30))
    columns = {
        f"column {i}": pl.Series(draw(st.lists(cells[dtype], min_size=size, max_size=size)), dtype=dtype)
        for i, dtype in enumerate(dtypes)
    }
    borders = sorted(draw(st.lists(st.integers(0, size), min_size=2, max_size=8)))
    return pl.DataFrame(columns), list(itertools.pairwise(borders))


def written(tables: dict[str, list[pl.DataFrame]]) -> dict[str, bytes]:
    """Return each table as polars writes it; the header is quoted if a column is text."""
    tables_of_pieces = {path: pl.concat(pieces) for path, pieces in tables.items()}
    return {
        path: (
            quoted_header(table) + table.write_csv(include_header=False)
            if pl.String in table.dtypes
            else table.write_csv()
        ).encode()
        for path, table in tables_of_pieces.items()
    }


def quoted_header(table: pl.DataFrame) -> str:
    return ",".join(f'"{name}"' for name in table.columns) + "\n"


@settings(deadline=None, max_examples=200)
@given(
    pieces=st.lists(frames_and_tables(), min_size=1, max_size=3),
    chunks=st.integers(1, 3),
    large=st.integers(0, 31),
    waiting=st.integers(0, 60),
)
@pytest.mark.slow
def test_tables_are_the_same_text_together_and_alone(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[tuple[pl.DataFrame, list[tuple[int, int]]]],
    chunks: int,
    large: int,
    waiting: int,
) -> None:
    out = tmp_path_factory.mktemp("sink") / "out"
    expected: dict[str, list[pl.DataFrame]] = {}
    with pytest.MonkeyPatch.context() as patch, OutputFolder(out) as folder:
        patch.setattr(append_writer, "_LARGE", large)
        patch.setattr(append_writer, "_WAITING", waiting)
        sink = AppendWriter(folder, CsvFormat())
        for piece, (frame, bounds) in list(enumerate(pieces)) * chunks:
            paths = [f"t{piece}/{i}.csv" for i in range(len(bounds))]
            tables = [
                TableRows(path, *rows, is_first=path not in expected) for path, rows in zip(paths, bounds, strict=True)
            ]
            sink.append(frame, tables)
            for path, start, stop, _ in tables:
                expected.setdefault(str(path), []).append(frame[start:stop])
        sink.flush()
    assert read_tree(out) == written(expected)


@settings(deadline=None, max_examples=100)
@given(frames_and_tables())
@pytest.mark.slow
def test_table_text_reads_back_to_the_frame(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[pl.DataFrame, object]
) -> None:
    """Python's csv module finds as many rows and cells as there are, and strings unchanged."""
    frame, _ = drawn
    out = tmp_path_factory.mktemp("sink") / "out"
    with OutputFolder(out) as folder:
        sink = AppendWriter(folder, CsvFormat())
        sink.append(frame, [TableRows("t.csv", 0, len(frame), is_first=True)])
        sink.flush()
    rows = list(csv.reader(io.StringIO((out / "t.csv").read_bytes().decode(), newline="")))
    assert rows[0] == frame.columns
    rows = [row or [""] for row in rows]  # a single empty cell is an empty line
    assert len(rows) == len(frame) + 1
    for i, name in enumerate(frame.columns):
        if frame[name].dtype == pl.String:
            assert [row[i] for row in rows[1:]] == [cell or "" for cell in frame[name].to_list()]


def tables(out: Path) -> dict[str, bytes | list[bytes]]:
    """Return the tables of a conversion, and the rows of its index in any order."""
    texts: dict[str, bytes | list[bytes]] = {
        path: data for path, data in read_tree(out).items() if path.endswith(".csv")
    }
    return {**texts, "index.csv": sorted((out / "index.csv").read_bytes().splitlines())}


def test_chunks_append_to_the_same_tables(tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    tags = [f"tag{number}" for number in range(20)]
    events = [
        event(*(scalar(tag, step) for tag in tags), text("note", f"line\n{step}"), step=step) for step in range(60)
    ]
    write_run(logdir, *events, event(simple_value("last", 1.0), step=60))
    tb2csv.convert(logdir, tmp_path / "whole")
    for chunk_size in (1, 1000, 5000):
        tb2csv.convert(logdir, tmp_path / f"chunks{chunk_size}", chunk_size=chunk_size)
        assert tables(tmp_path / f"chunks{chunk_size}") == tables(tmp_path / "whole")
    lines = (tmp_path / "whole" / "scalars" / "tag7.csv").read_text().splitlines()
    assert lines == ["wall_time,step,value", *(f"0.0,{step},{float(step)}" for step in range(60))]


def test_the_number_of_workers_makes_no_difference(tmp_path: Path) -> None:
    logdir = logs(tmp_path / "logs", runs=7)
    tb2csv.convert(logdir, tmp_path / "one", workers=1)
    tb2csv.convert(logdir, tmp_path / "many", workers=16)
    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "many")
