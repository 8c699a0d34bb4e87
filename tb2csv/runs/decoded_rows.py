"""Rows that were decoded, and the account of each series that they are of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.runs.groupings import series_at

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tb2csv.decoders import Decoder, TablePart
    from tb2csv.runs.time_series import TimeSeries


@dataclass(slots=True)
class SeriesAccount:
    """What was seen of one time series: how many values, and when; the first and the last in the order of the files."""

    series: TimeSeries
    decoder: Decoder
    is_selected: bool
    points: int = 0
    #: Values that were selected, but not by a row selection; and those that could not be decoded.
    left_out: int = 0
    undecodable: int = 0
    first_step: int = 0
    last_step: int = 0
    first_wall_time: float = math.nan
    last_wall_time: float = math.nan
    #: Which of the run's values, counted from 0 in the order of the files, was the last.
    last_row: int = -1


class UndecodableValue(NamedTuple):
    """A value that could not be decoded: where it belongs, why, and the payload that is kept."""

    series: TimeSeries
    wall_time: float
    step: int
    detail: str
    payload: bytes


class Rows(NamedTuple):
    """A piece of a table, or of several of the same columns: ``bounds[i]`` to ``bounds[i + 1]`` are ``series[i]``'s."""

    piece: TablePart
    series: list[SeriesAccount]
    bounds: npt.NDArray[np.int64]
    #: As ``bounds``, but of the values that were decoded.
    value_bounds: npt.NDArray[np.int64]

    def series_of(self, value: int) -> SeriesAccount:
        """Return the series of one of the values."""
        return self.series[series_at(self.value_bounds, value)]
