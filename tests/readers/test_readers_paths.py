"""DuckDB, ClickHouse and polars read a table by its path alone: no folder adds a column, no bracket is a pattern."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest
from event_files import event, histogram, scalar, write_run
from tables import read_index

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def query_duckdb(path: Path, columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of a table, read with the defaults."""
    return duckdb.sql(f"SELECT {columns} FROM '{path}'").fetchall()


def query_chdb(path: Path, columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of a table, read with the defaults."""
    chdb = pytest.importorskip("chdb", reason="chdb is in the environment of make test-readers")
    text = str(chdb.query(f"SELECT {columns} FROM file('{path}')", "JSONCompactEachRow"))
    return [tuple(json.loads(line)) for line in text.splitlines()]


def query_polars(path: Path, columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of a table, read with the defaults."""
    read = pl.read_csv if path.suffix == ".csv" else pl.read_parquet
    frame = read(str(path))
    return frame.rows() if columns == "*" else frame.select(columns.split(", ")).rows()


READERS = {"duckdb": query_duckdb, "chdb": query_chdb, "polars": query_polars}


@pytest.fixture(params=READERS)
def query(request: pytest.FixtureRequest) -> Callable[[Path, str], list[tuple[Any, ...]]]:
    return READERS[request.param]


def scalars(**series: list[float]) -> list[Any]:
    """Return events with a value of each tag at steps 0, 1, …, in float64."""
    steps = range(len(next(iter(series.values()))))
    return [event(*(scalar(tag, each[s], "float64") for tag, each in series.items()), step=s) for s in steps]


SWEEP = {
    "lr=0.1/seed=0": scalars(lr=[0.5, 0.25, 0.125], loss=[3.5, 2.5, 1.5]),
    "LR=1/bs=[16]": scalars(lr=[0.75, 0.5, 0.25], loss=[6.5, 5.5, 4.5]),
    "lr=1e-3,step=9": scalars(lr=[0.875, 0.5, 0.25], loss=[9.5, 8.5, 7.5]),
    "step=5/VALUE=0": scalars(loss=[8.25, 8.5, 8.75]),
    "wall_time=abc": scalars(loss=[4.25, 4.5, 4.75]),
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("sweep") / "logs"
    for run, events in SWEEP.items():
        write_run(logs / run, *events)
    return logs


def table_of(out: Path, **what: str) -> Path:
    """Return the one table of the index that has these cells."""
    (path,) = (row["path"] for row in read_index(out) if all(row[name] == cell for name, cell in what.items()))
    return out / path


LOSSES = {
    "lr=0.1/seed=0": [3.5, 2.5, 1.5],
    "LR=1/bs=[16]": [6.5, 5.5, 4.5],
    "lr=1e-3,step=9": [9.5, 8.5, 7.5],
    "step=5/VALUE=0": [8.25, 8.5, 8.75],
    "wall_time=abc": [4.25, 4.5, 4.75],
}


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_run_folders_do_not_replace_columns(query: Any, sweep: Path, tmp_path: Path, format: str) -> None:
    tb2csv.convert(sweep, tmp_path / "out", format=format)
    for run, losses in LOSSES.items():
        rows = query(table_of(tmp_path / "out", run=run, tag="loss"), "*")
        assert rows == [(0.0, step, loss) for step, loss in enumerate(losses)], run


def test_run_folders_do_not_replace_tags_side_by_side(query: Any, sweep: Path, tmp_path: Path) -> None:
    """In the wide layout any tag is the name of a column."""
    tb2csv.convert(sweep, tmp_path / "out", layout="wide")
    rates = {
        "lr=0.1/seed=0": [0.5, 0.25, 0.125],
        "LR=1/bs=[16]": [0.75, 0.5, 0.25],
        "lr=1e-3,step=9": [0.875, 0.5, 0.25],
    }
    for run, expected in rates.items():
        assert query(table_of(tmp_path / "out", run=run), "step, lr") == list(enumerate(expected)), run


def test_tag_folders_do_not_replace_columns(query: Any, tmp_path: Path) -> None:
    edges = [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    write_run(tmp_path / "logs", *scalars(**{"step=7/loss": [1.5, 2.5]}), event(histogram("bucket=9/h", edges)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert query(table_of(tmp_path / "out", tag="step=7/loss"), "*") == [(0.0, 0, 1.5), (0.0, 1, 2.5)]
    rows = query(table_of(tmp_path / "out", tag="bucket=9/h"), "*")
    assert [row[2:] for row in rows] == [(0, 0.0, 1.0, 2.0), (1, 1.0, 2.0, 3.0)]


def test_groups_of_runs_do_not_replace_columns(query: Any, tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / "logs" / f"n=7/seed_{seed}", *scalars(loss=[1.5, 2.5]))
    tb2csv.reduce(tmp_path / "logs", tmp_path / "out", by="n=*/seed_*")
    assert query(table_of(tmp_path / "out", run="n=7"), "step, n, mean") == [(0, 2, 1.5), (1, 2, 2.5)]


@pytest.mark.parametrize(
    ("name", "sibling"), [("layer[1]", "layer1"), ("[!a]", "b"), ("w{1,2}", "w1"), ("[ab]/c", "a/c"), ("{1..3}", "1")]
)
def test_brackets_and_braces_are_not_patterns(query: Any, tmp_path: Path, name: str, sibling: str) -> None:
    """DuckDB 2.0 and polars 2.1 read ``layer1.csv`` for ``layer[1].csv``."""
    write_run(tmp_path / "logs", *scalars(**{sibling: [7.5], name: [1.5]}))
    write_run(tmp_path / "logs" / name, *scalars(x=[3.5]))
    write_run(tmp_path / "logs" / sibling, *scalars(x=[5.5]))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert query(table_of(tmp_path / "out", run=".", tag=name), "value") == [(1.5,)]
    assert query(table_of(tmp_path / "out", run=name, tag="x"), "value") == [(3.5,)]


def test_one_pattern_reads_all_runs_of_a_sweep(sweep: Path, tmp_path: Path) -> None:
    """The index has the names of the runs."""
    tb2csv.convert(sweep, tmp_path / "out")
    rows = duckdb.sql(
        f"""
        SELECT run, max(value)
        FROM read_csv('{tmp_path}/out/**/loss.csv', filename = true) AS rows
        JOIN '{tmp_path}/out/index.csv' AS index ON rows.filename = '{tmp_path}/out/' || index.path
        GROUP BY run
        """
    ).fetchall()
    assert dict(rows) == {run: max(losses) for run, losses in LOSSES.items()}
