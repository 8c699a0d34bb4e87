"""The values of a block, sorted by series."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.decoders import TablePart
    from tb2csv.event_files.values import ValueBlock


@dataclass(slots=True)
class Grouping:
    """The values of a block sorted by series: ``order[bounds[i]:bounds[i + 1]]`` are the rows of series number i.

    Values that hold nothing belong to no series and are not in ``order``.
    """

    block: ValueBlock
    #: The number of the file that the block is of, counted from 1.
    file: int
    order: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    #: The numbers of the series that have values here, and how many rows were decoded of them before.
    present: list[int] = field(default_factory=list)
    rows_before: dict[int, int] = field(default_factory=dict)
    #: The session of each value of the block, where a row plan asks for it.
    sessions: npt.NDArray[np.int32] | None = None
    #: Tells the number that each value of the block has in its series, where not all that are between are in the block.
    ordinals: Callable[[], npt.NDArray[np.int64]] | None = None

    def rows_of(self, numbers: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows of some series, one series after the other, and where each starts."""
        starts, stops = self.bounds[numbers], self.bounds[np.array(numbers) + 1]
        bounds = np.concatenate(([0], np.cumsum(stops - starts)))
        order = self.order
        if bounds[-1] < len(order):
            order = np.concatenate([order[a:b] for a, b in zip(starts, stops, strict=True)])  # not all are selected
        return order, bounds


def with_sessions(piece: TablePart, sessions: npt.NDArray[np.int32]) -> TablePart:
    """Return a piece with a column ``session`` after its ``step``; ``sessions`` has one for each of the values."""
    import polars as pl

    column = pl.Series("session", np.repeat(sessions[piece.start : piece.stop], piece.counts))
    frame = piece.frame.clone().insert_column(piece.frame.get_column_index("step") + 1, column)
    return replace(piece, frame=frame)


def series_at(bounds: npt.NDArray[np.int64], row: int) -> int:
    """Return the index of the series that a row belongs to."""
    return int(np.searchsorted(bounds, row, side="right")) - 1
