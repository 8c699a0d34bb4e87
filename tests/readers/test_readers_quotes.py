"""DuckDB reads quoted cells wherever the first of them is, and a quoted header harms no other reader."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import duckdb
import frictionless
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.csv
import pytest
from event_files import event, scalar, text, write_run
from tables import read_schemas

import tb2csv
from tb2csv.model_state import export_state

if TYPE_CHECKING:
    from pathlib import Path

#: DuckDB looks at 20,480 rows before it decides.
PLAIN_ROWS = 25_000

LATE_CELLS = ["a, b", 'she said "so"', "two\nlines", '"whole"', "it's", 'a "b", c\n"', "\\", '\\"', "#", "plain"]


@pytest.mark.parametrize("format", ["csv", "csv.gz", "csv.zst"])
@pytest.mark.slow
def test_duckdb_reads_quotes_that_come_late(tmp_path: Path, format: str) -> None:
    expected = [(step, f"text {step}") for step in range(PLAIN_ROWS)]
    expected += [(PLAIN_ROWS + step, cell) for step, cell in enumerate(LATE_CELLS)]
    write_run(tmp_path / "logs", *(event(text("notes", cell), step=step) for step, cell in expected))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", format=format)
    assert duckdb.sql(f"SELECT step, text FROM '{tmp_path}/out/text/notes.{format}'").fetchall() == expected


@pytest.mark.parametrize("tag", LATE_CELLS)
@pytest.mark.slow
def test_duckdb_reads_names_of_tags_that_are_quoted_late(tmp_path: Path, tag: str) -> None:
    steps = range(PLAIN_ROWS)
    write_run(tmp_path / "logs", *(event(scalar("a", 1.5), step=step) for step in steps), event(scalar(tag, 2.5)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="long")
    rows = duckdb.sql(f"SELECT run, tag, value FROM '{tmp_path}/out/scalars.csv'").fetchall()
    assert rows[:: PLAIN_ROWS - 1] == [(".", "a", 1.5)] * 2
    assert rows[PLAIN_ROWS:] == [(".", tag, 2.5)]


@pytest.mark.parametrize("name", LATE_CELLS)
@pytest.mark.parametrize("style", ["elements", "tensors"])
def test_duckdb_reads_names_of_tensors_that_are_quoted_late(tmp_path: Path, style: str, name: str) -> None:
    count = 1 if style == "tensors" else PLAIN_ROWS
    np.savez(tmp_path / "state.npz", **{"a": np.zeros(count), name: np.ones(1)})
    export_state(tmp_path / "state.npz", tmp_path / "state.csv", style=style)
    column = "tensor_name" if style == "tensors" else "parameter"
    names = duckdb.sql(f"SELECT {column} FROM '{tmp_path}/state.csv'").fetchall()
    assert names[0] == ("a",)
    assert names[count:] == [(name,)]


def test_only_tables_with_text_have_a_quoted_header(tmp_path: Path) -> None:
    """Numbers are never quoted, so DuckDB cannot miss a quote."""
    write_run(tmp_path / "logs", event(scalar("a,b", 1.5), text("notes", "x")))
    for layout in ("tree", "wide", "long"):
        tb2csv.convert(tmp_path / "logs", tmp_path / layout, layout=layout)
        for path, dtypes in read_schemas(tmp_path / layout).items():
            header = (tmp_path / layout / path).read_text("utf-8").splitlines()[0]
            names = ",".join(f'"{name}"' if "string" in dtypes.values() or "," in name else name for name in dtypes)
            assert header == names, path


READERS: dict[str, Any] = {
    "csv": lambda path: next(csv.reader(path.read_text("utf-8").splitlines())),
    "pandas": lambda path: list(pd.read_csv(path).columns),
    "polars": lambda path: pl.read_csv(path).columns,
    "pyarrow": lambda path: pyarrow.csv.read_csv(path).column_names,
    "duckdb": lambda path: duckdb.read_csv(str(path)).columns,
    "frictionless": lambda path: frictionless.describe(path.name, basepath=str(path.parent)).schema.field_names,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_quoted_header_has_the_names_alone(tmp_path: Path, reader: str) -> None:
    write_run(tmp_path / "logs", event(text("notes", ["x", "y"])))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert READERS[reader](tmp_path / "out" / "text" / "notes.csv") == ["wall_time", "step", "i0", "text"]
