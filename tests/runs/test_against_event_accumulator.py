"""Against TensorBoard's EventAccumulator without sampling.

Where it purges nothing either, the same tags, times, steps and values; where it does, ``purge`` keeps the same rows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from event_files import (
    Value,
    event,
    file_name,
    frames,
    hparams_end,
    legacy_histogram,
    legacy_image,
    run_metadata,
    scalar,
    simple_value,
    tensor,
    write_run,
)
from histories import scan_run
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from tables import read_columns, read_index, read_rows, same_bits
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import LogMessage, SessionLog
from tensorboard.util import tensor_util

import tb2csv
from tb2csv.runs.restarts import purge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"
#: ``damaged`` is beyond it: it gives up at the first wrong checksum.
RUNS = sorted(
    folder.relative_to(SAMPLE_LOGS).as_posix()
    for folder in {path.parent for path in SAMPLE_LOGS.rglob("*tfevents*")}
    if folder.name != "damaged"
)


def accumulate(folder: Path, *, purges: bool = False) -> EventAccumulator:
    keep_all = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
    return EventAccumulator(str(folder), size_guidance=keep_all, purge_orphaned_data=purges).Reload()


def rows_of(out: Path, index: list[dict[str, str]], kinds: Iterable[str], tag: str) -> dict[str, Any]:
    (path,) = (row["path"] for row in index if row["kind"] in kinds and row["tag"] == tag)
    return read_columns(out, path)


def check_times(columns: dict[str, Any], events: list[Any], repeats: int | list[int] = 1) -> None:
    assert same_bits(columns["step"], np.repeat([each.step for each in events], repeats))
    assert same_bits(columns["wall_time"], np.repeat([each.wall_time for each in events], repeats))


def check_scalars(out: Path, index: list[dict[str, str]], accumulator: EventAccumulator, tag: str) -> None:
    columns = rows_of(out, index, ["scalars"], tag)
    events = accumulator.Scalars(tag)
    check_times(columns, events)
    assert same_bits(columns["value"], np.array([each.value for each in events], np.float32))


def check_histograms(out: Path, index: list[dict[str, str]], accumulator: EventAccumulator, tag: str) -> None:
    events = accumulator.Histograms(tag)
    columns = rows_of(out, index, ["histograms"], tag)
    for column, name in {"right": "bucket_limit", "count": "bucket"}.items():
        assert same_bits(columns[column], np.concatenate([getattr(each.histogram_value, name) for each in events]))
    stats = rows_of(out, index, ["histogram_stats"], tag)
    check_times(stats, events)
    for name in ("min", "max", "num", "sum", "sum_squares"):
        assert same_bits(stats[name], np.array([getattr(each.histogram_value, name) for each in events], np.float64))


def check_media(out: Path, index: list[dict[str, str]], tag: str, events: list[Any]) -> None:
    (path,) = (row["path"] for row in index if row["tag"] == tag)
    rows = read_rows(out / path)
    assert [int(row["step"]) for row in rows] == [each.step for each in events]
    for row, each in zip(rows, events, strict=True):
        stored = each.encoded_image_string if path.startswith("images/") else each.encoded_audio_string
        assert (out / path).parent.joinpath(row["path"]).read_bytes() == stored


def check_tensors(out: Path, index: list[dict[str, str]], accumulator: EventAccumulator, tag: str) -> None:
    """Compare the numbers in order; other tests check in which columns they are."""
    events = accumulator.Tensors(tag)
    found = [row for row in index if row["tag"] == tag]
    if not found:
        assert tag.startswith("_hparams_/")
        return
    (row,) = found
    numeric = row["kind"] in ("scalars", "tensors", "meshes", "histograms", "pr_curves")
    if not numeric or events[0].tensor_proto.dtype == 14:  # which TensorBoard does not read: bfloat16
        assert len({each.step for each in events}) == len({line["step"] for line in read_rows(out / row["path"])})
        return
    columns = read_columns(out, row["path"])
    arrays = [tensor_util.make_ndarray(each.tensor_proto) for each in events]
    numbers = [column for name, column in columns.items() if name in NUMBER_COLUMNS]
    stored = np.concatenate([across(array, row["kind"]) for array in arrays])
    assert same_bits(np.stack(numbers, axis=1), stored.astype(numbers[0].dtype))
    check_times(columns, events, [len(across(array, row["kind"])) for array in arrays])


NUMBER_COLUMNS = {
    *("value", "real", "imag", "left", "right", "count"),
    *("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall"),
}


def across(array: np.ndarray[Any, Any], kind: str) -> np.ndarray[Any, Any]:
    """Return a tensor as rows, with the values that are side by side in its table."""
    if kind == "pr_curves":
        return array.T
    if kind == "histograms":
        return array
    if np.iscomplexobj(array):
        return np.stack([array.real.reshape(-1), array.imag.reshape(-1)], axis=1)
    return array.reshape(-1, 1)


CHECKS: dict[str, Callable[[Path, list[dict[str, str]], EventAccumulator, str], None]] = {
    event_accumulator.SCALARS: check_scalars,
    event_accumulator.HISTOGRAMS: check_histograms,
    event_accumulator.TENSORS: check_tensors,
    event_accumulator.IMAGES: lambda out, index, ea, tag: check_media(out, index, tag, ea.Images(tag)),
    event_accumulator.AUDIO: lambda out, index, ea, tag: check_media(out, index, tag, ea.Audio(tag)),
}


def check_run(out: Path, folder: Path) -> int:
    """Compare all tags of a run; return how many there were."""
    accumulator = accumulate(folder)
    index = [row for row in read_index(out) if row["run"] == "."]
    tags = {kind: found for kind, found in accumulator.Tags().items() if kind in CHECKS}
    for kind, names in tags.items():
        for tag in names:
            CHECKS[kind](out, index, accumulator, tag)
    known = {tag for names in tags.values() for tag in names}
    assert {row["tag"] for row in index if row["kind"] != "graphs"} <= known
    return len(known)


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("run", RUNS)
def test_sample_logs_equal_event_accumulator(run: str, tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    logdir.mkdir()
    for path in (SAMPLE_LOGS / run).glob("*tfevents*"):
        logdir.joinpath(path.name).write_bytes(path.read_bytes())
    tb2csv.convert(logdir, tmp_path / "out")
    assert check_run(tmp_path / "out", logdir) >= (0 if run == "tf2_hparams" else 1)


@pytest.mark.usefixtures("scanner")
@pytest.mark.slow
def test_generated_events_equal_event_accumulator(tmp_path: Path) -> None:
    """A thousand events of random numbers, with steps that repeat and go back, in three files."""
    random = np.random.default_rng(20_240_229)

    def random_event() -> Any:
        number = random.standard_normal()
        counts = random.integers(0, 9, 4).astype(float).tolist()
        return event(
            scalar("tf2", number),
            simple_value("legacy", number),
            tensor("vector", random.standard_normal(3)),
            legacy_histogram("histo", sorted(random.standard_normal(4).tolist()), counts, min=-9, num=sum(counts)),
            legacy_image("image", 1, 1, random.bytes(5)),
            step=int(random.integers(-5, 100)),
            wall_time=float(random.uniform(1, 2)),
        )

    for number in range(3):
        events = [random_event() for _ in range(300)]
        write_run(tmp_path / "logs", *events, name=f"{number}.tfevents", wall_time=float(number))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert check_run(tmp_path / "out", tmp_path / "logs") == 5
    assert [row["rows"] for row in read_index(tmp_path / "out") if row["tag"] == "tf2"] == ["900"]


# What it purges. Each event has a wall time of its own, by which its values are known again.


def with_empty_summary(**fields: Any) -> Any:
    made = event(**fields)
    made.summary.SetInParent()
    return made


#: What values may be, as functions of a tag; the last is metadata alone, which is stored nowhere.
VALUES: list[Callable[[str], Value]] = [
    lambda tag: simple_value(tag, 0),
    lambda tag: scalar(tag, 0),
    lambda tag: legacy_histogram(tag, [0.0, 1.0], [1.0, 1.0]),
    lambda tag: legacy_image(tag, 1, 1, b"image"),
    lambda tag: Value(tag=tag, metadata=hparams_end(has_tensor=False).metadata),
]
#: What events may be that have no values: functions of step and wall time.
BARE_EVENTS: list[Callable[..., Any]] = [
    lambda **fields: event(session_log=SessionLog(status=SessionLog.START), **fields),
    lambda **fields: event(session_log=SessionLog(status=SessionLog.STOP), **fields),
    lambda **fields: event(log_message=LogMessage(message="so"), **fields),
    lambda **fields: event(graph_def=b"graph", **fields),
    lambda **fields: event(tagged_run_metadata=run_metadata("a", b"trace"), **fields),
    event,
    with_empty_summary,
]


class PlannedEvent(NamedTuple):
    step: int
    bare: int | None
    values: list[tuple[str, int]]


class PlannedFile(NamedTuple):
    version: str | None
    events: list[PlannedEvent]


STEPS = st.one_of(st.integers(-2, 6), st.sampled_from([-(2**63), 2**40, 2**63 - 1]))
A_VALUE = st.tuples(st.sampled_from("abc"), st.sampled_from(range(len(VALUES))))
WITH_VALUES = st.builds(PlannedEvent, STEPS, st.none(), st.lists(A_VALUE, min_size=1, max_size=3))
WITHOUT_VALUES = st.builds(PlannedEvent, STEPS, st.sampled_from(range(len(BARE_EVENTS))), st.just([]))
START = st.builds(PlannedEvent, STEPS, st.just(0), st.just([]))
VERSIONS = st.sampled_from([None, "brain.Event:1", "brain.Event:2", "brain.Event:2", "3", "brain.Event:two"])
FILES = st.builds(PlannedFile, VERSIONS, st.lists(st.one_of(WITH_VALUES, WITH_VALUES, START, WITHOUT_VALUES)))


def write_planned(folder: Path, files: list[PlannedFile]) -> None:
    wall_time = 0.0
    for number, file in enumerate(files):
        events = [] if file.version is None else [event(file_version=file.version, wall_time=wall_time)]
        for planned in file.events:
            wall_time += 1
            fields = {"step": planned.step, "wall_time": wall_time}
            if planned.bare is None:
                events.append(event(*(VALUES[value](tag) for tag, value in planned.values), **fields))
            else:
                events.append(BARE_EVENTS[planned.bare](**fields))
        wall_time += 1
        (folder / file_name(number)).write_bytes(frames(events))


def accumulated(folder: Path) -> list[tuple[str, float]]:
    """Return tag and wall time of every value that EventAccumulator has kept."""
    accumulator = accumulate(folder, purges=True)
    items = {
        event_accumulator.SCALARS: accumulator.Scalars,
        event_accumulator.HISTOGRAMS: accumulator.Histograms,
        event_accumulator.IMAGES: accumulator.Images,
        event_accumulator.TENSORS: accumulator.Tensors,
    }
    tags = accumulator.Tags()
    return [(tag, each.wall_time) for kind, get in items.items() for tag in tags[kind] for each in get(tag)]


@given(st.lists(FILES, min_size=1, max_size=3))
@pytest.mark.slow
def test_purge_keeps_the_same_values(files: list[PlannedFile]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_planned(Path(folder), files)
        scanned = scan_run(Path(folder))
        accumulator_keeps = accumulated(Path(folder))
    history = scanned.history
    kept = purge(history)
    is_stored = ~np.isin(history.kind, [9, 10, 11, 12])
    assert kept[~is_stored].all()
    ours = [(scanned.tag_of(row), float(history.wall_time[row])) for row in np.flatnonzero(kept & is_stored)]
    assert sorted(ours) == sorted(accumulator_keeps)
    note(f"purges: {not kept.all()}")


@pytest.mark.usefixtures("scanner")
def test_purge_of_sample_logs_that_restart() -> None:
    scanned = scan_run(SAMPLE_LOGS / "restarted")
    kept = np.flatnonzero(purge(scanned.history))
    ours = [(scanned.tag_of(row), float(scanned.history.wall_time[row])) for row in kept]
    assert sorted(ours) == sorted(accumulated(SAMPLE_LOGS / "restarted"))
    assert len(ours) < len(scanned.history.tag)
