"""The data of the server double: the series of a real log directory, or of one that is too large to write."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tb2csv import open_logdir

if TYPE_CHECKING:
    from pathlib import Path

#: Maximum number of points of a series that TensorBoard shows by default.
_SHOWN = {"scalars": 1000, "images": 10, "audio": 10}


@dataclass(frozen=True)
class Series:
    """One row of the index."""

    run: str
    tag: str
    kind: str
    points: int
    first_step: int
    last_step: int

    @property
    def shown(self) -> int:
        return min(self.points, _SHOWN.get(self.kind, 100))


class Shelf(Protocol):
    """Series and their tables."""

    series: list[Series]

    def rows(self, series: Series) -> tuple[list[str], list[list[Any]]]:
        """Return the columns and all rows of a table, with JSON's values."""
        ...


class LogdirShelf:
    """The series of a log directory."""

    def __init__(self, path: Path) -> None:
        self._frames = open_logdir(path)
        self.series: list[Series] = []
        self._list()

    def _list(self) -> None:
        self.series = [
            Series(
                account.run,
                account.tag,
                account.kind,
                account.points,
                account.first_step,
                account.last_step,
            )
            for account in self._frames.series()
        ]

    def refresh(self) -> None:
        self._frames.refresh()
        self._list()

    def rows(self, series: Series) -> tuple[list[str], list[list[Any]]]:
        frame = self._frames.table(series.run, series.tag, series.kind)
        return frame.columns, [[_json_value(cell) for cell in row] for row in frame.rows()]


class SyntheticShelf:
    """Many runs with many tags each, none of them on disk."""

    def __init__(self, runs: int, tags: int, points: int = 14_000) -> None:
        names = [f"layer_{tag % 10}/unit_{tag}" for tag in range(tags)]
        self.series = [
            Series(f"sweep/run_{run:04}", name, "scalars", points, 0, points - 1)
            for run in range(runs)
            for name in names
        ]

    def rows(self, series: Series) -> tuple[list[str], list[list[Any]]]:
        rows = [
            [1_700_000_000.5 + step, step, round(math.exp(-step / 4000) + 0.05 * math.sin(step / 90), 6)]
            for step in range(series.points)
        ]
        return ["wall_time", "step", "value"], rows


def _json_value(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return f"{len(cell)} bytes"
    if isinstance(cell, float) and not math.isfinite(cell):
        return "NaN" if math.isnan(cell) else "Infinity" if cell > 0 else "-Infinity"
    return cell
