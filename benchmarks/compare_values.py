"""Compare the tables that tb2csv wrote with the values that the log was made from, bit by bit.

Run by `check.check_values` as `python compare_values.py WORKLOAD OUT`; the exit status is 1, with
the reason on standard error, unless every table that `index.csv` lists reads back to its values.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

import workloads


def compare(prepared: workloads.Prepared, out: Path) -> None:
    """Read every table back and compare it with its part of the decoded columns."""
    expected = pl.DataFrame({name: np.load(path, mmap_mode="r") for name, path in prepared.column_files.items()})
    index = pl.read_csv(out / "index.csv", schema_overrides={"run": pl.String, "tag": pl.String})
    paths = {(run, tag): path for path, run, tag in index.select("path", "run", "tag").rows()}
    start = 0
    for table in prepared.tables:
        rows = expected.slice(start, table.rows)
        start += table.rows
        path = paths.get((table.run, table.tag))
        if path is None:
            sys.exit(f"index.csv has no table for tag {table.tag} of run {table.run}")
        if not pl.read_csv(out / path, schema=expected.schema).equals(rows):
            sys.exit(f"{path} does not hold the values of the log")


if __name__ == "__main__":
    compare(workloads.load(Path(sys.argv[1])), Path(sys.argv[2]))
