"""Decoded rows, and values that cannot be decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tb2csv.report import UndecodableEntry
from tb2csv.runs.groupings import series_at

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tb2csv.decoders import TablePart
    from tb2csv.time_series import Series


class UndecodableValue(NamedTuple):
    """A value that cannot be decoded: its series and step, the reason, and its payload."""

    series: Series
    wall_time: float
    step: int
    detail: str
    payload: bytes
    #: The run that the value was written to, if sub-runs are merged into their parents.
    original_run: str | None = None

    @property
    def entry(self) -> UndecodableEntry:
        """The entry of the value in a report."""
        return UndecodableEntry(self.series.run, self.series.tag, self.step, self.detail)


class Rows(NamedTuple):
    """Rows of one series or of several with the same columns.

    The rows from ``bounds[i]`` up to ``bounds[i + 1]`` belong to ``series[i]``.
    """

    part: TablePart
    series: list[Series]
    bounds: npt.NDArray[np.int64]
    #: Like ``bounds``, but counts the decoded values instead of the rows.
    value_bounds: npt.NDArray[np.int64]

    def series_of(self, value: int) -> Series:
        """Return the series of a value."""
        return self.series[series_at(self.value_bounds, value)]
