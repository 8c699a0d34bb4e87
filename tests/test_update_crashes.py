"""Conversions and updates that are killed, or that meet a full disk, and the tables after the next one."""

from __future__ import annotations

import builtins
import errno
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, event_file, file_name, frames, image, scalar, simple_value, text
from growing import GrowingLog, convert_cut, tables_at_once
from tables import read_tree

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext

TESTS = Path(__file__).parent

#: How many processes each slow test kills; TB2CSV_KILLS gives another number.
KILLS = int(os.environ.get("TB2CSV_KILLS", "8"))


def _events(run: int, first: int) -> list[Any]:
    return [
        event(
            simple_value("loss", step / 8), scalar(f"tag {step % 5}", run), image("picture", 1, 1, b"%d" % step),
            step=step, wall_time=2.0 + step,
        )
        for step in range(first, first + 9)
    ]  # fmt: skip


LOG = GrowingLog(
    [
        *((f"run{run}/{file_name()}", event_file(_events(run, 0), wall_time=1.0)) for run in range(4)),
        *((f"run{run}/{file_name()}", frames(_events(run, 9))) for run in range(4)),
        (f"run1/{file_name(1)}", event_file([event(text("note", "new file"), wall_time=99)], wall_time=99.0)),
        (f"run0/{file_name(1)}", event_file(_events(0, 0), wall_time=0.0)),  # an earlier file: the run is made anew
        *((f"run{run}/{file_name()}", frames(_events(run, 18))) for run in range(1, 4)),
    ]
)


def leftovers(out: Path) -> list[str]:
    """Return what a conversion should not leave in its private folder and beside the output."""
    beside = [path.name for path in out.parent.iterdir() if path.name.startswith(f".{out.name}.")]
    return beside + [path.name for path in (out / ".tb2csv").iterdir() if path.name != "ledger.sqlite"]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> ForkServerContext:
    """Return what starts forks of a process without threads that has imported all of it; it needs the path."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), *sys.path]))
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__, "tb2csv.conversion"])
    return found


def _convert_as_it_grows(logdir: Path, out: Path, written: int, has_converted: Connection) -> None:
    tb2csv.convert(logdir, out)
    has_converted.send(None)
    for stop in range(written + 200, len(LOG) + 200, 200):
        LOG.write(logdir, written, stop)
        written = stop
        tb2csv.convert(logdir, out)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_killed_conversion_is_made_good_by_the_next_one(
    tmp_path: Path, seed: int, processes: ForkServerContext
) -> None:
    expected = tables_at_once(LOG, tmp_path / "at once")
    generator = random.Random(seed)
    killed = 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        logdir, out = folder / "log", folder / "out"
        logdir.mkdir(parents=True)
        written = generator.randrange(200, len(LOG) // 2)
        LOG.write(logdir, 0, written)
        converted, has_converted = processes.Pipe(duplex=False)
        process = processes.Process(target=_convert_as_it_grows, args=(logdir, out, written, has_converted))
        process.start()
        has_converted.close()  # only the process has it now
        if number % 4:  # kill an update, and otherwise the first conversion
            converted.recv()
        else:
            while not any(folder.glob(".out.*")) and process.is_alive():
                time.sleep(0.001)
        time.sleep(generator.random() * (0.6 if number % 4 else 0.1))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        converted.close()
        sizes = {path: sum(len(data) for name, data in LOG.writes if name == path) for path, _ in LOG.writes}
        assert all((logdir / path).stat().st_size <= size for path, size in sizes.items() if (logdir / path).exists())
        _complete(logdir)
        tb2csv.convert(logdir, out)
        assert read_tree(out) == expected, number
        assert leftovers(out) == [], number
    assert killed > KILLS // 2


def _complete(logdir: Path) -> None:
    """Write what is missing of each file."""
    whole: dict[str, bytes] = {}
    for path, data in LOG.writes:
        whole[path] = whole.get(path, b"") + data
    for path, data in whole.items():
        place = logdir / path
        place.parent.mkdir(exist_ok=True)
        with place.open("ab") as file:
            file.write(data[file.tell() :])


# Faults at every call


#: Calls that need room.
CALLS = ("replace", "rename", "fsync", "makedirs", "mkdir", "write", "open")
#: Calls after which a process may end as well.
OTHER_CALLS = ("unlink", "truncate", "rmdir", "close", "scandir")


class Faults:
    """Calls of the system that fail, or end the process, from a number of calls on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], *names: str) -> None:
        self.left = -1
        self.calls = 0
        for name in (*CALLS, *names):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), act))
        monkeypatch.setattr(builtins, "open", self._counted(builtins.open, act))

    def _counted(self, call: Callable[..., Any], act: Callable[[], None]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            is_read = call.__name__ == "open" and (
                args[1:2] in ((), ("rb",)) or (isinstance(args[1], int) and not args[1] & os.O_CREAT)
            )
            if self.left >= 0 and not is_read:
                self.calls += 1
                if self.calls > self.left:
                    act()
            return call(*args, **kwargs)

        return counted


def _no_space() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


CUTS = [len(LOG) // 3, len(LOG) * 2 // 3]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2])
def test_a_full_disk_leaves_the_committed_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The disk is full from any call on; when there is room again, the next update is complete."""
    expected = tables_at_once(LOG, tmp_path / "at once")
    faults = Faults(monkeypatch, _no_space)
    number, is_over = 0, False
    while not is_over:
        folder = tmp_path / str(number)
        logdir, out = folder / "log", folder / "out"
        (folder / "log").mkdir(parents=True)
        LOG.write(logdir, 0, CUTS[0])
        before: dict[str, bytes] = {}
        if step == 2:
            tb2csv.convert(logdir, out)
            before = read_tree(out)
            LOG.write(logdir, CUTS[0], CUTS[1])
        faults.left, faults.calls = number, 0
        message = ""
        try:
            tb2csv.convert(logdir, out)
        except tb2csv.OutputError as error:
            message = str(error)
        is_over, faults.left = faults.calls <= number, -1
        assert "\n" not in message
        if message and "is not complete" not in message:  # else it is committed, and not all is in place
            found = read_tree(out) if out.exists() else {}
            assert {path: found[path][: len(data)] for path, data in before.items()} == before
        LOG.write(logdir, CUTS[step - 1], len(LOG))
        tb2csv.convert(logdir, out)
        assert read_tree(out) == expected, number
        assert leftovers(out) == [], number
        number += 7 if number > 30 else 1
    assert number > 30


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_process_that_ends_at_any_call_leaves_what_the_next_one_completes(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    expected = tables_at_once(LOG, tmp_path / "at once")
    base = tmp_path / "base"
    base.mkdir()
    for number in _every_few():
        folder = base / str(number)
        logdir, out = folder / "log", folder / "out"
        logdir.mkdir(parents=True)
        LOG.write(logdir, 0, CUTS[1])
        tb2csv.convert(logdir, out)
        LOG.write(logdir, CUTS[1], len(LOG))
        process = processes.Process(target=_convert_until_call, args=(logdir, out, number))
        process.start()
        process.join()
        assert process.exitcode in (0, 77)
        tb2csv.convert(logdir, out)
        assert read_tree(out) == expected, number
        assert leftovers(out) == [], number
        if process.exitcode == 0:
            break


def _convert_until_call(logdir: Path, out: Path, number: int) -> None:
    """Convert in a process that ends, without any cleaning up, at a call of the system."""
    faults = Faults(pytest.MonkeyPatch(), lambda: os._exit(77), *OTHER_CALLS)
    faults.left = number
    tb2csv.convert(logdir, out, workers=1)


def _every_few() -> Iterator[int]:
    yield from range(0, 10_000, 23)


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = convert_cut(LOG, [len(LOG) // 2], tmp_path)
    before = read_tree(out)
    with (tmp_path / "log" / f"run2/{file_name()}").open("ab") as file:
        file.write(frames(_events(2, 40)))
    monkeypatch.setattr(os, "fsync", lambda _: _no_space())
    with pytest.raises(tb2csv.OutputError, match="No space left on device"):
        tb2csv.convert(tmp_path / "log", out)
    assert read_tree(out) == before
    assert leftovers(out) == []
