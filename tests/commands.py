"""tb2csv's command line: in this process if that is enough, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tb2csv.cli import app


class Ran(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    stdout: str
    stderr: str


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Run a command in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        app([str(argument) for argument in arguments])
    status = end.value.code
    assert status is None or isinstance(status, int)
    return Ran(status or 0, *capsys.readouterr())


def run_in(folder: Path, *arguments: object, **variables: str) -> tuple[int, str]:
    """Run a command in this process and in a folder; return its status, and what it prints on both streams in order."""
    printed = io.BytesIO()
    stream = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for name, value in variables.items():
            patched.setenv(name, value)
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream), pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments], prog_name="tb2csv")
    status = end.value.code
    assert status is None or isinstance(status, int)
    return status or 0, printed.getvalue().decode()


#: With an unbuffered standard output, Python does not notice that only a part of a text could be written.
_UNWANTED = {"FORCE_COLOR", "GITHUB_ACTIONS", "PYTHONUNBUFFERED"}


def environment(**changes: str) -> dict[str, str]:
    """Return the environment for a process of its own: plain text, 100 columns of it, and buffered."""
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return kept | plain | changes


def run_process(*arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, **more: Any) -> Ran:
    """Run ``python -m tb2csv`` in a process of its own, started in a folder without the sources."""
    command = [sys.executable, "-m", "tb2csv", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=cwd or Path(__file__).parent,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        stdin=subprocess.DEVNULL,
        **more,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
