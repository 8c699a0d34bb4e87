"""The minimum work of a conversion: read the bytes, and write columns that are decoded already.

Run as `python floor.py WORKLOAD OUT`; without arguments it imports and ends, which is its start-up.
WORKLOAD is the folder of a prepared workload. The columns are mapped into memory and handed to
polars without a copy, so what remains is reading the log and writing the text.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl


def read_bytes(logdir: Path) -> int:
    """Hold the bytes of each event file in memory, one file after the other."""
    return sum(len(path.read_bytes()) for path in logdir.rglob("*tfevents*") if path.is_file())


def write_tables(workload: Path, out: Path) -> None:
    """Write one CSV file a table, at the path that tb2csv's tree layout gives it."""
    facts = json.loads((workload / "workload.json").read_text(encoding="utf-8"))
    kind = facts["identity"]["workload"]["kind"]
    rows = pl.DataFrame(
        {column: np.load(workload / "columns" / f"{column}.npy", mmap_mode="r") for column in facts["columns"]}
    )
    start = 0
    made = None
    for run, tag, height in facts["tables"]:
        folder = out / run / kind
        if folder != made:
            folder.mkdir(parents=True, exist_ok=True)
            made = folder
        rows.slice(start, height).write_csv(folder / f"{tag}.csv")
        start += height


if __name__ == "__main__" and len(sys.argv) == 3:
    read_bytes(Path(sys.argv[1]) / "log")
    write_tables(Path(sys.argv[1]), Path(sys.argv[2]))
