"""Measure frames from a log directory against tbparse's, and `tb2csv summary`, on workload A.

    python benchmarks/frames.py [--pairs 3]

The calls are timed, each in a process of its own that has imported its library before; pairs in turn, medians. The
command is timed as a whole process. The event file is read once before.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import workloads

_OURS = """
import sys, time
import polars, tb2csv, tb2csv.dataframes
start = time.perf_counter()
frame = tb2csv.open_logdir(sys.argv[1]).scalars()
print(time.perf_counter() - start, len(frame))
"""
_TBPARSE = """
import sys, time
from tbparse import SummaryReader
start = time.perf_counter()
frame = SummaryReader(sys.argv[1]).tensors
print(time.perf_counter() - start, len(frame))
"""


def main() -> None:
    """Print the medians and their ratios."""
    parser = argparse.ArgumentParser(description="Measure frames against tbparse's.")
    parser.add_argument("--pairs", type=int, default=3)
    pairs = parser.parse_args().pairs
    prepared = workloads.prepare("A")
    logdir = str(prepared.logdir)
    seconds: dict[str, list[float]] = {"open_logdir(A).scalars()": [], "SummaryReader(A).tensors": [], "summary": []}
    for _ in range(pairs):
        for name, code in zip(seconds, (_OURS, _TBPARSE), strict=False):
            seconds[name].append(_call(code, logdir, prepared.rows))
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tb2csv", "summary", logdir], check=True, stdout=subprocess.DEVNULL)
        seconds["summary"].append(time.perf_counter() - start)
    ours, theirs, summary = (statistics.median(each) for each in seconds.values())
    print(f"{pairs} pairs, medians, workload A")
    print(f"open_logdir(A).scalars()  {ours:8.3f} s")
    print(f"SummaryReader(A).tensors  {theirs:8.3f} s  {theirs / ours:.0f} x as long (target: at least 80)")
    print(f"tb2csv summary A          {summary:8.3f} s  (target: at most 1)")


def _call(code: str, logdir: str, expected: int) -> float:
    """Return the seconds of a call, in a process of its own; it must have made all rows."""
    printed = subprocess.run([sys.executable, "-c", code, logdir], check=True, capture_output=True, text=True).stdout
    seconds, rows = printed.split()
    if int(rows) != expected:
        message = f"{rows} rows instead of {expected}"
        raise SystemExit(message)
    return float(seconds)


if __name__ == "__main__":
    main()
