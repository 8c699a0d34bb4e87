"""What the ledger has of a converted run, in one text or in several."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from event_files import event, file_name, frames, simple_value, write_run

from tb2csv import convert
from tb2csv.layouts import converted_run

SAMPLES = Path(__file__).parents[2] / "sample_logs"


def _rows(out: Path, query: str) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(out / ".tb2csv" / "ledger.sqlite")) as connection:
        return connection.execute(query).fetchall()


def _tables(out: Path) -> dict[str, Any]:
    tables = {name: json.loads(text) for name, text in _rows(out, "SELECT name, tables FROM runs")}
    for run, text in _rows(out, "SELECT run, tables FROM more_tables ORDER BY run, part"):
        ((member, some),) = json.loads(text).items()
        known = tables[run].setdefault(member, type(some)())
        known.update(some) if isinstance(some, dict) else known.extend(some)
    return tables


def _files(out: Path) -> dict[str, bytes]:
    paths = [path for path in out.rglob("*") if path.is_file() and ".tb2csv" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("layout", ["tree", "long"])
def test_tables_are_the_same_if_they_are_written_in_several_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    convert(SAMPLES, tmp_path / "at once", layout=layout)
    monkeypatch.setattr(converted_run, "_AT_ONCE", 1)
    convert(SAMPLES, tmp_path / "in pieces", layout=layout)
    assert not _rows(tmp_path / "at once", "SELECT run, tables FROM more_tables")
    assert all(
        len(json.loads(text)) == 1 for _, text in _rows(tmp_path / "in pieces", "SELECT run, tables FROM more_tables")
    )

    at_once, in_pieces = _tables(tmp_path / "at once"), _tables(tmp_path / "in pieces")
    assert at_once == in_pieces
    assert {name for each in at_once.values() for name in each} >= {"lengths", "series", "is_selected"}


@pytest.mark.parametrize("layout", ["tree", "long", "wide"])
def test_an_update_continues_from_several_texts_and_replaces_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    for run in ("grows", "stays", "goes"):
        write_run(tmp_path / "log" / run, *_losses(0, 5))
    monkeypatch.setattr(converted_run, "_AT_ONCE", 1)
    out = tmp_path / "out"
    convert(tmp_path / "log", out, layout=layout)
    assert {run for run, _ in _rows(out, "SELECT run, tables FROM more_tables")} == {"grows", "stays", "goes"}

    monkeypatch.undo()
    with (tmp_path / "log" / "grows" / file_name()).open("ab") as file:
        file.write(frames(_losses(5, 9)))
    shutil.rmtree(tmp_path / "log" / "goes")
    report = convert(tmp_path / "log", out, layout=layout)
    assert report.update is not None
    assert (report.update.grown, report.update.removed, report.update.renewed) == (["grows"], ["goes"], {})
    assert {run for run, _ in _rows(out, "SELECT run, tables FROM more_tables")} == {"stays"}
    convert(tmp_path / "log", tmp_path / "whole", layout=layout)
    assert _files(out) == _files(tmp_path / "whole")


def _losses(first: int, stop: int) -> list[Any]:
    tags = ("loss", "accuracy", "rate")
    return [
        event(simple_value(tag, step), step=step, wall_time=1.0 + step) for step in range(first, stop) for tag in tags
    ]
