"""What ``check`` says about values that damaged files may have lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_here
from event_files import event, event_file, file_name, flip, records, scalar, simple_value

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write(folder: Path, events: Iterable[Any], *lost: int, name: str = "") -> Path:
    """Write an event file in which the payloads of some records are damaged; record 0 is the version."""
    data = sound = event_file(events)
    for number in lost:
        data = flip(data, records(sound)[number].payload_start + 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (name or file_name())).write_bytes(data)
    return folder


def missing(log: Path, **options: Any) -> dict[str, int]:
    return {each.tag: each.missing for each in tb2csv.check(log, **options).gaps}


def every(interval: int, count: int = 40) -> list[int]:
    return [interval * number for number in range(1, count + 1)]


@pytest.mark.parametrize("interval", [1, 5, 1000])
@pytest.mark.parametrize("chunk_size", [1 << 20, 200])
def test_gaps_of_regular_tags_are_counted(interval: int, chunk_size: int, tmp_path: Path) -> None:
    events = [event(scalar("loss", 0.5), simple_value("rate", 0.1), step=step) for step in every(interval)]
    write(tmp_path / "run", events, 5, 6, 20)
    report = tb2csv.check(tmp_path, chunk_size=chunk_size)
    assert {(each.tag, each.interval, each.missing) for each in report.gaps} == {
        ("loss", interval, 3),
        ("rate", interval, 3),
    }
    assert {each.path for each in report.gaps} == {f"run/{file_name()}"}
    assert report.values_missing == 6


def test_tags_with_other_intervals_have_their_own_gaps(tmp_path: Path) -> None:
    events = [
        event(simple_value("loss", 0.5), *([simple_value("val", 0.1)] if step % 4 == 0 else []), step=step)
        for step in range(1, 41)
    ]
    write(tmp_path, events, 8, 9, 10)
    assert missing(tmp_path) == {"loss": 3, "val": 1}


def test_irregular_tags_have_no_gaps(tmp_path: Path) -> None:
    write(tmp_path, [event(simple_value("loss", 0.5), step=step * step) for step in range(1, 41)], 5)
    assert missing(tmp_path) == {}


def test_gaps_that_the_training_made_are_not_counted(tmp_path: Path) -> None:
    steps = [*range(1, 20), *range(5000, 5020)]
    write(tmp_path / "a", [event(simple_value("loss", 0.5), step=step) for step in steps], 5)
    assert missing(tmp_path) == {}


def test_sound_and_unfinished_files_have_no_gaps(tmp_path: Path) -> None:
    steps = [1, 2, 3, 4, 7, 8, 9, 10]
    folder = write(tmp_path / "a", [event(simple_value("loss", 0.5), step=step) for step in steps])
    data = (folder / file_name()).read_bytes()
    (folder / file_name()).write_bytes(data[:-3])
    assert missing(tmp_path) == {}


def test_files_of_a_run_are_counted_alone(tmp_path: Path) -> None:
    """The second file begins again at an earlier step, and is sound."""
    first = [event(simple_value("loss", 0.5), step=step, wall_time=1.0) for step in range(1, 21)]
    second = [event(simple_value("loss", 0.5), step=step, wall_time=2.0) for step in [10, 11, 12, 15, 16, 17]]
    write(tmp_path, first, 7, name=file_name(1))
    write(tmp_path, second, name=file_name(2))
    assert [(each.path, each.missing) for each in tb2csv.check(tmp_path).gaps] == [(file_name(1), 1)]


def test_steps_may_be_of_any_size(tmp_path: Path) -> None:
    low = -(2**63)
    steps = [low, low + 2**62, low + 2**63, low + 3 * 2**62, low + 2**64 - 2**62 + 2**61]
    events = [event(simple_value("loss", 0.5), step=step) for step in steps]
    write(tmp_path, [*events, event(simple_value("loss", 0.5), step=0)], 6)
    assert missing(tmp_path) == {}


def test_the_command_says_it_for_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [event(simple_value("loss", 0.5), step=step) for step in every(2)]
    size = records(event_file(events))[4].stop - records(event_file(events))[4].start
    write(tmp_path / "a", events, 4)
    write(tmp_path / "b", events, 1)
    write(tmp_path / "c", events)
    ran = run_here(capsys, "check", tmp_path)
    assert ran.status == 3
    assert ran.stdout.splitlines()[:-1] == [
        f"a/{file_name()}: {size} bytes lost; by the steps, 1 value may be missing: 1 of tag 'loss'",
        f"b/{file_name()}: {size} bytes lost; no gap in regular steps shows that values are missing",
    ]
    report = json.loads(run_here(capsys, "check", tmp_path, "--json").stdout)
    assert report["values_missing"] == 1
    assert report["gaps"] == [{"path": f"a/{file_name()}", "tag": "loss", "interval": 2, "missing": 1}]
