"""Measure conversions on a Dask cluster with one worker and with two, on workload B five times.

    python benchmarks/cluster.py [--pairs 5] [--copies 5]

Each cluster is a scheduler and its workers on this machine, which the client and both clusters share. The clusters take
turns, and the one that waits does nothing but answer heartbeats. Processor time is that of the client, the scheduler
and the workers. Logs and tables are in memory if possible. It needs the extra `dask`.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import workloads
from measure import Cost, FailedRunError, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The command ``dask``, which has no module of the same name.
_DASK = [sys.executable, "-c", "from dask.__main__ import main; main()"]
_WORKERS = (1, 2)


@dataclass(frozen=True)
class _Cluster:
    file: Path
    processes: Sequence[int]

    def convert(self, logdir: Path, out: Path) -> Cost:
        """Convert a log, and return what client, scheduler and workers needed together."""
        before = _cpu_seconds(self.processes)
        command = [sys.executable, "-m", "tb2csv", "convert", "--quiet", str(logdir), str(out)]
        cost = measure([*command, "--scheduler-file", str(self.file)])
        return Cost(cost.seconds, cost.cpu_seconds + _cpu_seconds(self.processes) - before, cost.peak_mb)


def main() -> None:
    """Print the medians, and those of the pairs' ratios."""
    parser = argparse.ArgumentParser(description="Measure conversions on a Dask cluster.")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--copies", type=int, default=5, help="how many times workload B is in the log")
    options = parser.parse_args()
    prepared = workloads.prepare("B")
    costs: dict[int, list[Cost]] = {count: [] for count in _WORKERS}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(workloads.folder_in_memory()))
        for number in range(options.copies):
            shutil.copytree(prepared.logdir, folder / "logs" / str(number))
        measure([sys.executable, "-m", "tb2csv", "convert", "--quiet", str(folder / "logs"), str(folder / "local")])
        clusters = {count: stack.enter_context(_started(folder / f"cluster{count}", count)) for count in _WORKERS}
        for number in range(-1, options.pairs):  # the first is not counted: workers import modules in it
            for count, cluster in clusters.items():
                out = folder / f"tables{count}"
                cost = cluster.convert(folder / "logs", out)
                _check(out, folder / "local")
                shutil.rmtree(out)
                if number >= 0:
                    costs[count].append(cost)
        size = sum(file.stat().st_size for file in (folder / "logs").rglob("*") if file.is_file())
    print(f"{options.copies} x B, {size / 1e6:.0f} MB; medians of {options.pairs} pairs")
    for count, taken in costs.items():
        seconds, busy = ([getattr(cost, name) for cost in taken] for name in ("seconds", "cpu_seconds"))
        print(
            f"{count} worker{'s' * (count > 1)}: {statistics.median(seconds):.2f} s "
            f"({min(seconds):.2f} to {max(seconds):.2f}), {statistics.median(busy):.2f} s of processor time"
        )
    one, two = costs.values()
    faster = [a.seconds / b.seconds for a, b in zip(one, two, strict=True)]
    more = [b.cpu_seconds / a.cpu_seconds for a, b in zip(one, two, strict=True)]
    print(f"2 workers: {statistics.median(faster):.2f} x faster ({min(faster):.2f} to {max(faster):.2f})")
    print(f"2 workers: {statistics.median(more):.2f} x as much processor time ({min(more):.2f} to {max(more):.2f})")


def _check(out: Path, local: Path) -> None:
    """Raise unless a conversion has the bytes of a local one."""
    ours, theirs = (
        {path.relative_to(root): path for path in root.rglob("*") if path.is_file() and ".tb2csv" not in path.parts}
        for root in (out, local)
    )
    same = ours.keys() == theirs.keys() and all(
        filecmp.cmp(path, theirs[name], shallow=False) for name, path in ours.items()
    )
    if not same:
        message = "the tables of the cluster are not those of a local conversion"
        raise FailedRunError(message)


@contextlib.contextmanager
def _started(folder: Path, workers: int) -> Iterator[_Cluster]:
    """Start a scheduler and its workers, and end them."""
    folder.mkdir()
    file = folder / "scheduler.json"
    commands = [["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]]
    for number in range(workers):
        local = ["--local-directory", str(folder / f"worker{number}")]
        commands.append(["worker", "--no-nanny", "--nthreads", "1", "--no-dashboard", *local])
    processes: list[subprocess.Popen[bytes]] = []
    with (folder / "log").open("wb") as log:
        try:
            for command in commands:
                full = [*_DASK, *command, "--scheduler-file", str(file)]
                processes.append(subprocess.Popen(full, stdout=log, stderr=log, cwd=folder))
                while not file.is_file():
                    if processes[0].poll() is not None:
                        sys.exit((folder / "log").read_text(errors="replace"))
                    time.sleep(0.05)
            yield _Cluster(file, [process.pid for process in processes])
        finally:
            for process in reversed(processes):
                process.kill()  # nothing of a cluster has to be kept
                process.wait()


def _cpu_seconds(processes: Sequence[int]) -> float:
    """Return the processor time that processes have used, with all their threads."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # of user and system
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
