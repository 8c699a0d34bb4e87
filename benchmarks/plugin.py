"""Measure the Export tab in a TensorBoard of its own: the index, an export, and how much it slows TensorBoard.

    python benchmarks/plugin.py [WORKLOAD ...] [--gigabytes N]

Workloads are those of workloads.py, A and B if none is named. With ``--gigabytes``, the memory of an export is
measured as well, on a log of so many gigabytes that is workload A's event file over and over, one run for each.
Times are wall times as a browser on this machine would see them; memory is that of TensorBoard's process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from workloads import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

_API = "/data/plugin/tb2csv/api/"
_MB = 1_000_000
_IDLE_REQUESTS = 50
_QUIET_SECONDS = 1.0


class Server:
    """A TensorBoard that was started for this."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        """Set the address."""
        self._url = url
        self._status = Path(f"/proc/{process.pid}/status")

    def open(self, path: str, body: Any = None) -> Any:
        """Return the response to a request, a POST if it has a body."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        return urlopen(Request(self._url + path, None if body is None else json.dumps(body).encode(), headers))

    def json(self, path: str, body: Any = None) -> Any:
        """Return the JSON of a response."""
        with self.open(path, body) as response:
            return json.load(response)

    def seconds_of_runs(self) -> float:
        """Return how long TensorBoard takes for its own list of runs."""
        began = time.perf_counter()
        self.open("/data/runs").read()
        return time.perf_counter() - began

    def memory(self, field: str) -> float:
        """Return megabytes of memory: ``VmRSS`` now, ``VmHWM`` at the peak."""
        found = re.search(rf"{field}:\s+(\d+)", self._status.read_text())
        assert found
        return int(found[1]) * 1024 / _MB

    def until_quiet(self) -> None:
        """Wait until TensorBoard has loaded what it shows, and does nothing more."""
        runs = None
        while runs is None or runs != self.json("/data/runs"):
            runs = self.json("/data/runs")
            time.sleep(_QUIET_SECONDS)


@contextmanager
def started(logdir: Path) -> Iterator[Server]:
    """Start TensorBoard on a log directory."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0", "--host", "127.0.0.1"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as errors:
            process = subprocess.Popen(command, stderr=errors, stdout=subprocess.DEVNULL, cwd=folder)
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                time.sleep(0.01)
            yield Server(process, found[0])
        finally:
            process.terminate()
            process.wait()


def measure(logdir: Path) -> dict[str, float]:
    """Return what the tab takes on a log directory: seconds, megabytes, and how many times as long.

    TensorBoard's talk with its data server in Rust has two speeds, so that ``/data/runs`` takes some 44 ms at one time
    and 1 ms at another, when nothing happens as well. Hence it is given in milliseconds, too.
    """
    with started(logdir) as server:
        server.until_quiet()
        idle = statistics.median(server.seconds_of_runs() for _ in range(_IDLE_REQUESTS))
        memory = server.memory("VmRSS")
        began = time.perf_counter()
        index = _settled(server, server.json(f"{_API}index"))
        of_index = time.perf_counter() - began
        refreshes = []
        for number in range(5):
            _grow(logdir, number)
            began = time.perf_counter()
            refreshed = _settled(server, server.json(f"{_API}index?known={index['version']}"))
            refreshes.append(time.perf_counter() - began)
            if len(refreshed["runs"]) == len(index["runs"]):
                message = "what was written was not found"
                raise RuntimeError(message)
            index = refreshed
        return {
            "index, s": of_index,
            "refresh, s": statistics.median(refreshes),
            **_measure_export(server, idle),
            "memory, MB": server.memory("VmHWM") - memory,
        }


def _settled(server: Server, index: Any) -> Any:
    """Return the index when all is read, asking as often as the page does not."""
    while index["state"] == "scanning":
        time.sleep(0.02)
        index = server.json(f"{_API}index?known={index['version']}")
    return index


def _grow(logdir: Path, number: int) -> None:
    """Add a run with one value, as a writer would."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from event_files import event, scalar, write_run

    write_run(logdir / f"grown-{number}", event(scalar("loss", 1)))


def _measure_export(server: Server, idle: float) -> dict[str, float]:
    is_done = threading.Event()
    during: list[float] = []

    def watch() -> None:
        while not is_done.is_set():
            during.append(server.seconds_of_runs())
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    token = server.json(f"{_API}export", {})["token"]
    with server.open(f"{_API}download/{token}") as response:
        size = len(response.read(1))
        first_byte = time.perf_counter() - began
        while piece := response.read(1 << 20):
            size += len(piece)
    seconds = time.perf_counter() - began
    is_done.set()
    watcher.join()
    return {
        "first byte, s": first_byte,
        "export, s": seconds,
        "export, MB/s": size / seconds / _MB,
        "/data/runs when idle, ms": idle * 1000,
        "/data/runs during it, ms": statistics.median(during) * 1000,
        "/data/runs, times idle": statistics.median(during) / idle,
    }


def seconds_of_command(logdir: Path) -> float:
    """Return how long the command line takes for the same tables."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "tb2csv",
            "convert",
            "--quiet",
            "--escape-formulas",
            str(logdir),
            f"{folder}/out",
        ]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - began


@contextmanager
def scratch_copy(files: list[tuple[Path, str]]) -> Iterator[Path]:
    """Give a log directory of links to event files, each in a run of the name beside it."""
    with tempfile.TemporaryDirectory() as folder:
        for file, run in files:
            place = Path(folder, run)
            place.mkdir(parents=True, exist_ok=True)
            os.link(file, place / file.name) if _same_disk(file, place) else (place / file.name).symlink_to(file)
        yield Path(folder)


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def main() -> None:
    """Measure, and print a line for each workload."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=["A", "B"], metavar="WORKLOAD")
    parser.add_argument("--gigabytes", type=int, default=0)
    options = parser.parse_args()
    for name in options.workloads:
        log = prepare(name).logdir
        files = [(file, str(file.parent.relative_to(log))) for file in log.rglob("*tfevents*")]
        _report(name, files)
    if options.gigabytes:
        log = prepare("A").logdir
        (file,) = log.rglob("*tfevents*")
        copies = -(-options.gigabytes * 1024**3 // file.stat().st_size)
        _report(f"{options.gigabytes} GiB", [(file, f"run-{number:03}") for number in range(copies)])


def _report(name: str, files: list[tuple[Path, str]]) -> None:
    with scratch_copy(files) as logdir:
        measured = measure(logdir)
        command = seconds_of_command(logdir)
    measured["command line, s"] = command
    measured["export's speed, of the command line's"] = command / measured["export, s"]
    print(name)
    for what, value in measured.items():
        print(f"  {what:38} {value:9.3f}")


if __name__ == "__main__":
    main()
