"""Disks that fail and memory that ends in the middle of a command: the output is whole or untouched."""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import environment, run_here
from event_files import event, file_name, frames, scalar, write_run
from kills import CASES, Prepared, content, without_private_files
from slow_cases import slow
from tables import read_tree

import tb2csv
import tb2csv.model_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of processes, and descriptors")

KIB, MIB = 1 << 10, 1 << 20


# Limits that the system sets, which count for compiled code as well


def run_limited(prepared: Prepared, limit: str, most: int) -> subprocess.CompletedProcess[str]:
    """Run the command of a case in its folder, with a limit of the system; its files are as before."""
    import resource  # not everywhere

    def set_limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(getattr(resource, limit), (most, most))

    shutil.rmtree(prepared.work, ignore_errors=True)
    shutil.copytree(prepared.folder_before, prepared.work)
    command = [sys.executable, "-m", "tb2csv", *prepared.case.command]
    try:
        return subprocess.run(
            command,
            cwd=prepared.work,
            env=environment(),
            preexec_fn=set_limit,
            capture_output=True,
            text=True,
            check=False,
            timeout=10 if limit == "RLIMIT_AS" else None,
        )
    except subprocess.TimeoutExpired:  # polars 2.1.0 may wait for threads that found no memory
        return subprocess.CompletedProcess(command, -signal.SIGKILL, "", "")


@pytest.fixture(scope="module", params=CASES)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(CASES[request.param], tmp_path_factory.mktemp("prepared") / "case")


@pytest.fixture
def assert_next_is_complete(
    prepared: Prepared, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Return a function that asserts that the same command gives all without a limit, and leaves nothing else."""

    def run_it() -> None:
        with monkeypatch.context() as patched:
            patched.chdir(prepared.work)
            run_here(capsys, *prepared.case.command)
        assert content(prepared.work) == prepared.after
        shutil.rmtree(prepared.work)

    return run_it


@pytest.mark.slow
def test_a_file_that_cannot_grow_leaves_the_output_whole_or_untouched(
    prepared: Prepared, assert_next_is_complete: Callable[[], None]
) -> None:
    for most in limits(prepared, 0, KIB, 20 * KIB):
        ran = run_limited(prepared, "RLIMIT_FSIZE", most)
        assert ran.returncode == 1
        (line,) = ran.stderr.splitlines()
        assert line.startswith("tb2csv: ")
        assert "File too large" in line or "disk I/O error" in line
        assert content(prepared.work) == prepared.before
    assert_next_is_complete()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space")
def test_memory_that_ends_leaves_the_output_whole_or_untouched(
    prepared: Prepared, assert_next_is_complete: Callable[[], None]
) -> None:
    """Compiled code ends the process, and the next command then removes what it left."""
    for most in limits(prepared, 300 * MIB, 500 * MIB, 700 * MIB):
        ran = run_limited(prepared, "RLIMIT_AS", most)
        found = content(prepared.work)
        if ran.returncode:  # memory to tidy up may be missing as well
            found = without_private_files(found)
        if ran.returncode in {0, 1}:
            # numpy's library for matrices ends the process itself. Without memory, Python may leave a line unfinished.
            sentences = re.findall(r"tb2csv: |^OpenBLAS error: ", ran.stderr, re.MULTILINE)
            assert len(sentences) == ran.returncode, ran.stderr
            assert "unexpected error" not in ran.stderr
        assert found in (prepared.before, prepared.after) or not prepared.case.is_exchanged
        assert_next_is_complete()


def limits(prepared: Prepared, *all_limits: int) -> list[int]:
    """Return two of three limits; the cases take turns, because most of what a limit stops is the same in all."""
    left_out = list(CASES.values()).index(prepared.case) % 3
    return [limit for place, limit in enumerate(all_limits) if place != left_out]


# Errors that a call of the system gives


class FailingFile:
    """A file whose end fails: a network file system reports there what it could not write."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def fail_on(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call of the system fail, if it concerns a file that is written."""

    def fail(*_: object) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    if call != "close":
        monkeypatch.setattr(os, call, fail)
    real_open, os_open, os_close = io.open, os.open, os.close
    written: set[int] = set()

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        found = real_open(file, mode, *arguments, **options)
        return FailingFile(found) if set(mode) & set("wax+") else found

    def opened_by_system(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        descriptor = os_open(path, flags, *arguments, **options)
        if flags & os.O_APPEND:
            written.add(descriptor)
        return descriptor

    def closed(descriptor: int) -> None:
        os_close(descriptor)
        if descriptor in written:
            written.discard(descriptor)
            fail()

    if call == "close":
        monkeypatch.setattr(io, "open", opened)
        monkeypatch.setattr(builtins, "open", opened)
        monkeypatch.setattr(os, "open", opened_by_system)
        monkeypatch.setattr(os, "close", closed)


def _convert(folder: Path) -> None:
    tb2csv.convert(folder / "log", folder / "outputs" / "out")


def _convert_to_tags(folder: Path) -> None:
    tb2csv.convert(folder / "log", folder / "outputs" / "out", layout="tags", format="parquet")


def _repair(folder: Path) -> None:
    tb2csv.repair(folder / "log", folder / "outputs" / "out")


def _export(folder: Path) -> None:
    tb2csv.model_state.export_state(folder / "model.npz", folder / "outputs" / "out", overwrite=True)


def _restore(folder: Path) -> None:
    out = folder / "outputs" / "out.npz"
    tb2csv.model_state.restore_file(folder / "state.csv", folder / "model.npz", out, overwrite=True)


def prepare(folder: Path) -> None:
    write_run(folder / "log" / "run", *(event(scalar("loss", step / 8), step=step) for step in range(9)))
    np.savez(folder / "model.npz", layer=np.arange(6.0))
    tb2csv.model_state.export_state(folder / "model.npz", folder / "state.csv")
    (folder / "outputs").mkdir()


@pytest.mark.parametrize("call", ["write", "fsync", "close"])
@pytest.mark.parametrize("work", [_convert, _repair, _export, _restore, *slow([_convert_to_tags])])
def test_a_failing_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Path], None], call: str
) -> None:
    prepare(tmp_path)
    with monkeypatch.context() as failing:
        fail_on(call, failing)
        try:
            work(tmp_path)
        except tb2csv.OutputError as error:
            message = str(error)
        else:
            assert call == "write", "only a few files are written by this call"
            return
    assert os.strerror(errno.EIO) in message
    assert "\n" not in message
    assert read_tree(tmp_path / "outputs") == {}
    assert list((tmp_path / "outputs").iterdir()) == []
    work(tmp_path)
    assert len(list((tmp_path / "outputs").iterdir())) == 1


@pytest.mark.parametrize("call", ["fsync", "close"])
def test_a_failing_disk_leaves_the_tables_before_an_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    prepare(tmp_path)
    _convert(tmp_path)
    out = tmp_path / "outputs" / "out"
    before = read_tree(out)
    with (tmp_path / "log" / "run" / file_name()).open("ab") as file:
        file.write(frames([event(scalar("loss", 2.0), scalar("new", 1.0), step=9)]))
    with monkeypatch.context() as failing:
        fail_on(call, failing)
        with pytest.raises(tb2csv.OutputError, match=os.strerror(errno.EIO)):
            _convert(tmp_path)
    assert read_tree(out) == before
    assert [path.name for path in (out / ".tb2csv").iterdir()] == ["ledger.sqlite"]
    _convert(tmp_path)
    assert (out / "run/scalars/new.csv").exists()


class PanicException(BaseException):
    """Has the name of the exception that polars raises when its compiled code fails; that is no Exception either."""


@pytest.mark.parametrize(
    "error",
    [
        *(MemoryError("a cause"), MemoryError(), PanicException("a cause"), ImportError("x"), SystemError("a cause")),
        *(RuntimeError("can't allocate read lock"), RuntimeError("can't start new thread")),  # of Python itself
    ],
)
def test_what_the_system_lacks_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    prepare(tmp_path)

    def fail(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr("tb2csv.conversion.convert", fail)
    ran = run_here(capsys, "convert", tmp_path / "log", tmp_path / "out")
    assert (ran.status, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("tb2csv: ")
    assert line.endswith(".")
    assert str(error) in line
    assert "unexpected error" not in line
