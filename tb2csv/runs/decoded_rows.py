"""Decoded rows, and values that cannot be decoded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.late_modules import np
from tb2csv.report import UndecodableEntry
from tb2csv.runs.groupings import series_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tb2csv.decoders import TablePart
    from tb2csv.time_series import Series


#: The number of series whose rows are written at once.
_SERIES_AT_ONCE: Final = 4096


class UndecodableValue(NamedTuple):
    """A value that cannot be decoded: its series and step, the reason, and its payload."""

    series: Series
    wall_time: float
    step: int
    detail: str
    payload: bytes
    #: The run that the value was written to, if sub-runs are merged into their parents.
    original_run: str | None = None
    #: Whether it expands to more than ``max_expansion`` allows.
    exceeds_limit: bool = False

    @property
    def entry(self) -> UndecodableEntry:
        """The entry of the value in a report."""
        return UndecodableEntry(self.series.run, self.series.tag, self.step, self.detail, self.exceeds_limit)


class Rows(NamedTuple):
    """Rows of one series or of several with the same columns.

    The rows from ``bounds[i]`` up to ``bounds[i + 1]`` belong to ``series[i]``.
    """

    part: TablePart
    series: list[Series]
    bounds: npt.NDArray[np.int64]
    #: Like ``bounds``, but counts the decoded values instead of the rows.
    value_bounds: npt.NDArray[np.int64]

    def of_series(self, first: int, last: int) -> Rows:
        """Return the rows of the series from the index ``first`` up to ``last``."""
        part, bounds, values = self.part, self.bounds[first : last + 1], self.value_bounds[first : last + 1]
        start, stop = np.clip(values[[0, -1]], part.start, part.stop).tolist()
        counts = part.counts if isinstance(part.counts, int) else part.counts[start - part.start : stop - part.start]
        own = replace(
            part,
            frame=part.frame.slice(int(bounds[0]), int(bounds[-1] - bounds[0])),
            start=start,
            stop=stop,
            counts=counts,
            files=tuple(file for file in part.files if start <= file.row < stop),
        )
        return Rows(own, self.series[first:last], bounds - bounds[0], values)

    def in_parts(self) -> Iterator[Rows]:
        """Yield the rows of some thousand series at once, because a log may have a million tags."""
        if len(self.series) <= _SERIES_AT_ONCE:
            yield self
            return
        for first in range(0, len(self.series), _SERIES_AT_ONCE):
            yield self.of_series(first, min(first + _SERIES_AT_ONCE, len(self.series)))

    def series_of(self, value: int) -> Series:
        """Return the series of a value."""
        return self.series[series_at(self.value_bounds, value)]
