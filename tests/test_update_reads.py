"""What an update reads of local event files: their new bytes, and those that show that the old ones are the same."""

from __future__ import annotations

import os
from collections import Counter
from io import FileIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from event_files import (
    event,
    event_file,
    file_name,
    flip,
    frames,
    histogram,
    hparams_end,
    hparams_start,
    scalar,
    simple_value,
    tensor,
    text,
    write_run,
)
from slow_cases import slow
from tables import read_rows
from test_updates import append, assert_same_tables

import tb2csv
from tb2csv import log_conversion
from tb2csv.runs import run_batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event

#: The bytes that identify a file: 64 at its start, and 64 before the position up to which it was read, which are
#: compared once more when it is opened for reading; and 64 before the new position, if there are fewer new bytes. Each
#: of the two openings reads 12 bytes that show whether the file is compressed.
FINGERPRINTS = 4 * 64 + 2 * 12

#: The first event of a file, which gives its place among those of its run: 12 bytes, and then the rest of its record.
HEAD = len(event_file([]))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the bytes that the system gives of each event file, by the name of its run; an open file counts as 0."""
    counts: Counter[str] = Counter()

    class CountedFile(FileIO):
        def __init__(self, descriptor: int) -> None:
            super().__init__(descriptor)
            self.run = os.path.basename(os.path.dirname(os.readlink(f"/proc/self/fd/{descriptor}")))
            counts[self.run] += 0

        def readinto(self, buffer: Any, /) -> int:
            count = super().readinto(buffer)
            counts[self.run] += count
            return count

    monkeypatch.setattr("tb2csv.sources.local_files.FileIO", CountedFile)
    return counts


pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the paths of open files")


def losses(start: int, stop: int) -> list[Event]:
    return [event(simple_value("loss", step / 8), step=step, wall_time=100.0 + step) for step in range(start, stop)]


def modern(start: int, stop: int) -> list[Event]:
    return [
        event(scalar("loss", step, "float64"), scalar("epoch", step, "int64"), step=step) for step in range(start, stop)
    ]


def tensors(start: int, stop: int) -> list[Event]:
    return [event(tensor("matrix", np.full((4, 25), step, np.float32)), step=step) for step in range(start, stop)]


def every_kind(start: int, stop: int) -> list[Event]:
    return [
        event(
            simple_value("loss", step), histogram("weights", [[0, 1, step]]), text("note", f"{step}"), step=step
        )
        for step in range(start, stop)
    ]  # fmt: skip


def convert(logdir: Path, **options: Any) -> tb2csv.Report:
    return tb2csv.convert(logdir, logdir.with_name("out"), **options)


@pytest.mark.parametrize("events", [losses, modern, tensors, every_kind])
def test_a_grown_file_costs_its_new_bytes(
    tmp_path: Path, read: Counter[str], events: Callable[[int, int], list[Event]]
) -> None:
    path = write_run(tmp_path / "logs/run", *events(0, 2000))
    new = frames(events(2000, 2010))
    convert(tmp_path / "logs")
    for _ in range(2):
        append(path, new)
        read.clear()
        report = convert(tmp_path / "logs")
        assert report.update
        assert report.update.values in (10, 20, 30)
        assert len(new) <= read["run"] <= len(new) + FINGERPRINTS
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


def test_unchanged_files_are_not_opened(tmp_path: Path, read: Counter[str]) -> None:
    """They are not touched in the case of several files, of damage, or of a record that is not complete either."""
    write_run(tmp_path / "logs/one", *losses(0, 50))
    for number in range(3):
        write_run(tmp_path / "logs/several", *losses(0, 50), name=file_name(number), wall_time=float(number))
    path = write_run(tmp_path / "logs/damaged", *losses(0, 50))
    path.write_bytes(flip(path.read_bytes(), 500))
    append(tmp_path / "logs/unfinished" / file_name(), event_file(losses(0, 50))[:-3])
    append(tmp_path / "logs/empty" / file_name(), b"")
    convert(tmp_path / "logs")
    read.clear()
    report = convert(tmp_path / "logs")
    assert report.update
    assert (report.update.values, report.update.grown) == (0, [])
    assert read == {}


def test_only_the_files_of_grown_runs_are_opened(
    tmp_path: Path, read: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_batch, "SMALL_FILE", 0)  # as if the runs were large
    for run in ("a", "b", "c"):
        write_run(tmp_path / "logs" / run, *losses(0, 500))
    convert(tmp_path / "logs")
    new = frames(losses(500, 501))
    append(tmp_path / "logs/b" / file_name(), new)
    read.clear()
    convert(tmp_path / "logs")
    assert read.keys() == {"b"}
    assert read["b"] <= len(new) + FINGERPRINTS
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


@pytest.mark.parametrize("is_new_file", [False, True])
def test_a_run_of_several_files_costs_the_new_bytes_and_the_heads(
    tmp_path: Path, read: Counter[str], is_new_file: bool
) -> None:
    """The heads give the order of the files."""
    for number in range(4):
        begin = 1000 * number
        write_run(tmp_path / "logs/run", *losses(begin, begin + 1000), name=file_name(number), wall_time=float(begin))
    convert(tmp_path / "logs")
    new = event_file(losses(4000, 4010), wall_time=4000.0) if is_new_file else frames(losses(4000, 4010))
    append(tmp_path / "logs/run" / file_name(4 if is_new_file else 3), new)
    read.clear()
    report = convert(tmp_path / "logs")
    assert report.update
    assert (report.update.grown, report.update.values) == (["run"], 10)
    assert len(new) <= read["run"] <= len(new) + FINGERPRINTS + 2 * 5 * HEAD
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


def test_a_record_that_was_cut_is_read_again(tmp_path: Path, read: Counter[str]) -> None:
    data = event_file(tensors(0, 2001))
    stop = len(data) - 100
    append(tmp_path / "logs/run" / file_name(), data[:stop])
    convert(tmp_path / "logs")
    append(tmp_path / "logs/run" / file_name(), data[stop:])
    read.clear()
    convert(tmp_path / "logs")
    record = len(frames(tensors(0, 1)))
    assert record <= read["run"] <= record + FINGERPRINTS + 100
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


def test_small_runs_that_were_read_together_are_read_once_more(tmp_path: Path, read: Counter[str]) -> None:
    """They have at most 1 MiB; from then on, only new bytes are read."""
    for number in range(40):
        write_run(tmp_path / f"logs/{number}", *losses(0, 500))
    convert(tmp_path / "logs", workers=2)
    path, new = tmp_path / "logs/3" / file_name(), frames(losses(500, 510))
    sizes = []
    for _ in range(3):
        append(path, new)
        read.clear()
        convert(tmp_path / "logs")
        assert read.keys() == {"3"}
        sizes.append(read["3"])
    assert len(event_file(losses(0, 500))) < sizes[0] <= path.stat().st_size
    assert max(sizes[1:]) <= len(new) + FINGERPRINTS
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "long"},
        {"layout": "wide", "format": "parquet"},
        {"format": "csv.gz"},
        {"tag": "loss", "kind": "scalars"},
        {"time": ("iso", "relative"), "relative_to": "first-step"},
    ],
    ids=str,
)
def test_options_do_not_make_an_update_read_more(
    tmp_path: Path, read: Counter[str], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_batch, "SMALL_FILE", 0)  # as if the runs were large
    for run in ("a", "b"):
        write_run(tmp_path / "logs" / run, *every_kind(0, 500))
    convert(tmp_path / "logs", **options)
    new = frames(every_kind(500, 503))
    append(tmp_path / "logs/a" / file_name(), new)
    read.clear()
    convert(tmp_path / "logs", **options)
    assert read.keys() == {"a"}
    assert len(new) <= read["a"] <= len(new) + FINGERPRINTS
    assert_same_tables(tmp_path / "out", tmp_path / "logs", **options)


def test_a_follow_reads_new_bytes(tmp_path: Path, read: Counter[str]) -> None:
    path, new = write_run(tmp_path / "logs/run", *losses(0, 5000)), frames(losses(5000, 5010))
    updates = tb2csv.follow(tmp_path / "logs", tmp_path / "out", until_idle=60)
    next(updates)
    append(path, new)
    read.clear()
    assert next(updates).summary.values == 10
    # The rows of the update as frames are read as well.
    assert len(new) <= read["run"] <= 2 * (len(new) + FINGERPRINTS)
    updates.close()


def test_trials_without_metrics_cost_no_more(tmp_path: Path, read: Counter[str]) -> None:
    path = write_run(tmp_path / "logs/run", event(hparams_start({"lr": 0.5})), *tensors(0, 1000))
    convert(tmp_path / "logs")
    new = frames([event(hparams_end())])
    append(path, new)
    read.clear()
    convert(tmp_path / "logs")
    assert len(new) <= read["run"] <= len(new) + FINGERPRINTS
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


# Metrics of trials


def start(rate: float) -> Event:
    return event(hparams_start({"rate": rate}), wall_time=1.0)


@pytest.fixture
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write three trials with metrics: one below another, and one that gets other types and NaN."""
    monkeypatch.setattr(run_batch, "SMALL_FILE", 0)  # as if the runs were large
    write_run(tmp_path / "logs/a", start(0.5), event(scalar("hp_metric", -1)), *losses(0, 500))
    write_run(tmp_path / "logs/a/validation", *modern(0, 500))
    write_run(tmp_path / "logs/b", start(0.25), *losses(0, 500), event(scalar("loss", 7, "int64"), step=501))
    return tmp_path / "logs"


@pytest.mark.parametrize(
    "options",
    [{}, *slow([{"kind": "hparams"}, {"exclude_tag": "loss"}, {"layout": "wide", "format": "parquet"}])],
    ids=str,
)
def test_metrics_of_trials_cost_new_bytes_only(trials: Path, read: Counter[str], options: dict[str, Any]) -> None:
    convert(trials, **options)
    changes = [
        ("b", frames([event(scalar("loss", -9.5), step=502), event(scalar("loss", float("nan")), step=503)])),
        ("b", frames([event(scalar("loss", 100, "int64"), scalar("new", 1), step=504)])),
        ("a", frames([*losses(500, 510), event(scalar("hp_metric", -1)), event(scalar("hp_metric", 3), step=1)])),
        ("validation", frames(modern(500, 505))),
        ("a", frames([event(simple_value("loss", float("-inf")), step=511), event(hparams_end(), wall_time=9.0)])),
        ("a", frames([event(scalar("hp_metric", -1), wall_time=9.5)])),
    ]
    for run, new in changes:
        path = next(trials.rglob(f"{run}/{file_name()}"))
        append(path, new)
        read.clear()
        report = convert(trials, **options)
        assert report.update
        assert report.update.grown == [path.parent.relative_to(trials).as_posix()]
        assert read.keys() == {run}
        assert read[run] <= len(new) + FINGERPRINTS
        assert_same_tables(trials.with_name("out"), trials, **options)
    read.clear()
    convert(trials, **options)
    assert read == {}


def test_a_new_trial_costs_its_own_bytes(trials: Path, read: Counter[str]) -> None:
    convert(trials)
    size = write_run(trials / "c", start(0.75), *losses(0, 50)).stat().st_size
    read.clear()
    convert(trials)
    assert read.keys() == {"c"}
    assert read["c"] <= 2 * size + FINGERPRINTS  # its metrics are read after its tables
    assert_same_tables(trials.with_name("out"), trials)


def test_a_run_that_becomes_the_run_of_a_trial_is_read_once(tmp_path: Path, read: Counter[str]) -> None:
    paths = [write_run(tmp_path / "logs" / run, *losses(0, 500)) for run in ("a", "b")]
    convert(tmp_path / "logs")
    append(paths[0], frames([start(0.5)]))
    convert(tmp_path / "logs")
    new = frames(losses(500, 501))
    for _ in range(2):
        append(paths[0], new)
        read.clear()
        convert(tmp_path / "logs")
        assert read.keys() == {"a"}
        assert read["a"] <= len(new) + FINGERPRINTS
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


def test_metrics_of_a_replaced_run_are_those_of_the_new_one(trials: Path) -> None:
    convert(trials)
    write_run(trials / "b", start(0.25), *losses(1000, 1100), wall_time=3.0)
    for _ in range(2):
        report = convert(trials)
        assert_same_tables(trials.with_name("out"), trials)
        append(trials / "b" / file_name(), frames(losses(1100, 1101)))
    assert report.update
    assert report.update.grown == ["b"]
    convert(trials)
    assert_same_tables(trials.with_name("out"), trials)


def test_metrics_are_of_the_bytes_of_the_tables(trials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log grows after its tables were written and before its metrics are read."""
    trials_of = log_conversion.trials

    def grow_first(*arguments: Any, **options: Any) -> Any:
        append(trials / "b" / file_name(), frames([event(scalar("loss", -99), step=600)]))
        return trials_of(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(log_conversion, "trials", grow_first)
        convert(trials)
    (row,) = (row for row in read_rows(trials.with_name("out") / "hparams.csv") if row["run"] == "b")
    assert row["loss:min"] == "0.0"
    convert(trials)
    assert_same_tables(trials.with_name("out"), trials)


@pytest.mark.parametrize("rows", [tb2csv.RowSelection(every=2), tb2csv.RowSelection(sessions=True)])
def test_metrics_of_selected_rows_are_of_all_values(trials: Path, rows: tb2csv.RowSelection) -> None:
    convert(trials, rows=rows)
    append(trials / "b" / file_name(), frames([event(scalar("loss", -9.5), step=502)]))
    convert(trials, rows=rows)
    assert_same_tables(trials.with_name("out"), trials, rows=rows)


def test_a_follow_keeps_the_metrics_of_trials_up_to_date(trials: Path) -> None:
    updates = tb2csv.follow(trials, trials.with_name("out"), until_idle=60, every=0.05)
    next(updates)
    for step in range(600, 603):
        append(trials / "b" / file_name(), frames([event(scalar("loss", -step), step=step)]))
        next(updates)
    updates.close()
    assert_same_tables(trials.with_name("out"), trials)
