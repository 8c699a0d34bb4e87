"""Against TensorBoard's data server without sampling: ``supersede`` keeps the rows that it serves.

One server loads many random runs, and is queried for all of them through TensorBoard's own client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from data_server import data_server
from event_files import Value, event, file_name, hparams_end, run_metadata, scalar, simple_value, text, write_run
from histories import Scanned, scan_run
from tensorboard.compat.proto.event_pb2 import SessionLog
from tensorboard.context import RequestContext

from tb2csv.event_files.values import ValueKind
from tb2csv.runs.restarts import supersede

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tensorboard.data.provider import DataProvider

RUNS = [f"run{number}" for number in range(150)]

METADATA = hparams_end(has_tensor=False).metadata
#: What the values are, by their tags; those of ``trial`` are metadata alone.
VALUES = {
    "loss": lambda tag: simple_value(tag, 0.5),
    "accuracy": lambda tag: scalar(tag, 0.5),
    "notes": lambda tag: text(tag, "so"),
    "trial": lambda tag: Value(tag=tag, metadata=METADATA),
}
#: The plugin that each tag is served by.
PLUGINS = {
    "loss": "scalars",
    "accuracy": "scalars",
    "notes": "text",
    "__run_graph__": "graphs",
    "trace": "graph_tagged_run_metadata",
    "trial": "hparams",
}
LARGE_STEPS = [-(2**63), -(2**40), 2**31, 2**62, 2**63 - 1]


def random_values(random: np.random.Generator) -> list[Value]:
    tags = random.choice(list(VALUES), size=random.integers(1, 4))
    values = [VALUES[str(tag)](str(tag)) for tag in tags]
    if random.random() < 0.1:  # not served because it is not a scalar, but it supersedes scalars
        values.append(VALUES["trial"]("loss"))
    return values


def random_event(random: np.random.Generator, step: int, wall_time: float) -> Any:
    fields = {"step": step, "wall_time": wall_time}
    choice = random.random()
    if choice < 0.05:
        return event(session_log=SessionLog(status=SessionLog.START), **fields)
    if choice < 0.1:
        return event(graph_def=b"graph", **fields)
    if choice < 0.15:
        return event(tagged_run_metadata=run_metadata("trace", b"trace"), **fields)
    if choice < 0.2:
        return event(meta_graph_def=b"meta", **fields)
    return event(*random_values(random), **fields)


def write_random_run(folder: Path, seed: int) -> None:
    """Write a run of up to three files whose steps go on, repeat and go back; each event has a time of its own."""
    random = np.random.default_rng(seed)
    wall_time, step = 1.0, 0
    for number in range(random.integers(1, 4)):
        # The first value of a tag decides what it is to the server.
        events = [] if number else [event(VALUES["loss"]("loss"))]
        begin = wall_time
        for _ in range(random.integers(0, 25)):
            wall_time += 1
            step += int(random.choice([0, 1, 1, 1, 2, -1, -5], p=[0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1]))
            is_large = random.random() < 0.02
            at = int(random.choice(LARGE_STEPS)) if is_large else step
            events.append(random_event(random, at, wall_time))
        wall_time += 1
        step = max(0, step - int(random.integers(0, 10)))
        write_run(folder, *events, name=file_name(number), wall_time=begin)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("logs")
    for seed, run in enumerate(RUNS):
        write_random_run(logdir / run, seed)
    return logdir


@pytest.fixture(scope="module")
def provider(logdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataProvider]:
    with data_server(logdir, tmp_path_factory.mktemp("server"), PLUGINS.values()) as provider:
        yield provider


def served(provider: DataProvider) -> dict[str, set[tuple[str, int, float]]]:
    """Return tag, step and wall time of every value that the server has, by run."""
    found: dict[str, set[tuple[str, int, float]]] = {run: set() for run in RUNS}
    readers = {
        "scalars": provider.read_scalars,
        "text": provider.read_tensors,
        "graphs": provider.read_blob_sequences,
        "graph_tagged_run_metadata": provider.read_blob_sequences,
        "hparams": provider.read_tensors,
    }
    for plugin, read in readers.items():
        answer = read(RequestContext(), experiment_id="", plugin_name=plugin, downsample=1_000_000)
        for run, tags in answer.items():
            found[run].update((tag, datum.step, datum.wall_time) for tag, data in tags.items() for datum in data)
    return found


def superseded(scanned: Scanned) -> tuple[set[tuple[str, int, float]], int]:
    """Return tag, step and wall time of the rows that are kept and can be served; and how many rows are not kept."""
    history = scanned.history
    kept = supersede(history)
    is_meta_graph = history.kind == ValueKind.META_GRAPH_DEF
    assert kept[is_meta_graph].all()
    is_no_scalar = (history.kind == ValueKind.PLUGIN_CONTENT) & (history.tag == scanned.tags.index("loss"))
    rows = np.flatnonzero(kept & ~is_meta_graph & ~is_no_scalar)
    found = [(scanned.tag_of(row), int(history.step[row]), float(history.wall_time[row])) for row in rows]
    assert len(set(found)) == len(found)
    return set(found), int((~kept).sum())


@pytest.mark.slow
def test_supersede_keeps_the_served_values(logdir: Path, provider: DataProvider) -> None:
    found = served(provider)
    dropped = 0
    for run in RUNS:
        expected, fewer = superseded(scan_run(logdir / run))
        assert expected == found[run], run
        dropped += fewer
    everything = set.union(*found.values())
    assert {tag for tag, _, _ in everything} == set(PLUGINS)
    assert dropped > 1000
