"""Reading a conversion back without tb2csv: the csv module for text, numpy for numbers."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, except those of the ledger."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".tb2csv" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


#: Replaces NUL before Python 3.11, whose csv module is the first that reads it.
_NUL = "<the character of number 0>"


def parse_lines(text: str) -> list[list[str]]:
    """Return the lines of a table, the header among them, every cell as its text."""
    if sys.version_info >= (3, 11):
        return list(csv.reader(io.StringIO(text, newline="")))
    lines = csv.reader(io.StringIO(text.replace("\0", _NUL), newline=""))
    return [[cell.replace(_NUL, "\0") for cell in line] for line in lines]


def parse_rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a table, every cell as its text."""
    header, *lines = parse_lines(text)
    return [dict(zip(header, line, strict=True)) for line in lines]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of the table in a file."""
    return parse_rows(path.read_bytes().decode("utf-8"))


def read_schemas(out: Path) -> dict[str, dict[str, str]]:
    """Return the exact types of each table's columns, as the data package gives them."""
    package = json.loads((out / "datapackage.json").read_text("utf-8"))
    return {
        resource["path"]: {field["name"]: field["tb2csv:dtype"] for field in resource["schema"]["fields"]}
        for resource in package["resources"]
    }


def read_index(out: Path) -> list[dict[str, str]]:
    """Return the table of contents."""
    return read_rows(out / "index.csv")


def read_columns(out: Path, path: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a table in their own types: numbers as such, text as objects; no cell may be missing."""
    rows = read_rows(out / path)
    return {name: _column([row[name] for row in rows], dtype) for name, dtype in read_schemas(out)[path].items()}


def _column(cells: list[str], dtype: str) -> npt.NDArray[Any]:
    if dtype == "string":
        return np.array(cells, object)
    if dtype == "boolean":
        return np.array([{"true": True, "false": False}[cell] for cell in cells], bool)
    if "int" in dtype:
        return np.array([int(cell) for cell in cells], dtype)
    return np.array([float(cell) for cell in cells], np.float64).astype(dtype)


def same_bits(left: npt.ArrayLike, right: npt.ArrayLike) -> bool:
    """Say whether numbers are the same in type, number and bits; any two NaN are the same, 0.0 and -0.0 are not."""
    left, right = np.asarray(left), np.asarray(right)
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if left.dtype.kind != "f":
        return bool((left == right).all())
    both = np.isnan(left) & np.isnan(right)
    return bool(((left == right) & (np.signbit(left) == np.signbit(right)) | both).all())
