"""Rows that were decoded, and values that could not be."""

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
    """A value that could not be decoded: where it belongs, why, and the payload that is kept."""

    series: Series
    wall_time: float
    step: int
    detail: str
    payload: bytes
    #: The run that it was written to, if sub-runs are merged into their parents.
    original_run: str | None = None

    @property
    def entry(self) -> UndecodableEntry:
        """The value as a report lists it."""
        return UndecodableEntry(self.series.run, self.series.tag, self.step, self.detail)


class Rows(NamedTuple):
    """A part of a table, or of several of the same columns: ``bounds[i]`` to ``bounds[i + 1]`` are ``series[i]``'s."""

    piece: TablePart
    series: list[Series]
    bounds: npt.NDArray[np.int64]
    #: As ``bounds``, but of the values that were decoded.
    value_bounds: npt.NDArray[np.int64]

    def series_of(self, value: int) -> Series:
        """Return the series of one of the values."""
        return self.series[series_at(self.value_bounds, value)]
