"""Make the log of one workload, and the tables that a right conversion of it gives.

Run by `workloads.prepare` as `python generate.py NAME`. The values come from a seeded generator,
so that a workload has the same bytes wherever it is made. Beside the log lie the decoded rows
of all tables, a `.npy` file a column: the floor writes them, and the check compares with them.
(A `.npy` file can be mapped into memory and given to polars without a copy; an Arrow file cannot
be with every polars.)
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto import types_pb2

import event_records
import workloads

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[Any]
Columns = dict[str, Array]

_SEED = 20_260
_START = 1_700_000_000.0
_SECONDS_PER_EVENT = 0.01
_BUCKETS = 30
_TENSOR_SHAPE = (256, 128)
_FILE_NAME = "events.out.tfevents.1700000000.host.1.0.v2"


@dataclass(frozen=True)
class Kind:
    """A kind of series: how it lies on disk, how values are drawn, how they become rows."""

    tag: str
    encoding: event_records.Encoding
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array]
    rows: Callable[[Array, Array, Array], Columns]


def draw_floats(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw float32s with all their digits, which is what losses and gradients look like."""
    return rng.standard_normal(shape, dtype=np.float32)


def draw_histograms(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw buckets as `tf.summary.histogram` gives them: equally wide, edges shared."""
    lowest = rng.normal(-3.0, 0.5, shape)
    highest = rng.normal(3.0, 0.5, shape)
    edges = np.linspace(lowest, highest, _BUCKETS + 1, axis=-1)
    buckets = np.empty((*shape, _BUCKETS, 3))
    buckets[..., 0] = edges[..., :-1]
    buckets[..., 1] = edges[..., 1:]
    buckets[..., 2] = rng.integers(0, 5_000, (*shape, _BUCKETS))
    return buckets


def draw_tensors(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw matrices like the gradients of a dense layer."""
    return draw_floats(rng, (*shape, *_TENSOR_SHAPE))


def scalar_rows(wall_times: Array, steps: Array, values: Array) -> Columns:
    """One row a value."""
    return {"wall_time": wall_times, "step": steps, "value": values}


def histogram_rows(wall_times: Array, steps: Array, values: Array) -> Columns:
    """One row a bucket."""
    left, right, count = np.moveaxis(values.reshape(-1, 3), 1, 0)
    return {
        "wall_time": np.repeat(wall_times, _BUCKETS),
        "step": np.repeat(steps, _BUCKETS),
        "bucket": np.tile(np.arange(_BUCKETS, dtype=np.int64), len(steps)),
        "left": left,
        "right": right,
        "count": count,
    }


def tensor_rows(wall_times: Array, steps: Array, values: Array) -> Columns:
    """One row an element, with its index in each dimension."""
    elements = int(np.prod(_TENSOR_SHAPE))
    indices = np.indices(_TENSOR_SHAPE, dtype=np.int64).reshape(len(_TENSOR_SHAPE), -1)
    return {
        "wall_time": np.repeat(wall_times, elements),
        "step": np.repeat(steps, elements),
        **{f"i{axis}": np.tile(index, len(steps)) for axis, index in enumerate(indices)},
        "value": values.reshape(-1),
    }


KINDS = {
    "scalars": Kind(
        "loss",
        event_records.Encoding("scalars", types_pb2.DT_FLOAT, (), 4),
        draw_floats,
        scalar_rows,
    ),
    "histograms": Kind(
        "weights",
        event_records.Encoding("histograms", types_pb2.DT_DOUBLE, (_BUCKETS, 3), _BUCKETS * 3 * 8),
        draw_histograms,
        histogram_rows,
    ),
    "tensors": Kind(
        "gradient",
        event_records.Encoding("", types_pb2.DT_FLOAT, _TENSOR_SHAPE, int(np.prod(_TENSOR_SHAPE)) * 4),
        draw_tensors,
        tensor_rows,
    ),
}


#: The log with all kinds, which come in turn: how many tags each has, and how many steps at a time.
MIXED = {"scalars": (6, 21_000), "histograms": (4, 3_600), "tensors": (3, 7)}
_TURNS = 100


def draw_wall_times(rng: np.random.Generator, points: int, tags: int) -> Array:
    """Give rising times with microseconds, as a clock does, of shape (points, tags)."""
    times = _START + np.arange(points * tags) * _SECONDS_PER_EVENT
    times += rng.uniform(0, _SECONDS_PER_EVENT / 2, points * tags)
    return np.round(times, 6).reshape(points, tags)


def write_run(folder: Path, kind: Kind, tags: list[str], wall_times: Array, values: Array) -> None:
    """Write the event file of one run."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = values.reshape(*wall_times.shape, -1).view(np.uint8)
    with (folder / _FILE_NAME).open("wb") as stream:
        event_records.write_file_version(stream, _START)
        event_records.write_series(stream, tags, kind.encoding, wall_times, contents)


def write_mixed(path: Path, rng: np.random.Generator) -> list[tuple[str, str, int]]:
    """Write the file with all kinds; return the run, the tag and the rows of each of its tables."""
    path.parent.mkdir(parents=True)
    rows: dict[str, int] = {}
    with path.open("wb") as stream:
        event_records.write_file_version(stream, _START)
        for turn in range(_TURNS):
            for kind_name, (count, points) in MIXED.items():
                kind = KINDS[kind_name]
                tags = [f"{kind.tag}_{number}" for number in range(count)]
                wall_times = draw_wall_times(rng, points, count) + turn
                values = kind.draw(rng, (points, count))
                contents = values.reshape(points, count, -1).view(np.uint8)
                event_records.write_series(stream, tags, kind.encoding, wall_times, contents, turn * points)
                per_value = len(kind.rows(wall_times[:1, 0], np.zeros(1, np.int64), values[:1, 0])["step"])
                for tag in tags:
                    rows[tag] = rows.get(tag, 0) + points * per_value
    return [(".", tag, count) for tag, count in rows.items()]


def generate(name: str, folder: Path) -> None:
    """Write the log, the columns and the description of a workload into an empty folder."""
    rng = np.random.default_rng([_SEED, *name.encode()])
    if workloads.WORKLOADS[name].kind == "mixed":
        tables, columns = write_mixed(folder / "log" / _FILE_NAME, rng), []
    else:
        tables, columns = write_runs(name, folder, rng)
    facts = {"name": name, "identity": workloads.identity(name), "columns": columns, "tables": tables}
    (folder / "workload.json").write_text(json.dumps(facts), encoding="utf-8")


def write_runs(name: str, folder: Path, rng: np.random.Generator) -> tuple[list[tuple[str, str, int]], list[str]]:
    """Write runs of one kind, and their columns; return run, tag and rows of each table, and the names of columns."""
    workload = workloads.WORKLOADS[name]
    kind = KINDS[workload.kind]
    tags = [f"{kind.tag}_{number}" for number in range(workload.tags)]
    if len({len(tag) for tag in tags}) > 1:
        message = f"workload {name} has more tags than one digit can number"
        raise ValueError(message)
    steps = np.arange(workload.points, dtype=np.int64)
    pieces: list[Columns] = []
    tables: list[tuple[str, str, int]] = []
    for number in range(workload.runs):
        run = "." if workload.runs == 1 else f"run_{number:05d}"
        wall_times = draw_wall_times(rng, workload.points, workload.tags)
        values = kind.draw(rng, (workload.points, workload.tags))
        write_run(folder / "log" / run, kind, tags, wall_times, values)
        for place, tag in enumerate(tags):
            columns = kind.rows(wall_times[:, place], steps, values[:, place])
            pieces.append(columns)
            tables.append((run, tag, len(columns["step"])))
    (folder / "columns").mkdir()
    for column in pieces[0]:
        joined = np.concatenate([piece[column] for piece in pieces])
        np.save(folder / "columns" / f"{column}.npy", joined)
    return tables, list(pieces[0])


def main() -> None:
    """Make one workload; put it into its place only once it is whole."""
    name = sys.argv[1]
    workloads.DATA.mkdir(exist_ok=True)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=workloads.DATA, prefix=f"making-{name}-") as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        generate(name, made)
        target = workloads.DATA / name
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    print(f"made workload {name} in {time.perf_counter() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
