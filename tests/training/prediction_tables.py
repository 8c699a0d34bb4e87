"""Tables of predictions as the tests read them, by the csv module."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def numbers(path: Path, columns: list[str]) -> Any:
    """Return the numbers of a table, whose columns must be ``sample``, 0, 1, 2 …, and these."""
    header, rows = read(path)
    assert header == ["sample", *columns]
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    return np.array([row[1:] for row in rows], np.float64)
