"""An interrupt that the system delivers to another thread than the main one."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import typer
from event_files import event, scalar, write_run

import tb2csv
from tb2csv.analysis import summaries
from tb2csv.cli import interrupts
from tb2csv.cli.interrupts import after_change
from tb2csv.cli.terminal import error_messages
from tb2csv.parallel import map_runs
from tb2csv.sinks.append_writer import AppendWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a thread cannot be sent a signal")

CHUNKS = 200


@pytest.fixture(autouse=True)
def _interrupts_are_errors() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupting:
    """Sends the signal to the thread of its eleventh call, and makes each call take a while."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.calls = 0
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        if self.calls == 10:
            assert threading.current_thread() is not threading.main_thread()
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        self.calls += 1
        time.sleep(0.01)
        return self._function(*arguments)


def write_one_run(folder: Path) -> None:
    """Write a run of a single file, which gives as many chunks as it has values."""
    write_run(folder / "run", *(event(scalar("loss", 1.0), step=step) for step in range(CHUNKS)))


def test_conversion_ends_within_some_chunks_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_one_run(tmp_path / "logs")
    out = tmp_path / "outputs" / "out"
    out.parent.mkdir()
    tb2csv.convert(tmp_path / "logs", out)
    before = (out / "index.csv").read_bytes()
    append = Interrupting(AppendWriter.append)
    monkeypatch.setattr(AppendWriter, "append", lambda *arguments: append(*arguments))  # noqa: PLW0108 - a method
    with pytest.raises(KeyboardInterrupt):
        tb2csv.convert(tmp_path / "logs", out, overwrite=True, chunk_size=60)
    assert append.calls < CHUNKS / 2
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (out / "index.csv").read_bytes() == before


def test_summary_ends_within_some_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_one_run(tmp_path)
    reduce = Interrupting(summaries.reduced)
    monkeypatch.setattr(summaries, "reduced", reduce)
    with pytest.raises(KeyboardInterrupt):
        tb2csv.summary(tmp_path, chunk_size=60)
    assert reduce.calls < CHUNKS / 2


@pytest.mark.parametrize("count", [1, 5])
def test_work_on_runs_ends_when_it_next_counts_bytes(count: int) -> None:
    rounds = Interrupting(lambda: None)

    def work(_: int, passed: Callable[[int], None]) -> None:
        for _round in range(CHUNKS):
            rounds()
            passed(0)

    with pytest.raises(KeyboardInterrupt):
        map_runs(work, range(count), workers=2)
    assert rounds.calls < CHUNKS / 2


@pytest.mark.parametrize(
    ("place", "change"),
    [(contextlib.nullcontext(), "nothing was changed"), (after_change("tables"), "tables is complete")],
    ids=["before the change", "after it"],
)
def test_another_exception_in_place_of_an_interrupt_is_one(
    place: Any, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """polars 2.1.0 may raise a TypeError if an interrupt comes while it calls Python."""

    def call_polars() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            message = "'<unprintable str object>' is not a Polars data type"
            raise TypeError(message) from None

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with pytest.raises(typer.Exit) as ended, error_messages(debug=False), place:
        call_polars()
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == f"tb2csv: interrupted; {change}.\n"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


IMPORTED_SLOWLY = """
import signal, sys, time
try:
    signal.raise_signal(signal.SIGINT)
    for _ in range(20):
        time.sleep(0.01)
except BaseException:
    pass  # as importlib's own callbacks do, which print the exception
is_complete = True
"""


IMPORTED_NEVER = """
import signal, time
signal.raise_signal(signal.SIGINT)
time.sleep(60)
raise TimeoutError
"""


def test_an_interrupt_during_an_import_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception in the middle of an import may be lost, or leave the lock of all imports locked."""
    (tmp_path / "imported_slowly.py").write_text(IMPORTED_SLOWLY)
    monkeypatch.syspath_prepend(tmp_path)
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def command() -> None:
        import_module("imported_slowly")
        for _ in range(500):
            time.sleep(0.01)

    with pytest.raises(typer.Exit) as ended, error_messages(debug=False):
        command()
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "tb2csv: interrupted; nothing was changed.\n"
    assert sys.modules.pop("imported_slowly").is_complete


def test_an_interrupt_does_not_wait_for_an_import_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interrupts, "_PATIENCE", 0.1)
    (tmp_path / "never_imported.py").write_text(
        "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(60)"
    )
    monkeypatch.syspath_prepend(tmp_path)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with pytest.raises(typer.Exit) as ended, error_messages(debug=False):
        import_module("never_imported")
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "tb2csv: interrupted; nothing was changed.\n"


def test_an_error_without_an_interrupt_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with pytest.raises(typer.Exit) as ended, error_messages(debug=False), after_change("tables"):
        raise TypeError
    assert ended.value.exit_code == 1
    assert "unexpected error" in capsys.readouterr().err
