"""Measure a conversion from a web server against one from the disk, on workload B.

    python benchmarks/remote.py [--pairs 5] [--latency 0.02]

Whole processes, pairs in turn, medians. The server is a process of its own on the same processors; its processor time
is shown apart. It needs the extra `http`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import workloads
from measure import Cost, measure


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description="Measure a conversion from a web server.")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds that are added to each answer")
    options = parser.parse_args()
    prepared = workloads.prepare("B")
    local: list[Cost] = []
    remote: list[Cost] = []
    server = [sys.executable, str(workloads.HERE / "range_server.py"), str(prepared.logdir), str(options.latency)]
    with (
        workloads.folder_in_memory() as folder,
        subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin
        assert process.stdout
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        for number in range(options.pairs):
            for costs, source in ((local, str(prepared.logdir)), (remote, url)):
                out = f"{folder}/{number}-{len(local)}-{len(remote)}"
                costs.append(measure([sys.executable, "-m", "tb2csv", "convert", "--quiet", source, out]))
        process.stdin.close()
        requests, seconds = process.stdout.readline().split()
    files = sum(1 for _ in prepared.event_files())
    ratio = statistics.median(far.seconds / near.seconds for near, far in zip(local, remote, strict=True))
    for name, costs in (("local", local), ("remote", remote)):
        elapsed = statistics.median(cost.seconds for cost in costs)
        busy = statistics.median(cost.cpu_seconds for cost in costs)
        print(f"{name}: {elapsed:.2f} s, {busy:.2f} s of processor time")
    print(f"remote / local: {ratio:.2f}")
    print(f"server: {float(seconds) / options.pairs:.2f} s of processor time for each conversion")
    print(f"requests: {int(requests) / options.pairs:.0f} for {files} files and the index pages")


if __name__ == "__main__":
    main()
