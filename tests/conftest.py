"""Puts ``tests`` and ``tests/fuzzing`` on the path, for their modules that hold no tests, such as ``event_files``."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tb2csv.event_files.scanner_choice import SCANNER_VARIABLE
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.sinks import synced_files

if TYPE_CHECKING:
    from collections.abc import Iterator

for folder in (Path(__file__).parent, Path(__file__).parent / "fuzzing"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# A shell starts its background jobs with interrupts ignored, and so would be the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test has a time limit: machines are slow, or busy, and that says nothing of the code.
settings.register_profile("tb2csv", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tb2csv")


def pytest_configure() -> None:
    """Decide on the folder for temporary files before pytest and the processes of the tests use it."""
    from temporary_folder import use_memory  # on the path since just now

    use_memory()


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: nearly all objects stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and the tests, which it would search again and again."""
    gc.freeze()
    gc.enable()


def pytest_report_header() -> str:
    return f"temporary files: {tempfile.gettempdir()}"


@pytest.fixture(autouse=True, scope="session")
def _without_waiting_for_the_disk() -> Iterator[None]:
    """Force nothing to the disk in this process: after a test, no file has to survive a loss of power."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        patched.setattr(synced_files, "_FEW", 10**9)
        yield


#: A test that takes more seconds is slow.
QUICK = 0.5


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tests that took long and do not have the marker ``slow``, and count the blocks of pages that ran."""
    seconds: Counter[str] = Counter()
    for outcome in ("passed", "failed", "error", ""):  # without a name for what comes before and after a test
        for report in terminalreporter.stats.get(outcome, ()):
            if isinstance(report, pytest.TestReport) and "slow" not in report.keywords:
                seconds[report.nodeid] += report.duration
    long = [(test, count) for test, count in seconds.most_common() if count > QUICK]
    if long:
        terminalreporter.section(f"{len(long)} tests took more than half a second and are not marked slow")
        for test, count in long[:20]:
            terminalreporter.line(f"{count:.1f} s {test}")
    passed = {report.nodeid for report in terminalreporter.stats.get("passed", ())}
    if any("test_page_blocks.py::" in test for test in passed):
        from test_page_blocks import counted_blocks

        terminalreporter.section(counted_blocks(passed))


@pytest.fixture(params=list(SCANNERS))
def scanner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with each installed scanner, in this process and in those it starts."""
    name: str = request.param
    monkeypatch.setenv(SCANNER_VARIABLE, name)
    return name
