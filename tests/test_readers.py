"""The calls in docs/readers.md read every cell back, run as they are there."""

from __future__ import annotations

import math
import re
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, scalar, text, write_run

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs" / "readers.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

#: Cells by tag, and the type of each; None is a step that has no value.
LARGEST_FLOAT32 = 3.4028234663852886e38
NUMBERS: dict[str, tuple[str, list[Any]]] = {
    "float32": ("float32", [0.5, math.nan, math.inf, -math.inf, 2**-149, -0.0, LARGEST_FLOAT32, None]),
    "float64": ("float64", [0.1, math.nan, math.inf, -math.inf, 5e-324, -0.0, 2.2250738585072014e-308, None]),
    "int64": ("int64", [2**53 + 1, -(2**63), 2**63 - 1, 0, None, 1, 2, 3]),
    "uint64": ("uint64", [2**64 - 1, 2**53 + 1, 0, None, 1, 2, 3, 4]),
    "bool": ("bool", [True, False, None, True, False, True, True, False]),
    "1": ("float32", [1e-10, 2.5e10, None, 1.5, 2.5, 3.5, 4.5, 5.5]),
    ' say "x", y': ("float32", [None, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]),
    "a`b\\c": ("float32", [None, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]),
    "NA": ("float32", [None, None, None, None, None, None, None, 7.5]),
}
STEPS = [0, 1, 2, 3, 4, 5, 6, 2**62]
TEXTS = [
    "plain",
    "",
    "NA",
    "null",
    "None",
    "nan",
    "007",
    "1e5",
    " blank ",
    'say "so"',
    "two\nlines",
    "a,b",
    "=1",
    "é",
    "\\",
]
#: So many rows without a value come first: polars looks at 100 rows, DuckDB at 20,480.
EMPTY_ROWS = 21_000


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables in each format, below a folder with a key that is a column."""
    folder = tmp_path_factory.mktemp("readers")
    logs = folder / "logs"
    events = [event(scalar("first", 1.5), step=step - EMPTY_ROWS) for step in range(EMPTY_ROWS)]
    for row, step in enumerate(STEPS):
        cells = ((tag, dtype, cells[row]) for tag, (dtype, cells) in NUMBERS.items())
        events.append(event(*(scalar(tag, cell, dtype) for tag, dtype, cell in cells if cell is not None), step=step))
    write_run(logs, *events, *(event(text("notes", cell), step=step) for step, cell in enumerate(TEXTS)))
    for table_format in ("csv", "jsonl"):
        (folder / table_format / "step=7").mkdir(parents=True)
        tb2csv.convert(logs, folder / table_format / "step=7" / "tables", layout="wide", format=table_format)
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


def sqlite_columns(cursor: Any) -> dict[str, list[Any]]:
    """Return the columns; NaN and uint64 are text in SQLite."""
    columns = {name: list(cells) for (name, *_), *cells in zip(cursor.description, *cursor.fetchall(), strict=True)}
    for name, (dtype, _) in NUMBERS.items():
        if name in columns:
            kept = {"uint64": int}.get(dtype, float)
            columns[name] = [kept(cell) if isinstance(cell, str) else cell for cell in columns[name]]
    return columns


#: The format that each call reads, and how its columns become lists.
READERS: dict[str, tuple[str, Any]] = {
    "read_duckdb": ("csv", duckdb_columns),
    "read_polars": ("csv", lambda table: table.to_dict(as_series=False)),
    "read_pyarrow": ("csv", lambda table: {name: table[name].to_pylist() for name in table.column_names}),
    "read_pandas": ("csv", pandas_columns),
    "read_sqlite": ("csv", sqlite_columns),
    "read_chdb": ("csv", arrow_columns),
    "read_spark": ("csv", spark_columns),
    "read_json_duckdb": ("jsonl", duckdb_columns),
    "read_json_pandas": ("jsonl", pandas_columns),
}
#: What a reader needs; a fixture that is not None is the third argument of the call.
FIXTURES = {"read_spark": ["spark"], "read_chdb": ["clickhouse"]}
#: What these make of an empty text.
EMPTY_TEXTS = {"read_spark": None}
#: What these make of a missing float.
NAN_IS_MISSING = {"read_pandas", "read_json_pandas"}


def stored(cell: Any, dtype: str) -> Any:
    """Return a cell as the event file has it."""
    return struct.unpack("<f", struct.pack("<f", cell))[0] if dtype == "float32" and cell is not None else cell


def bits(cell: Any) -> Any:
    """Return what tells -0.0 from 0.0, and lets NaN equal NaN."""
    if isinstance(cell, float):
        return "nan" if math.isnan(cell) else struct.pack("<d", cell)
    return cell


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning")  # Spark's
def test_calls_on_the_page_read_every_cell_back(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    table_format, columns_of = READERS[name]
    monkeypatch.chdir(folder / table_format / "step=7")  # before Spark starts, which stays where it started
    fixtures = [request.getfixturevalue(fixture) for fixture in FIXTURES.get(name, ())]
    more = [fixture for fixture in fixtures if fixture is not None]
    scope: dict[str, Any] = {}
    for block in BLOCKS:
        if f"def {name}(" in block or "types = {\n    resource" in block:
            exec(block, scope)
    read = scope[name]
    found = columns_of(read(f"tables/scalars.{table_format}", scope["types"][f"scalars.{table_format}"], *more))
    assert list(found) == ["step", "wall_time", "first", *NUMBERS]
    assert found["step"][EMPTY_ROWS:] == STEPS
    for tag, (dtype, cells) in NUMBERS.items():
        missing = math.nan if name in NAN_IS_MISSING and "float" in dtype else None
        expected = [missing] * EMPTY_ROWS + [missing if cell is None else stored(cell, dtype) for cell in cells]
        assert list(map(bits, found[tag])) == list(map(bits, expected)), tag
    notes = columns_of(read(f"tables/text/notes.{table_format}", scope["types"][f"text/notes.{table_format}"], *more))
    assert list(notes) == ["wall_time", "step", "text"]
    assert notes["text"] == [EMPTY_TEXTS.get(name, "") if cell == "" else cell for cell in TEXTS]


def test_every_call_on_the_page_is_run() -> None:
    assert set(re.findall(r"^def (\w+)\(", PAGE.read_text("utf-8"), re.MULTILINE)) == set(READERS)
