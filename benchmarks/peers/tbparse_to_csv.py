"""tbparse: every scalar of a log in one frame, then pandas' `to_csv` for each run and tag.

Run as `python tbparse_to_csv.py WORKLOAD OUT`. TensorFlow 2 writes scalars as tensors, and tbparse
keeps them under `tensors`; asking for that event type alone is its fastest way that finds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tbparse import SummaryReader

_COLUMNS = ["wall_time", "step", "value"]


def convert(logdir: Path, out: Path) -> None:
    """Write one CSV file for each run and tag below a logdir."""
    has_runs = any(path.is_dir() for path in logdir.iterdir())
    extra = {"wall_time", "dir_name"} if has_runs else {"wall_time"}
    frame = SummaryReader(str(logdir), pivot=False, extra_columns=extra, event_types={"tensors"}).tensors
    by = ["dir_name", "tag"] if has_runs else ["tag"]
    for key, table in frame.groupby(by, sort=False):
        *run, tag = key
        folder = out.joinpath(*run)
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / f"{tag}.csv", columns=_COLUMNS, index=False)


if __name__ == "__main__":
    convert(Path(sys.argv[1]) / "log", Path(sys.argv[2]))
