"""The values of a block, sorted by series."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.decoders import TablePart
    from tb2csv.event_files.values import ValueBlock


@dataclass(slots=True, eq=False, repr=False)
class Grouping:
    """The values of a block sorted by series: ``order[bounds[i]:bounds[i + 1]]`` are the rows of series number i.

    Empty values belong to no series and are not in ``order``.
    """

    block: ValueBlock
    #: The number of the block's file, counted from 1.
    file: int
    order: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    #: The numbers of the series that have values in the block.
    present: list[int] = field(default_factory=list)
    #: The number of values in earlier blocks, by the number of the series; those that have any.
    rows_before: dict[int, int] = field(default_factory=dict)
    #: The session of each value of the block, if the table gets a column for it.
    sessions: npt.NDArray[np.int32] | None = None
    #: Returns the position of each value in its series, if the block has gaps.
    ordinals: Callable[[], npt.NDArray[np.int64]] | None = None

    def rows_of(self, numbers: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows of some series, one series after the other, and the bounds of each series in them."""
        starts, stops = self.bounds[numbers], self.bounds[np.array(numbers) + 1]
        bounds = np.concatenate(([0], np.cumsum(stops - starts)))
        order = self.order
        if bounds[-1] < len(order):
            order = np.concatenate([order[a:b] for a, b in zip(starts, stops, strict=True)])  # not all are selected
        return order, bounds


def with_sessions(part: TablePart, sessions: npt.NDArray[np.int32]) -> TablePart:
    """Return ``part`` with a column ``session`` after ``step``; ``sessions`` has one element for each value."""
    column = pl.Series("session", np.repeat(sessions[part.start : part.stop], part.counts))
    frame = part.frame.clone().insert_column(part.frame.get_column_index("step") + 1, column)
    return replace(part, frame=frame)


def series_at(bounds: npt.NDArray[np.int64], row: int) -> int:
    """Return the index of the series that a row belongs to."""
    return int(np.searchsorted(bounds, row, side="right")) - 1
