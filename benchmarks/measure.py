"""Run one process from start to end and measure what it costs.

The process that measures must stay small. Linux hands the peak memory of a process on to the
program that it starts in its place, so a child would appear to use at least what its parent used:
hence neither `run.py` nor anything that it imports loads numpy, polars or TensorBoard.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PATIENCE_SECONDS = 3600.0
_KEPT_OF_STDERR = 2_000
_KIB_PER_MB = 1000 * 1000 / 1024


@dataclass(frozen=True)
class Cost:
    """What a process took: elapsed time, time of all its threads, peak memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float  # of the largest process, if it started others


class FailedRunError(Exception):
    """A run whose time is meaningless: it failed or its output is wrong."""


def _inherited() -> dict[str, str]:
    """Return the environment without what keeps Python from storing compiled modules.

    pip compiles the modules of a package on installation; those of an editable install would be compiled in every run.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    until: str | None = None,
    folder: Path | None = None,
) -> Cost:
    """Run a command and give its cost; with `until`, up to the line on stderr that has that text.

    `folder` is the current directory of the process.

    A process that is measured `until` a line is a server: it is terminated once the line came,
    and fails if it warned of anything before.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**_inherited(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors if until is None else subprocess.PIPE,
        )
        impatience = threading.Timer(_PATIENCE_SECONDS, os.kill, (process.pid, signal.SIGKILL))
        impatience.start()
        complaint = ""
        ended = 0.0
        try:
            if until is not None:
                assert process.stderr is not None
                complaint = _wait_for_line(process.stderr, until)
                ended = time.perf_counter()
                os.kill(process.pid, signal.SIGTERM)
            # Not `Popen.wait`: only `wait4` reports the cost of this one child.
            _, status, usage = os.wait4(process.pid, 0)
            ended = ended or time.perf_counter()
        finally:
            impatience.cancel()
            if process.stderr is not None:
                process.stderr.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        if until is None and process.returncode != 0:
            errors.seek(0)
            tail = errors.read().decode(errors="replace")[-_KEPT_OF_STDERR:]
            message = f"exit status {process.returncode}: {tail.strip()}"
            raise FailedRunError(message)
        if complaint:
            raise FailedRunError(complaint)
    return Cost(
        seconds=ended - began,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / _KIB_PER_MB,
    )


def _wait_for_line(stream: IO[bytes], text: str) -> str:
    """Read lines until one has the text; give what went wrong before, "" if nothing."""
    complaint = ""
    for raw in stream:
        line = raw.decode(errors="replace").strip()
        if text in line:
            return complaint
        if " WARN " in line or " ERROR " in line:
            complaint = complaint or line
    return complaint or f"ended without a line that has {text!r}"
