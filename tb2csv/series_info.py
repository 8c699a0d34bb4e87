"""Public facts about series, without their values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.time_series import SeriesStats


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """The values of one tag in one run.

    ``kind`` is the kind of tables, ``plugin_name`` the plugin's name as it is stored. ``points`` counts all values;
    steps and wall times are those of the first and the last value in the file. Wall times are seconds since 1970.
    """

    run: str
    tag: str
    kind: str
    plugin_name: str
    points: int
    first_step: int
    last_step: int
    first_wall_time: float
    last_wall_time: float


def series_info(stats: SeriesStats) -> SeriesInfo:
    """Return the public facts of a series that was read."""
    series = stats.series
    names = (series.run, series.tag, series.kind, series.plugin_name)
    steps = (stats.first_step, stats.last_step)
    return SeriesInfo(*names, stats.points, *steps, stats.first_wall_time, stats.last_wall_time)


def series_frame(series: Sequence[SeriesInfo]) -> pl.DataFrame:
    """Return series as a frame with the fields of SeriesInfo as columns."""
    types = {"str": pl.String, "int": pl.Int64, "float": pl.Float64}
    columns = {each.name: types[str(each.type)] for each in fields(SeriesInfo)}
    return pl.DataFrame([[getattr(each, name) for each in series] for name in columns], columns, orient="col")
