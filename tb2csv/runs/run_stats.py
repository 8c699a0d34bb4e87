"""Statistics of a run: the values of each series, the bytes of each file, and the empty values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tb2csv.late_modules import np
from tb2csv.report import RunReport

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    import numpy.typing as npt

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.report import UndecodableEntry
    from tb2csv.runs.groupings import Grouping
    from tb2csv.runs.series_registry import ReaderSeries
    from tb2csv.time_series import SeriesStats


@dataclass(slots=True, eq=False, repr=False)
class RunStats:
    """The statistics of a run, complete when all its values have been read."""

    run: str
    #: In the order of their first values.
    series: Sequence[SeriesStats] = ()
    #: In the order in which they were first read.
    files: list[FileStats] = field(default_factory=list)
    #: The number of empty values of each selected tag. They have neither a payload nor plugin content, and belong to no
    #: series.
    empty: Counter[str] = field(default_factory=Counter)
    #: The number of empty values of all tags that are not selected.
    empty_filtered: int = 0

    @property
    def values_read(self) -> int:
        """The number of values that have been read and grouped."""
        points = sum([stats.points for stats in self.series])
        return points + self.empty_filtered + (self.empty.total() if self.empty else 0)

    @property
    def values_filtered(self) -> int:
        """The number of values that are not selected."""
        return self.empty_filtered + sum(
            [stats.left_out if stats.is_selected else stats.points for stats in self.series]
        )

    def report(self, undecodable: Sequence[UndecodableEntry] = (), *, values_filtered: int = 0) -> RunReport:
        """Return the report of a run that was read but not written."""
        return RunReport(
            self.run,
            values_read=self.values_read,
            values_filtered=values_filtered,
            values_undecodable=len(undecodable),
            sources=self.files,
            undecodable=list(undecodable),
            empty=self.empty,
        )


def count_values(series: ReaderSeries, grouping: Grouping, rows_before: int) -> None:
    """Add the values of a block to the statistics of their series; ``rows_before`` precede them in the run."""
    columns, stats, present = grouping.block.columns, series.registry.stats, np.array(grouping.present, np.int64)
    starts, stops = grouping.bounds[present], grouping.bounds[present + 1]
    first, last = grouping.order[starts], grouping.order[stops - 1]
    ids = present + series.first_id
    points = _cells(stats.points)
    before = points[ids]
    known = before > 0
    grouping.rows_before.update(zip(present[known].tolist(), before[known].tolist(), strict=True))
    points[ids] += stops - starts
    new, first = ids[~known], first[~known]
    _cells(stats.first_step)[new], _cells(stats.first_wall_time)[new] = columns.step[first], columns.wall_time[first]
    _cells(stats.last_step)[ids], _cells(stats.last_wall_time)[ids] = columns.step[last], columns.wall_time[last]
    _cells(stats.last_row)[ids] = rows_before + last


def _cells(column: array[Any]) -> npt.NDArray[Any]:
    """Return the cells of a column; the column cannot grow while they are in use."""
    return np.frombuffer(column, np.dtype(column.typecode))
