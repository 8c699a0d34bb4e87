"""Statistics of a run: the values of each series, the bytes of each file, and the empty values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tb2csv.report import RunReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.report import UndecodableEntry
    from tb2csv.time_series import SeriesStats


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

    @property
    def values_read(self) -> int:
        """The number of values that have been read and grouped."""
        return sum(stats.points for stats in self.series) + self.empty.total() + self.empty_filtered

    @property
    def values_filtered(self) -> int:
        """The number of values that are not selected."""
        return self.empty_filtered + sum(stats.left_out if stats.is_selected else stats.points for stats in self.series)

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
