"""The calls in docs/readers.md that are Python read every cell back, run as they are there."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from event_files import event, scalar, write_run
from readers_page import BLOCKS, NUMBERS, PAGE, blocks, calls, check_numbers, check_texts, write_tables

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="PySpark is in the environment of make test-readers")
    if shutil.which("java") is None:
        pytest.skip("Spark needs java")
    session = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def clickhouse() -> None:
    pytest.importorskip("chdb", reason="chdb is in the environment of make test-readers")


@pytest.fixture
def sqlite_utils() -> None:
    pytest.importorskip("sqlite_utils", reason="sqlite-utils is in the environment of make test-readers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables in each format, below a folder with a key that is a column."""
    folder = tmp_path_factory.mktemp("readers")
    write_tables(folder, {each: f"{each}/step=7/tables" for each in ("csv", "jsonl")})
    return folder


def arrow_columns(result: Any) -> dict[str, list[Any]]:
    import pyarrow as pa

    with pa.ipc.open_file(result.bytes()) as file:
        table = file.read_all()
    decoded = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        cells = column.to_pylist()
        decoded[name] = [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]
    return decoded


def duckdb_columns(table: Any) -> dict[str, list[Any]]:
    return {name: list(cells) for name, *cells in zip(table.columns, *table.fetchall(), strict=True)}


def pandas_columns(table: Any) -> dict[str, list[Any]]:
    import pandas as pd

    return {name: [None if cell is pd.NA else cell for cell in table[name].tolist()] for name in table}


def spark_columns(table: Any) -> dict[str, list[Any]]:
    rows = table.collect()
    return {name: [row[number] for row in rows] for number, name in enumerate(table.columns)}


def without_text(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the columns of SQLite with numbers for NaN and uint64, which are text there."""
    for name, (dtype, _) in NUMBERS.items():
        if name in columns:
            kept = {"uint64": int}.get(dtype, float)
            columns[name] = [kept(cell) if isinstance(cell, str) else cell for cell in columns[name]]
    return columns


def sqlite_columns(cursor: Any) -> dict[str, list[Any]]:
    return without_text(
        {name: list(cells) for (name, *_), *cells in zip(cursor.description, *cursor.fetchall(), strict=True)}
    )


def sqlite_utils_columns(rows: Iterator[dict[str, Any]]) -> dict[str, list[Any]]:
    listed = list(rows)
    return without_text({name: [row[name] for row in listed] for name in listed[0]})


#: The format that each call reads, and how its columns become lists.
READERS: dict[str, tuple[str, Any]] = {
    "read_duckdb": ("csv", duckdb_columns),
    "read_polars": ("csv", lambda table: table.to_dict(as_series=False)),
    "read_pyarrow": ("csv", lambda table: {name: table[name].to_pylist() for name in table.column_names}),
    "read_pandas": ("csv", pandas_columns),
    "read_sqlite": ("csv", sqlite_columns),
    "read_sqlite_utils": ("csv", sqlite_utils_columns),
    "read_chdb": ("csv", arrow_columns),
    "read_spark": ("csv", spark_columns),
    "read_json_duckdb": ("jsonl", duckdb_columns),
    "read_json_pandas": ("jsonl", pandas_columns),
}
#: What a reader needs; a fixture that is not None is the third argument of the call.
FIXTURES = {"read_spark": ["spark"], "read_chdb": ["clickhouse"], "read_sqlite_utils": ["sqlite_utils"]}
#: What these make of an empty text.
EMPTY_TEXTS = {"read_spark": None}
#: What these make of a missing float.
NAN_IS_MISSING = {"read_pandas", "read_json_pandas"}
#: Definitions that a call needs from another block.
SHARED = ("types = {\n    resource", "def sqlite_cell(")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning")  # Spark's
@pytest.mark.slow
def test_calls_on_the_page_read_every_cell_back(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    table_format, columns_of = READERS[name]
    monkeypatch.chdir(folder / table_format / "step=7")  # before Spark starts, which stays where it started
    fixtures = [request.getfixturevalue(fixture) for fixture in FIXTURES.get(name, ())]
    more = [fixture for fixture in fixtures if fixture is not None]
    scope: dict[str, Any] = {}
    for block in blocks("python"):
        if any(each in block for each in (f"def {name}(", *SHARED)):
            exec(block, scope)
    read = scope[name]
    numbers = columns_of(read(f"tables/scalars.{table_format}", scope["types"][f"scalars.{table_format}"], *more))
    check_numbers(numbers, missing_float=math.nan if name in NAN_IS_MISSING else None)
    notes = columns_of(read(f"tables/text/notes.{table_format}", scope["types"][f"text/notes.{table_format}"], *more))
    check_texts(notes, empty=EMPTY_TEXTS.get(name, ""))


def test_every_call_in_python_is_run() -> None:
    assert set(calls("python")) == set(READERS)


def test_the_query_on_the_page_has_the_run_of_each_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run, loss in {"a": 1.5, "lr=0.1": 2.5}.items():
        write_run(tmp_path / "logs" / run, event(scalar("loss", loss)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "tables")
    monkeypatch.chdir(tmp_path)
    (query,) = blocks("sql")
    assert sorted(duckdb.sql(query).fetchall()) == [("a", 1.5), ("lr=0.1", 2.5)]


def test_every_language_of_the_page_is_run_by_a_test() -> None:
    """test_readers_programs.py runs those that are not Python or SQL."""
    assert {language for language, _ in BLOCKS} == {"python", "sql", "r", "js", "sh"}
    assert PAGE.read_text("utf-8").count("```") == 2 * len(BLOCKS)
