"""Read the sample logs in many threads at once with the compiled scanner, and compare with the reference scanner.

It is for a Python without a global lock, and imports only what reads event files. ``tests`` must be on the path.
"""

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reading import read

THREADS = 8
ROUNDS = 20

logs = Path(__file__).resolve().parent.parent / "sample_logs"
files = [path.read_bytes() for path in sorted(logs.rglob("*tfevents*")) if path.is_file()]
expected = [read(data, "reference") for data in files]
values = sum(len(each.rows) for each in expected)
assert values > 400, values

order = [number for number in range(len(files)) for _ in range(ROUNDS)]
random.Random(0).shuffle(order)
with ThreadPoolExecutor(THREADS) as threads:
    for number, found in zip(order, threads.map(lambda number: read(files[number], "compiled"), order), strict=True):
        assert found == expected[number], f"file {number} was read differently"
if sys._is_gil_enabled():
    sys.exit("The global lock is on.")
print(f"without a global lock: {THREADS} threads read {values} values of {len(files)} files {ROUNDS} times, all alike")
