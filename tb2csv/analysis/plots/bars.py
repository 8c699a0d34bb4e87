"""Bars for a tag that has one value in each run, such as the result of a test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.plots.labels import common_folders, labels
from tb2csv.analysis.plots.thinning import TOO_LARGE
from tb2csv.analysis.plots.tick_labels import label_numbers, short_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.analysis.plots.drawing_options import DrawingOptions
    from tb2csv.analysis.plots.plotted_series import PlottedSeries

#: The maximum number of bars with names and numbers.
_MOST_NAMED: Final = 24
_NAME_WIDTH: Final = 28
_HEIGHT: Final = 0.7
#: The room for numbers beyond the longest bar, as a fraction of its length.
_NUMBERS: Final = 0.22


def are_single(curves: Sequence[PlottedSeries]) -> bool:
    """Return whether each series has exactly one value."""
    return all(series.y.size == 1 for series in curves)


def draw_bars(panel: Any, curves: Sequence[PlottedSeries], options: DrawingOptions, gids: Sequence[str]) -> None:
    """Draw a bar for each run, from 0, with the name of the run and the value; NaN and infinity are words.

    The bar of a group of runs has its band as a line.
    """
    values = [float(series.y[0]) for series in curves]
    lengths = [value if abs(value) < TOO_LARGE else 0.0 for value in values]
    bars = panel.barh(
        range(len(values)), lengths, height=_HEIGHT, color=[options.colours[each.run] for each in curves], zorder=3
    )
    for bar, gid in zip(bars, gids, strict=True):
        bar.set_gid(gid)
    ends = [_draw_band(panel, place, *each, options) for place, each in enumerate(zip(curves, lengths, strict=True))]
    panel.set_ylim(len(values) - 0.5, -0.5)
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    is_named = len(values) <= _MOST_NAMED
    room = (high - low or 1.0) * _NUMBERS * is_named
    panel.set_xlim(low - room * (low < 0), high + room * (high > 0 or low == 0))
    if options.ylim:
        panel.set_xlim(*options.ylim)
    label_numbers(panel.xaxis)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
    panel.set_yticks([])
    if is_named:
        _write_names(panel, [series.run for series in curves])
        for place, (value, end) in enumerate(zip(values, ends, strict=True)):
            panel.annotate(
                short_number(value) or str(value).replace("nan", "NaN"),
                (end, place),
                xytext=(-3 if end < 0 else 3, 0),
                textcoords="offset points",
                ha="right" if end < 0 else "left",
                va="center",
                color=options.look.theme.faint_text,
            )


def _draw_band(panel: Any, place: int, series: PlottedSeries, length: float, options: DrawingOptions) -> float:
    """Draw the band of a group of runs, and return the end of what is drawn that is farther from 0."""
    if series.spread is None:
        return length
    low, high = float(series.spread.low[0]), float(series.spread.high[0])
    if not (math.isfinite(low) and math.isfinite(high)):
        return length
    panel.plot((low, high), (place, place), color=options.look.theme.text, linewidth=1, zorder=4)
    return max(high, length) if length >= 0 else min(low, length)


def _write_names(panel: Any, runs: Sequence[str]) -> None:
    folders = common_folders(runs)
    names = labels([run[len(folders) :] for run in runs], _NAME_WIDTH) if len(runs) > 1 else [""]
    panel.set_yticks(range(len(runs)), names)
