"""What the ledger has of a converted run, written at once or in pieces."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tb2csv import convert
from tb2csv.layouts import converted_run

SAMPLES = Path(__file__).parents[2] / "sample_logs"


def _tables(out: Path) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(out / ".tb2csv" / "ledger.sqlite")) as connection:
        return {name: json.loads(text) for name, text in connection.execute("SELECT name, tables FROM runs")}


@pytest.mark.parametrize("layout", ["tree", "long"])
def test_tables_are_the_same_if_they_are_written_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    convert(SAMPLES, tmp_path / "at once", layout=layout)
    monkeypatch.setattr(converted_run, "_AT_ONCE", 1)
    convert(SAMPLES, tmp_path / "in pieces", layout=layout)

    at_once, in_pieces = _tables(tmp_path / "at once"), _tables(tmp_path / "in pieces")
    assert at_once == in_pieces
    assert {name for each in at_once.values() for name in each} >= {"lengths", "series", "is_selected"}
