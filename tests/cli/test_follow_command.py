"""The command ``tb2csv follow``: signals, JSON lines, messages and exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import environment, run_here, run_process
from event_files import event, event_file, flip, frames, simple_value
from tables import read_rows, read_tree

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "events.out.tfevents.1.host"


def begin(path: Path, count: int, value: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(event_file([event(simple_value("loss", value), step=step) for step in range(count)]))
    return path


class Process:
    """A follow in a process of its own, which prints a line of JSON for each update."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tb2csv", "follow", *map(str, arguments)],
            cwd=Path(__file__).parent.parent,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def update(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        stdout, stderr = self.process.communicate()
        return self.process.returncode, stdout, stderr


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Collect processes, and end those that a failed test leaves."""
    processes: list[Process] = []
    yield processes
    for each in processes:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()
        for stream in (each.process.stdout, each.process.stderr):
            if stream is not None:
                stream.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent a signal")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_signals_end_a_follow_with_everything_committed(
    tmp_path: Path, number: signal.Signals, started: list[Process]
) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / "a" / NAME, 3)
    process = Process(logdir, out, "--json")
    started.append(process)
    first = process.update()
    assert (first["values"], first["added"]) == (3, ["a"])
    with path.open("ab") as file:
        file.write(frames([event(simple_value("loss", 2.0), step=3)]))
    second = process.update()
    assert (second["values"], second["grown"], second["values_read"]) == (1, ["a"], 4)
    with path.open("ab") as file:
        file.write(frames([event(simple_value("loss", 2.0), step=4)]))
    status, stdout, stderr = process.end(number)  # what was written before the signal is converted
    assert (status, stderr) == (0, "")
    assert all(json.loads(line) for line in stdout.splitlines())
    tb2csv.convert(logdir, tmp_path / "fresh")
    assert read_tree(out) == read_tree(tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be killed by a signal")
def test_a_killed_follow_is_continued(tmp_path: Path, started: list[Process]) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / "a" / NAME, 3)
    process = Process(logdir, out, "--json", "--every", "250ms")
    started.append(process)
    process.update()
    for step in range(3, 9):
        with path.open("ab") as file:
            file.write(frames([event(simple_value("loss", 2.0), step=step)]))
        process.update()
    assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert tb2csv.convert(logdir, out).update is not None
    tb2csv.convert(logdir, tmp_path / "fresh")
    assert read_tree(out) == read_tree(tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent a signal")
def test_a_follow_that_waits_says_so_and_ends_with_status_0(tmp_path: Path, started: list[Process]) -> None:
    process = Process(tmp_path / "missing", tmp_path / "out")
    started.append(process)
    assert process.process.stderr is not None
    assert "waiting" in process.process.stderr.readline()
    status, stdout, _ = process.end(signal.SIGTERM)
    assert (status, stdout) == (0, "")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_messages_and_status_of_a_follow(tmp_path: Path) -> None:
    path = begin(tmp_path / "log" / "a" / NAME, 20, float("nan"))
    path.write_bytes(flip(path.read_bytes(), 200))
    done = run_process("follow", tmp_path / "log", tmp_path / "out", "--until-idle", "1s", "--diagnose")
    assert done.status == 3
    assert "byte 194" in done.stderr
    assert "'a', loss, steps 0 to 19: not_finite" in done.stdout
    assert done.stdout.count("not_finite") == 1
    assert len(read_rows(tmp_path / "out/a/scalars/loss.csv")) == 20
    quiet = run_process("follow", tmp_path / "log", tmp_path / "out", "--until-idle", "1s", "--quiet", "--poll")
    assert quiet == (3, "", "")


@pytest.mark.slow
def test_a_follow_selects_rows_and_replaces_an_earlier_conversion(tmp_path: Path) -> None:
    begin(tmp_path / "log" / "a" / NAME, 9)
    tb2csv.convert(tmp_path / "log", tmp_path / "out")
    selected = ["--min-step", "2", "--max-step", "6", "--restarts", "purge", "--sessions"]
    done = run_process("follow", tmp_path / "log", tmp_path / "out", "--overwrite", "--until-idle", "1s", *selected)
    assert (done.status, done.stderr) == (0, "")
    assert run_process("convert", tmp_path / "log", tmp_path / "fresh", *selected).status == 0
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "fresh")
    assert run_process("follow", tmp_path / "log", tmp_path / "out", "--last", "--until-idle", "1s").status == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudoterminals")
def test_a_terminal_shows_runs_rows_and_the_age_of_the_last(tmp_path: Path) -> None:
    begin(tmp_path / "log" / "a" / NAME, 3)
    master, slave = os.openpty()
    arguments = ["follow", tmp_path / "log", tmp_path / "out", "--until-idle", "1s"]
    with subprocess.Popen(
        [sys.executable, "-m", "tb2csv", *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        env={name: value for name, value in environment(COLUMNS="80").items() if name != "TERM"} | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=slave,
        stdin=subprocess.DEVNULL,
    ) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a pseudoterminal
            while part := os.read(master, 4096):
                shown += part
    os.close(master)
    assert process.returncode == 0
    assert b"1 run, 3 values read, the last one 0 s ago" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (90000, "25 h")]
)
def test_ages_are_in_seconds_minutes_or_hours(seconds: float, text: str) -> None:
    from tb2csv.cli.follow import age_text

    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--threshold", "nothing=1", "--diagnose"], "nothing"),
        (["--as", "loss=*"], "--diagnose"),
        (["--every", "soon"], "--every"),
        (["--until-idle", "5x"], "--until-idle"),
        (["--format", "xls"], "xls"),
    ],
)
def test_bad_options_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    done = run_here(capsys, "follow", tmp_path, tmp_path / "out", *arguments)
    assert done.status == 2
    assert named in done.stderr
