"""Is what a contender wrote right? A fast wrong answer must not be timed.

`check_tables` counts: as many tables and rows as the log has, under the right header. It runs after
every run, and in the measuring process, so it imports nothing large. `check_values` compares
tb2csv's tables with the log's values one by one, in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import workloads
from measure import FailedRunError

if TYPE_CHECKING:
    from pathlib import Path

_READ_AT_ONCE = 1 << 20


def check_tables(prepared: workloads.Prepared, out: Path) -> None:
    """Raise unless the CSV files below a folder have the tables and rows of the log."""
    header = ",".join(prepared.columns).encode()
    tables = rows = 0
    for path in out.rglob("*.csv"):
        if path == out / "index.csv":  # tb2csv's table of contents
            continue
        with path.open("rb") as stream:
            if stream.readline().rstrip(b"\r\n") != header and header:  # without one, the tables differ
                message = f"{path.relative_to(out)} does not begin with {header.decode()}"
                raise FailedRunError(message)
            while piece := stream.read(_READ_AT_ONCE):
                rows += piece.count(b"\n")
        tables += 1
    if (tables, rows) != (len(prepared.tables), prepared.rows):
        message = (
            f"wrote {tables:,} tables with {rows:,} rows instead of {len(prepared.tables):,} with {prepared.rows:,}"
        )
        raise FailedRunError(message)


def check_values(prepared: workloads.Prepared, out: Path) -> None:
    """Raise unless each table that tb2csv wrote reads back to the bits of the log's values."""
    script = str(workloads.HERE / "compare_values.py")
    command = [sys.executable, script, str(prepared.folder), str(out)]
    answer = subprocess.run(command, capture_output=True, check=False)
    if answer.returncode != 0:
        raise FailedRunError(answer.stderr.decode(errors="replace").strip().rpartition("\n")[2])
