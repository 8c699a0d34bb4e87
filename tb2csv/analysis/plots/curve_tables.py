"""The curves of a plot as a table: every value, none thinned or hidden, with smoothed values and bands as columns."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.bands import BANDS, LIMITS
from tb2csv.analysis.plots.smoothing import smoothed
from tb2csv.analysis.table_text import TEXT_SUFFIXES, table_text, text_format
from tb2csv.atomic_files import whole_file
from tb2csv.errors import OptionError
from tb2csv.late_modules import np, pl
from tb2csv.layouts.bins import AXES
from tb2csv.messages import Function, advice

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues

    Numbers = npt.NDArray[np.float64]

_DAY: Final = 86_400.0
#: Wall times of a plot are in days, which float64 holds to the microsecond.
_TIME_DIGITS: Final = 6
#: float64 holds every integer up to this one.
_FLOAT64_INTEGERS: Final = 2.0**53


def is_table_file(out: str | os.PathLike[str]) -> bool:
    """Return whether the ending of a file is that of a table."""
    return PurePath(out).suffix.lower() in TEXT_SUFFIXES


def curve_table(values: PlottedValues, axis: str, *, smooth: float, band: str | None) -> pl.DataFrame:
    """Return a row for each value of each curve.

    The columns are ``run, tag, step, value``, and ``smoothed`` if ``smooth`` is not 0. With a band, they are
    ``group, tag, step, n``, ``mean`` or ``median``, ``low, high``. On an axis of time, ``relative_time`` or
    ``wall_time``, in seconds, takes the place of ``step``.

    Args:
        values: the scalars, or the norms of tensors.
        axis: the name of the x axis.
        smooth: the weight of smoothing. Runs of a group are smoothed already.
        band: the band of groups of runs; None without groups.

    Raises:
        OptionError: the values are histograms.
    """
    if values.histograms:
        raise OptionError("Histograms of a plot have no table", advice("write theirs with {}", Function("convert")))
    position = AXES[axis]
    parts = [_of_series(each, position, smooth, band) for each in values.series]
    table = pl.concat(parts, how="vertical_relaxed", rechunk=True)
    if "value" in table.columns:  # nearly all logs have float32, whose text is shorter
        narrow = table["value"].cast(pl.Float32)
        table = table.with_columns(narrow) if narrow.cast(pl.Float64).equals(table["value"]) else table
    return table


def _of_series(series: PlottedSeries, position: str, smooth: float, band: str | None) -> pl.DataFrame:
    names = {"run" if series.spread is None else "group": series.run, "tag": series.tag}
    columns: dict[str, Any] = {
        **{name: pl.Series([text], dtype=pl.String).new_from_index(0, len(series.x)) for name, text in names.items()},
        position: _positions(series.x, position),
    }
    if series.spread is None or band is None:
        columns["value"] = series.y
        if smooth:
            columns["smoothed"] = smoothed(series.y, smooth)
    else:
        limits = zip(LIMITS, (series.spread.low, series.spread.high), strict=True)
        is_undefined = np.isnan(series.y)
        columns |= {"n": series.spread.n, BANDS[band].middle: series.y}
        # A single value has no band, which is not the same as NaN.
        columns |= {name: pl.Series(each).set(pl.Series(np.isnan(each) & ~is_undefined), None) for name, each in limits}
    return pl.DataFrame(columns)


def _positions(x: Numbers, name: str) -> pl.Series:
    seconds = np.round(x * _DAY, _TIME_DIGITS) if name == "wall_time" else x
    is_whole = name == "step" and bool(((x == np.floor(x)) & (np.abs(x) < _FLOAT64_INTEGERS)).all())
    positions = pl.Series(seconds, dtype=pl.Float64)
    return positions.cast(pl.Int64) if is_whole else positions


def write_curve_table(table: pl.DataFrame, out: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write the table in the format of the ending of ``out``, atomically.

    Raises:
        OutputError: ``out`` cannot be written.
    """
    text = table_text(table, text_format(None, out))
    with whole_file(out, overwrite=overwrite) as place:
        place.write_text(text, encoding="utf-8", newline="\n")
