"""Files with more damage than is listed: the counts are exact, and memory is bounded."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from commands import run_here
from event_files import event, event_file, file_name, frame, records, simple_value
from tables import read_rows, read_tree

import tb2csv
from tb2csv.event_files.unlisted_damage import MAX_LISTED

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 2500
SOUND = [event(simple_value("loss", float(step)), step=step) for step in range(4)]


def damaged_data() -> bytes:
    """Return a file with COUNT damaged records, whose payloads fail, after the second of its values."""
    data = event_file(SOUND)
    bad = bytearray(frame(b"payload"))
    bad[-1] ^= 1
    place = records(data)[3].start
    return data[:place] + bytes(bad) * COUNT + data[place:]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / file_name()).write_bytes(damaged_data())
    return folder


def test_the_counts_are_exact_and_the_list_is_not_complete(log: Path) -> None:
    report = tb2csv.check(log)
    (_, stats) = report.sources[0]
    assert len(report.damage) == MAX_LISTED < COUNT
    assert report.damage_count == stats.damaged_records == COUNT
    assert stats.lost_bytes == COUNT * len(frame(b"payload"))
    assert stats.bytes == stats.record_bytes + stats.lost_bytes
    assert report.values_read == 4


@pytest.mark.slow
def test_the_command_says_that_not_all_is_listed(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "check", log)
    assert ran.status == 3
    assert f"{COUNT:,} damaged stretches" in ran.stdout
    report = json.loads(run_here(capsys, "check", log, "--json").stdout)
    assert (report["damage_count"], len(report["damage"])) == (COUNT, MAX_LISTED)
    assert report["sources"][0]["damaged_records"] == COUNT


def test_a_repair_leaves_all_of_it_out(log: Path, tmp_path: Path) -> None:
    tb2csv.repair(log, tmp_path / "clean")
    assert (tmp_path / "clean" / file_name()).read_bytes() == event_file(SOUND)


@pytest.mark.slow
def test_updates_keep_the_counts(log: Path, tmp_path: Path) -> None:
    tb2csv.convert(log, tmp_path / "out")
    again = tb2csv.convert(log, tmp_path / "out")
    assert (again.update.values, again.damage_count) == (0, COUNT)
    assert again.sources[0][1].lost_bytes == COUNT * len(frame(b"payload"))
    more = frame(event(simple_value("loss", 9.0), step=9).SerializeToString())
    with (log / file_name()).open("ab") as file:
        file.write(more)
    assert tb2csv.convert(log, tmp_path / "out").damage_count == COUNT
    assert [row["step"] for row in read_rows(tmp_path / "out/scalars/loss.csv")] == ["0", "1", "2", "3", "9"]
    tb2csv.convert(log, tmp_path / "whole")
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "whole")


@pytest.mark.slow
def test_memory_is_bounded(tmp_path: Path) -> None:
    bad = bytearray(frame(b""))
    bad[-1] ^= 1
    data = event_file(SOUND) + bytes(bad) * 5_000
    (tmp_path / file_name()).write_bytes(data)
    tracemalloc.start()
    try:
        report = tb2csv.check(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.damage_count == 5_000
    assert peak < 16 * len(data)
