"""Queries for NaN over Parquet tables find it: readers that look at the range of a column do not leave its rows out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import duckdb
import pyarrow.compute
import pyarrow.dataset
import pytest
from event_files import event, simple_value, write_run

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Return the path of a Parquet table of the losses 0.5, NaN and 0.25."""
    losses = (0.5, math.nan, 0.25)
    write_run(tmp_path / "log", *(event(simple_value("loss", loss), step=step) for step, loss in enumerate(losses)))
    tb2csv.convert(tmp_path / "log", tmp_path / "tables", format="parquet")
    return str(tmp_path / "tables" / "scalars" / "loss.parquet")


@pytest.mark.parametrize("condition", ["isnan(value)", "value > 1000", "value = 'nan'::FLOAT", "NOT isfinite(value)"])
def test_duckdb_finds_nan(table: str, condition: str) -> None:
    assert duckdb.sql(f"SELECT step FROM '{table}' WHERE {condition}").fetchall() == [(1,)]


def test_pyarrow_finds_nan(table: str) -> None:
    condition = ~(pyarrow.compute.field("value") <= 1000)
    assert pyarrow.dataset.dataset(table).to_table(filter=condition)["step"].to_pylist() == [1]
