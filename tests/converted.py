"""What a conversion holds, whatever its layout and format, read without tb2csv, in terms that can be compared."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import struct
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
from tables import read_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Series(NamedTuple):
    """What tables of one series have in common, whichever files they lie in: their columns are those of the tree."""

    kind: str
    run: str
    tag: str
    columns: tuple[tuple[str, str], ...]


#: A character of no table.
STAND_IN = "\uf8ff"
#: A number is its bits, so that NaN equals NaN and 0.0 does not equal -0.0; None is a missing cell.
Row = tuple[Any, ...]


def read_package(out: Path) -> dict[str, dict[str, Any]]:
    """Return what the data package says of every table but the index, by path."""
    package = json.loads((out / "datapackage.json").read_text("utf-8"))
    return {each["path"]: each for each in package["resources"] if each["path"] != "index.csv"}


def dtypes_of(resource: dict[str, Any]) -> dict[str, str]:
    """Return the columns of a table and their exact types."""
    return {field["name"]: field["tb2csv:dtype"] for field in resource["schema"]["fields"]}


def read_table(out: Path, resource: dict[str, Any]) -> list[Row]:
    """Return the rows of a table."""
    dtypes = dtypes_of(resource)
    data = (out / resource["path"]).read_bytes()
    names, rows = READERS[resource["format"], resource.get("compression", "")](data, dtypes)
    assert names == list(dtypes), resource["path"]
    convert = [_comparable(dtype) for dtype in dtypes.values()]
    return [tuple(to(cell) for to, cell in zip(convert, row, strict=True)) for row in rows]


def read_series(out: Path) -> dict[Series, list[Row]]:
    """Return the rows of every series, in their order; what a path column leads to instead of the path."""
    index = {row["path"]: row for row in read_index(out)}
    found: dict[Series, list[Row]] = {}
    for path, resource in read_package(out).items():
        entry, dtypes = index[path], dtypes_of(resource)
        leading = [name for name in ("run", "tag") if name in dtypes and not entry[name] and entry["kind"] != "hparams"]
        assert list(dtypes)[: len(leading)] == leading
        own = tuple((name.rpartition(":")[2], dtype) for name, dtype in dtypes.items() if name not in leading)
        place = list(dtypes).index("path") if "path" in dtypes else None
        rows = read_table(out, resource)
        assert len(rows) == int(entry["rows"]), path
        if not rows and not leading:
            found[Series(entry["kind"], entry["run"], entry["tag"], own)] = []
        for row in rows:
            cells = list(row)
            if place is not None:
                cells[place] = ((out / path).parent / cells[place]).read_bytes()
            names = dict(zip(leading, cells, strict=False))
            series = Series(entry["kind"], names.get("run", entry["run"]), names.get("tag", entry["tag"]), own)
            found.setdefault(series, []).append(tuple(cells[len(leading) :]))
    return found


def _read_csv(data: bytes, dtypes: dict[str, str]) -> tuple[list[str], list[list[Any]]]:
    # The csv module does not distinguish an empty text from a missing cell; only text can have both.
    has_text = "string" in dtypes.values()
    texts = pl.read_csv(data, infer_schema=False, raise_if_empty=False) if has_text else None
    # Before Python 3.11 the csv module refuses NUL, so another character is in its place until the cells are apart.
    text = data.decode("utf-8")
    assert STAND_IN not in text
    lines = [
        [cell.replace(STAND_IN, "\0") for cell in line]
        for line in csv.reader(io.StringIO(text.replace("\0", STAND_IN), newline=""))
    ]
    rows = []
    for i, line in enumerate(lines[1:]):
        cells: list[Any] = []
        for place, (cell, dtype) in enumerate(zip(line or [""], dtypes.values(), strict=True)):
            if not cell:  # by its place, because polars leaves quotes in a header doubled
                is_text = texts is not None and dtype == "string" and texts.to_series(place)[i] is not None
                cells.append("" if is_text else None)
            else:
                cells.append(_PARSERS.get(dtype, float if "float" in dtype else int)(cell))
        rows.append(cells)
    return lines[0], rows


def _read_lines(data: bytes, dtypes: dict[str, str]) -> tuple[list[str], list[list[Any]]]:
    rows = [json.loads(line, object_pairs_hook=list) for line in data.decode("utf-8").split("\n")[:-1]]
    assert all([name for name, _ in row] == list(dtypes) for row in rows)
    return list(dtypes), [
        [
            _PARSERS["datetime"](cell) if dtypes[name] == "datetime" and cell else _number(cell, dtypes[name])
            for name, cell in row
        ]
        for row in rows
    ]


def _number(cell: Any, dtype: str) -> Any:
    return float(cell) if "float" in dtype and cell is not None else cell


def _read_frame(read: Callable[[io.BytesIO], pl.DataFrame]) -> Callable[..., tuple[list[str], list[tuple[Any, ...]]]]:
    def read_frame(data: bytes, dtypes: dict[str, str]) -> tuple[list[str], list[tuple[Any, ...]]]:
        frame = read(io.BytesIO(data))
        named = ("datetime" if dtype.is_temporal() else str(dtype).lower() for dtype in frame.dtypes)
        assert list(named) == list(dtypes.values())
        return frame.columns, frame.rows()

    return read_frame


def _read_zstandard(data: bytes, dtypes: dict[str, str]) -> tuple[list[str], list[list[Any]]]:
    """Only polars reads it on every Python; as lines of text, so that the csv module reads the rest."""
    assert data.startswith(b"\x28\xb5\x2f\xfd")
    text = pl.read_csv(data, has_header=False, quote_char=None, separator="\x1e", infer_schema=False, new_columns=["l"])
    # A line within a cell may be empty, which is a missing line here.
    return _read_csv("".join(f"{line or ''}\n" for line in text["l"]).encode(), dtypes)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "boolean": lambda cell: {"true": True, "false": False}[cell],
    "datetime": lambda cell: datetime.fromisoformat(cell.replace("Z", "+00:00")),
}
READERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("csv", ""): _read_csv,
    ("csv", "gz"): lambda data, dtypes: _read_csv(gzip.decompress(data), dtypes),
    ("csv", "zst"): _read_zstandard,
    ("jsonl", ""): _read_lines,
    ("parquet", ""): _read_frame(pl.read_parquet),
    ("arrow", ""): _read_frame(pl.read_ipc),
}


def _comparable(dtype: str) -> Callable[[Any], Any]:
    if "float" not in dtype:
        return lambda cell: cell

    pack = struct.Struct({"float32": "<f", "float64": "<d"}[dtype]).pack

    def bits(cell: float | None) -> bytes | None:
        if cell is None:
            return None
        return b"NaN" if math.isnan(cell) else pack(cell)

    return bits
