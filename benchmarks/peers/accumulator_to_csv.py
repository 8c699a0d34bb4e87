"""TensorBoard's `EventAccumulator` with nothing sampled, then the csv module for each run and tag.

Run as `python accumulator_to_csv.py WORKLOAD OUT`. It is the way that most scripts for this job
take, with one improvement: the scalars of a tag are decoded all at once from the bytes in which
TensorFlow 2 stores them, which costs a tenth of calling `make_ndarray` for each of them.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import (
    STORE_EVERYTHING_SIZE_GUIDANCE,
    EventAccumulator,
    TensorEvent,
)
from tensorboard.util.tensor_util import make_ndarray

Rows = Iterator[tuple[Any, ...]]


def scalar_rows(events: Iterable[TensorEvent]) -> Rows:
    """One row a value."""
    events = list(events)
    contents = b"".join([event.tensor_proto.tensor_content for event in events])
    values = np.frombuffer(contents, dtype="<f4").tolist()
    for event, value in zip(events, values, strict=True):
        yield event.wall_time, event.step, value


def histogram_rows(events: Iterable[TensorEvent]) -> Rows:
    """One row a bucket."""
    for event in events:
        for bucket, edges_and_count in enumerate(make_ndarray(event.tensor_proto).tolist()):
            yield (event.wall_time, event.step, bucket, *edges_and_count)


def tensor_rows(events: Iterable[TensorEvent]) -> Rows:
    """One row an element."""
    for event in events:
        values = make_ndarray(event.tensor_proto)
        for index, value in zip(np.ndindex(values.shape), values.flat, strict=True):
            yield (event.wall_time, event.step, *index, value)


ROWS: dict[str, Callable[[Iterable[TensorEvent]], Rows]] = {
    "scalars": scalar_rows,
    "histograms": histogram_rows,
    "tensors": tensor_rows,
}


def convert(workload: Path, out: Path) -> None:
    """Write one CSV file for each run and tag of a prepared workload's log."""
    facts = json.loads((workload / "workload.json").read_text(encoding="utf-8"))
    rows_of = ROWS[facts["identity"]["workload"]["kind"]]
    logdir = workload / "log"
    for run in sorted({path.parent for path in logdir.rglob("*tfevents*")}):
        accumulator = EventAccumulator(str(run), STORE_EVERYTHING_SIZE_GUIDANCE)
        accumulator.Reload()
        folder = out / run.relative_to(logdir)
        folder.mkdir(parents=True, exist_ok=True)
        for tag in accumulator.Tags()["tensors"]:
            with (folder / f"{tag}.csv").open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(facts["columns"])
                writer.writerows(rows_of(accumulator.Tensors(tag)))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
