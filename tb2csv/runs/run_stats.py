"""Statistics of a run: the values of each series, the bytes of each file, and the empty values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tb2csv.late_modules import np
from tb2csv.report import RunReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.report import UndecodableEntry
    from tb2csv.runs.groupings import Grouping
    from tb2csv.time_series import SeriesStats

#: The number of series whose values are counted at once.
_SERIES_AT_ONCE: Final = 4096


@dataclass(slots=True)
class RunStats:
    """The statistics of a run, complete when all its values have been read."""

    run: str
    #: In the order of their first values.
    series: list[SeriesStats] = field(default_factory=list)
    #: In the order in which they were first read.
    files: list[FileStats] = field(default_factory=list)
    #: The number of empty values of each selected tag. They have neither a payload nor plugin content, and belong to no
    #: series.
    empty: Counter[str] = field(default_factory=Counter)
    #: The number of empty values of all tags that are not selected.
    empty_filtered: int = 0

    def add(self, grouping: Grouping, rows_before: int) -> None:
        """Add the values of a block to the statistics of their series; ``rows_before`` precede them in the run."""
        for start in range(0, len(grouping.present), _SERIES_AT_ONCE):
            self._add(grouping, grouping.present[start : start + _SERIES_AT_ONCE], rows_before)

    def _add(self, grouping: Grouping, numbers: list[int], rows_before: int) -> None:
        columns, present = grouping.block.columns, np.array(numbers, np.int64)
        starts, stops = grouping.bounds[present], grouping.bounds[present + 1]
        first, last = grouping.order[starts], grouping.order[stops - 1]
        for number, count, first_step, first_time, last_step, last_time, last_row in zip(
            numbers,
            (stops - starts).tolist(),
            columns.step[first].tolist(),
            columns.wall_time[first].tolist(),
            columns.step[last].tolist(),
            columns.wall_time[last].tolist(),
            (rows_before + last).tolist(),
            strict=True,
        ):
            stats = self.series[number]
            if stats.points:
                grouping.rows_before[number] = stats.points
            else:
                stats.first_step, stats.first_wall_time = first_step, first_time
            if count > 1:
                stats.last_step, stats.last_wall_time = last_step, last_time
            else:  # the same objects: a log may have a million tags with one value each
                stats.last_step, stats.last_wall_time = first_step, first_time
            stats.last_row = last_row
            stats.points += count

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
