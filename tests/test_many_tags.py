"""Runs with so many tags that the state of their reading would be larger than their files."""

from __future__ import annotations

import csv
import json
import struct
from typing import TYPE_CHECKING

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto

import tb2csv
from tb2csv.event_files import event_file
from tb2csv.runs.run_reader import RunReader
from tb2csv.sources import local_files
from tb2csv.tfrecord import record

if TYPE_CHECKING:
    from pathlib import Path

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.event_files.values import ValueBlock
    from tb2csv.logdir import EventFile

_TAGS = 6000
#: Files of more bytes are not small.
_CHUNK = 1 << 16


def _scalar(tag: str, step: int) -> bytes:
    """Return a record of an event with one scalar, whose value is the step."""
    name = tag.encode()
    value = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", step)
    summary = b"\x0a" + bytes([len(value)]) + value
    steps = b"\x10" + (bytes([step]) if step < 128 else bytes([step & 127 | 128, step >> 7]))
    return b"".join(record(steps + b"\x2a" + bytes([len(summary)]) + summary))


def _tensor(tag: str, step: int) -> bytes:
    """Return a record of an event with a scalar in a tensor."""
    value = Summary.Value(tag=tag, tensor=TensorProto(dtype=1, float_val=[step]))
    return b"".join(record(Event(step=step, summary=Summary(value=[value])).SerializeToString()))


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".tb2csv" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "cut"), [("tree", 0), ("tree", 7), ("long", 7)])
def test_an_update_of_a_run_of_many_tags_gives_the_tables_of_one_conversion(
    tmp_path: Path, layout: str, cut: int
) -> None:
    """The first update finds the last record cut off if ``cut`` is not 0."""
    first = b"".join(_scalar(f"t{number}", number % 200) for number in range(_TAGS))
    more = b"".join(_scalar(f"t{number}", 200 + number % 50) for number in range(0, _TAGS, 3))
    file = tmp_path / "log" / "run" / "events.out.tfevents.1"
    file.parent.mkdir(parents=True)
    file.write_bytes(first[: len(first) - cut])
    report = tb2csv.convert(tmp_path / "log", tmp_path / "out", layout=layout, chunk_size=_CHUNK)
    assert report.values_read == _TAGS - bool(cut)
    file.write_bytes(first + more)
    report = tb2csv.convert(tmp_path / "log", tmp_path / "out", layout=layout, chunk_size=_CHUNK)
    assert report.update is not None
    assert (report.update.grown, report.update.renewed) == (["run"], {})
    assert report.update.values == _TAGS // 3 + bool(cut)
    file.write_bytes(first + more + _scalar("new", 1))
    report = tb2csv.convert(tmp_path / "log", tmp_path / "out", layout=layout, chunk_size=_CHUNK)
    assert report.update is not None
    assert (report.update.grown, report.update.values) == (["run"], 1)
    tb2csv.convert(tmp_path / "log", tmp_path / "whole", layout=layout, chunk_size=_CHUNK)
    assert _files(tmp_path / "out") == _files(tmp_path / "whole")


@pytest.mark.parametrize("is_tensor", [False, True])
@pytest.mark.parametrize("layout", ["tree", "wide"])
def test_blocks_of_many_new_tags_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, *, is_tensor: bool
) -> None:
    file = tmp_path / "log" / "events.out.tfevents.1"
    file.parent.mkdir()
    make = _tensor if is_tensor else _scalar
    file.write_bytes(b"".join(make(f"t{number % 60}", number) for number in range(180)))
    tb2csv.convert(tmp_path / "log", tmp_path / "one block", layout=layout)
    counts: list[int] = []
    add = RunReader._add_to_history

    def count(reader: RunReader, file: EventFile, stats: FileStats, block: ValueBlock) -> None:
        counts.append(len(block))
        add(reader, file, stats, block)

    monkeypatch.setattr(RunReader, "_add_to_history", count)
    monkeypatch.setattr(local_files, "WINDOW", 500)
    monkeypatch.setattr(event_file, "_MANY_SCHEMAS", 20)
    monkeypatch.setattr(event_file, "_SOME_SCHEMAS", 2)
    tb2csv.convert(tmp_path / "log", tmp_path / "short blocks", layout=layout)
    *short, rest = counts
    assert len(short) >= 2
    assert max(short) < 40
    assert rest > 100  # without new tags
    assert _files(tmp_path / "one block") == _files(tmp_path / "short blocks")


@pytest.mark.slow
def test_each_of_many_tags_has_its_row_in_the_index_and_its_table(tmp_path: Path) -> None:
    """The index, the data package and the tables are written in parts of some thousand tags."""
    tags = [f"t{number}" for number in range(20_000)]
    file = tmp_path / "log" / "events.out.tfevents.1"
    file.parent.mkdir()
    file.write_bytes(b"".join(_scalar(tag, number % 1000) for number, tag in enumerate(tags)))
    tb2csv.convert(tmp_path / "log", tmp_path / "out")
    with (tmp_path / "out" / "index.csv").open(newline="") as index:
        rows = {row["tag"]: (row["path"], row["rows"], row["first_step"]) for row in csv.DictReader(index)}
    assert rows == {tag: (f"scalars/{tag}.csv", "1", str(number % 1000)) for number, tag in enumerate(tags)}
    for number in (0, 4095, 4096, 8191, 8192, 19_999):
        text = (tmp_path / "out" / "scalars" / f"t{number}.csv").read_text()
        assert text == f"wall_time,step,value\n0.0,{number % 1000},{number % 1000}.0\n"
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text())
    assert {each["path"] for each in package["resources"]} == {"index.csv", *(path for path, *_ in rows.values())}
