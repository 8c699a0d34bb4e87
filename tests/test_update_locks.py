"""Updates by several processes, by a user without permission, and by one that is interrupted."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import environment, run_process
from event_files import event, file_name, frames, image, simple_value, write_run
from permissions import enforced_permissions
from slow_cases import quick_if, slow
from tables import read_rows, read_tree
from test_updates import append, assert_same_tables, losses

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and permissions")

#: Updates a folder, and waits for a line while it has it locked.
WAITS = """
import sys
import tb2csv
from tb2csv import update_plan, folder_conversion

def plan_and_wait(*arguments, **options):
    print("locked", flush=True)
    sys.stdin.readline()
    return update_plan.plan_update(*arguments, **options)

folder_conversion.plan_update = plan_and_wait
tb2csv.convert(sys.argv[1], sys.argv[2])
"""

#: Runs the command line, and sends it an interrupt before or after the first call of a function, such as
#: ``tb2csv.sinks.ledger:Ledger.commit``.
INTERRUPTED = """
import functools, importlib, os, signal, sys
name, when, *arguments = sys.argv[1:]
module, _, path = name.partition(":")
*owners, name = path.split(".")
owner = functools.reduce(getattr, owners, importlib.import_module(module))
function = getattr(owner, name)

def interrupt():
    setattr(owner, name, function)
    for _ in range(when.count(" ") + 1):
        os.kill(os.getpid(), signal.SIGINT)

def interrupted(*arguments, **options):
    if "before" in when:
        interrupt()
    result = function(*arguments, **options)
    if "after" in when:
        interrupt()
    return result

setattr(owner, name, interrupted)
from tb2csv.cli import app
app(arguments)
"""


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Return a log that has grown since it was converted to ``out``."""
    folder = tmp_path / "logs"
    for run in ("a", "b"):
        write_run(folder / run, *losses(0, 9), event(image("picture", 1, 1, b"png"), step=1))
    tb2csv.convert(folder, tmp_path / "out")
    append(folder / "a" / file_name(), frames([*losses(9, 12), event(image("picture", 1, 1, b"two"), step=2)]))
    append(folder / "b" / file_name(), frames([event(simple_value("new", 1), step=1)]))
    return folder


@pytest.fixture
def holder(logdir: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds the lock of the output."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(logdir), str(logdir.with_name("out"))],
        cwd=Path(__file__).parent.parent,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout
    assert process.stdout.readline() == "locked\n"
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_second_process_says_which_one_has_the_lock(logdir: Path, holder: subprocess.Popen[str]) -> None:
    out = logdir.with_name("out")
    before = read_tree(out)
    for more in ([], ["--overwrite"]):
        done = run_process("convert", logdir, out, *more)
        assert (done.status, done.stdout) == (1, "")
        assert f"{out} is being updated by process {holder.pid} on {os.uname().nodename}" in done.stderr
        assert done.stderr.count("\n") == 1
    done = run_process("follow", logdir, out, "--until-idle", "1s")
    assert (done.status, done.stdout) == (1, "")
    assert f"process {holder.pid} " in done.stderr
    assert read_tree(out) == before
    holder.communicate("\n")
    assert holder.returncode == 0
    assert_same_tables(out, logdir)


@pytest.mark.slow
def test_the_lock_of_a_dead_process_is_taken_over(logdir: Path, holder: subprocess.Popen[str]) -> None:
    out = logdir.with_name("out")
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    done = run_process("convert", logdir, out)
    assert (done.status, done.stderr) == (0, "")
    assert re.search(r"5 new values", done.stdout)
    assert_same_tables(out, logdir)
    assert [path.name for path in (out / ".tb2csv").iterdir()] == ["ledger.sqlite"]


def test_tables_can_be_read_while_they_are_locked(logdir: Path, holder: subprocess.Popen[str]) -> None:
    out = logdir.with_name("out")
    assert len(tb2csv.open_tables(out)["a/scalars/loss.csv"]) == 9
    assert holder.poll() is None


# Permissions


def make_read_only(out: Path) -> None:
    for path in (*out.rglob("*"), out):
        path.chmod(0o555 if path.is_dir() else 0o444)


def make_writable(out: Path) -> None:
    for path in (out, *out.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_an_output_without_permission_to_write_is_one_sentence(logdir: Path) -> None:
    out = logdir.with_name("out")
    before = read_tree(out)
    make_read_only(out)
    with enforced_permissions():
        for more in ({}, {"overwrite": True}):
            with pytest.raises(tb2csv.OutputError, match=r"Permission denied\); nothing was changed") as error:
                tb2csv.convert(logdir, out, **more)
            assert str(out) in str(error.value)
        with pytest.raises(tb2csv.OutputError, match="Permission denied"):
            next(tb2csv.follow(logdir, out))
        assert read_tree(out) == before
    make_writable(out)
    tb2csv.convert(logdir, out)
    assert_same_tables(out, logdir)


def test_an_unchanged_log_needs_no_permission_to_write(logdir: Path) -> None:
    out = logdir.with_name("out")
    tb2csv.convert(logdir, out)
    make_read_only(out)
    with enforced_permissions():
        report = tb2csv.convert(logdir, out)
        assert report.update
        assert not report.update.is_something
        assert len(tb2csv.open_tables(out)["b/scalars/new.csv"]) == 1
    make_writable(out)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a/scalars/loss.csv", r"Permission denied\); nothing was changed"),  # rows are appended to it
        (".tb2csv", r"cannot be written|Permission denied\); nothing was changed"),
        ("b/scalars", r"is not complete \(Permission denied\); the same command finishes it"),  # it gets a new file
        ("index.csv", None),  # it is replaced
    ],
)
def test_a_part_without_permission_to_write(logdir: Path, path: str, message: str | None) -> None:
    out = logdir.with_name("out")
    before = read_tree(out)
    (out / path).chmod(0o555 if (out / path).is_dir() else 0o444)
    with enforced_permissions():
        if message is None:
            tb2csv.convert(logdir, out)
        else:
            with pytest.raises(tb2csv.OutputError, match=message):
                tb2csv.convert(logdir, out)
            assert "finishes it" in message or read_tree(out) == before
    make_writable(out)
    tb2csv.convert(logdir, out)
    assert_same_tables(out, logdir)


# Interrupts


def interrupted(name: str, when: str, *arguments: object) -> tuple[int, str]:
    """Run a command that gets an interrupt; return its exit status, and what it printed to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, name, when, *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("tb2csv.sinks.ledger:Ledger.commit", "before"),
        *slow(
            [
                ("tb2csv.folder_conversion:plan_update", "before"),
                ("tb2csv.sinks.updated_folder:UpdatedFolder.append", "after"),
                ("tb2csv.log_conversion:write_manifest", "after"),
                ("tb2csv.sinks.updated_folder:sync_files", "after"),
            ]
        ),
    ],
)
@pytest.mark.slow
def test_an_interrupt_before_the_commit_changes_nothing(logdir: Path, name: str, when: str) -> None:
    out = logdir.with_name("out")
    before = read_tree(out)
    status, message = interrupted(name, when, "convert", logdir, out)
    assert (status, message) == (130, "tb2csv: interrupted; nothing was changed.\n")
    assert read_tree(out) == before
    assert [path.name for path in (out / ".tb2csv").iterdir()] == ["ledger.sqlite"]
    tb2csv.convert(logdir, out)
    assert_same_tables(out, logdir)


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("tb2csv.sinks.ledger:Ledger.commit", "after"),
        *slow(
            [
                ("tb2csv.sinks.updated_folder:UpdatedFolder._publish", "before"),
                ("os:replace", "after"),
                ("tb2csv.sinks.updated_folder:UpdatedFolder._publish", "after"),
                ("tb2csv.update_plan:EarlierRuns.put", "before"),
            ]
        ),
    ],
)
@pytest.mark.slow
def test_an_interrupt_after_the_commit_says_that_the_tables_are_new(logdir: Path, name: str, when: str) -> None:
    out = logdir.with_name("out")
    status, message = interrupted(name, when, "convert", logdir, out)
    assert (status, message) == (130, f"tb2csv: interrupted; {out} has the tables of the last complete update.\n")
    assert [path.name for path in (out / ".tb2csv").iterdir()] == ["ledger.sqlite"]
    assert_same_tables(out, logdir)


@pytest.mark.slow
@pytest.mark.parametrize("is_new", quick_if(lambda is_new: is_new, [True, False]))
@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("tb2csv.sinks.output_folder:OutputFolder._publish", "after"),
        *slow([("tb2csv.cli.convert:print_result", "before")]),
    ],
)
def test_an_interrupt_after_the_tables_are_in_place_says_that_they_are_complete(
    logdir: Path, is_new: bool, name: str, when: str
) -> None:
    out = logdir.with_name("out")
    if is_new:
        shutil.rmtree(out)
    status, message = interrupted(name, when, "convert", logdir, out, "--overwrite")
    assert (status, message) == (130, f"tb2csv: interrupted; {out} is complete.\n")
    assert_same_tables(out, logdir)


@pytest.mark.slow
def test_the_second_interrupt_of_a_follow_says_what_the_tables_are(logdir: Path) -> None:
    out = logdir.with_name("out")
    status, message = interrupted("tb2csv.cli.follow:print_update", "before", "follow", logdir, out)
    assert (status, message) == (0, "")  # the first one ends it
    append(logdir / "a" / file_name(), frames(losses(12, 15)))
    status, message = interrupted("tb2csv.cli.follow:print_update", "twice before", "follow", logdir, out)
    assert (status, message) == (130, f"tb2csv: interrupted; {out} has the tables of the last complete update.\n")
    append(logdir / "a" / file_name(), frames(losses(15, 16)))
    status, message = interrupted(
        "tb2csv.cli.follow:print_problems", "before", "follow", logdir, out, "--until-idle=1s"
    )
    assert (status, message) == (130, f"tb2csv: interrupted; {out} is complete.\n")
    assert_same_tables(out, logdir)
