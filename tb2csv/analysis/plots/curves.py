"""Curves, with a panel for each tag and a line for each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.analysis.plots.figure import Sheet
from tb2csv.analysis.plots.labels import common_folders, labels
from tb2csv.analysis.plots.smoothing import smoothed
from tb2csv.analysis.plots.thinning import band, line
from tb2csv.analysis.plots.x_axis import label_numbers
from tb2csv.display import printable
from tb2csv.logdir import ROOT_RUN
from tb2csv.notes import Note

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.analysis.plots.drawing_options import DrawingOptions
    from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues

    Numbers = npt.NDArray[np.float64]

#: The maximum number of runs in a legend; the others are counted.
MAX_LEGEND_RUNS: Final = 24
_NAME_WIDTH: Final = 36

#: For plots with at most this number of runs: the width of lines in points, and their opacity.
_STROKES: Final = ((8, 1.5, 1.0), (24, 1.1, 0.9), (10**9, 0.7, 0.7))
#: The width and opacity of the unsmoothed line below the smoothed one; it is fainter with more runs than _FEW_RUNS.
_RAW_WIDTH: Final = 0.8
_RAW_OPACITY: Final = 0.3
_FEW_RUNS: Final = 6
#: The height of marks for values without a neighbour that is finite, as a fraction of the panel's height.
_MARK_HEIGHT: Final = 0.03

#: The opacity of the band of a group of runs.
_BAND_OPACITY: Final = 0.18
#: A curve with more changes of n than this has its range in the legend only.
_MAX_SHOWN_CHANGES: Final = 6

#: With more points than this, vector lines are much larger than pixels, and slow to show.
_MAX_VECTOR_POINTS: Final = 100_000


def draw_curves(values: PlottedValues, options: DrawingOptions) -> tuple[Sheet, list[Note]]:
    """Draw scalars, or norms of tensors, and return the figure and its notes."""
    by_tag: dict[str, list[PlottedSeries]] = {}
    for series in values.series:
        by_tag.setdefault(series.tag, []).append(series)
    runs = list(dict.fromkeys(series.run for series in values.series))
    sheet = Sheet(len(by_tag))
    stroke = next((width, opacity) for most, width, opacity in _STROKES if len(runs) <= most)
    drawn = _Drawn(len(runs))
    for number, (tag, curves) in enumerate(by_tag.items()):
        sheet.title(number, tag)
        for series in curves:
            gid = f"run-{runs.index(series.run)}-{number}"
            _draw(sheet, number, series, options, stroke, gid, drawn)
        _finish(sheet, number, options, is_empty=not drawn.points[number])
    if sum(drawn.points.values()) > _MAX_VECTOR_POINTS:
        for artist in drawn.lines:
            artist.set_rasterized(True)
    _name_runs(sheet, runs, options, _sizes(values.series), has_odd=drawn.odd)
    notes = []
    if drawn.thinned:
        notes.append(Note("curves_thinned"))
    if drawn.not_positive:
        notes.append(Note("values_not_positive", count=drawn.not_positive))
    return sheet, notes


class _Drawn:
    """Counts of what has been drawn so far."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.lines: list[Any] = []
        #: Line points and single points of each panel.
        self.points: dict[int, int] = {}
        self.thinned = False
        self.odd = False
        self.not_positive = 0


def _draw(
    sheet: Sheet,
    number: int,
    series: PlottedSeries,
    options: DrawingOptions,
    stroke: tuple[float, float],
    gid: str,
    drawn: _Drawn,
) -> None:
    panel = sheet.panels[number]
    colour = options.colours[series.run]
    x = series.x / options.positions.unit
    if series.spread is not None:
        limits = band(x, series.spread.low, series.spread.high, sheet.pixels)
        panel.fill_between(*limits, color=colour, alpha=_BAND_OPACITY, linewidth=0, zorder=1.5, gid=f"{gid}-band")
        _show_changes(panel, x, series, colour)
    raw = line(x, series.y, sheet.pixels, only_positive=options.log)
    shown = raw
    if options.smooth:
        opacity = _RAW_OPACITY * min(1, _FEW_RUNS / drawn.runs)
        drawn.lines += panel.plot(
            raw.x, raw.y, color=colour, alpha=opacity, linewidth=_RAW_WIDTH, zorder=2, gid=f"{gid}-raw"
        )
        shown = line(x, smoothed(series.y, options.smooth), sheet.pixels, only_positive=options.log)
    width, opacity = stroke
    drawn.lines += panel.plot(shown.x, shown.y, color=colour, alpha=opacity, linewidth=width, zorder=3, gid=gid)
    marks = {"linestyle": "none", "color": colour, "markeredgewidth": 0, "zorder": 4}
    if shown.lone_x.size:
        panel.plot(shown.lone_x, shown.lone_y, marker="o", markersize=4, gid=f"{gid}-lone", **marks)
    if raw.odd_x.size:
        # At the bottom of the panel if no value is near.
        foot = {} if raw.odd_y.size else {"transform": panel.get_xaxis_transform(), "clip_on": False}
        heights = raw.odd_y if raw.odd_y.size else np.full(raw.odd_x.shape, _MARK_HEIGHT)
        panel.plot(raw.odd_x, heights, marker="^", markersize=6, gid=f"{gid}-odd", **marks, **foot)
        drawn.odd = True
    corners = sum(each.x.size + each.lone_x.size for each in ((raw, shown) if options.smooth else (raw,)))
    drawn.points[number] = drawn.points.get(number, 0) + corners
    drawn.thinned |= raw.thinned
    if options.log:
        drawn.not_positive += int((np.isfinite(series.y) & (series.y <= 0)).sum())


def _show_changes(panel: Any, x: Numbers, series: PlottedSeries, colour: str) -> None:
    """Write the new n of a group of runs at the positions at which it changes."""
    assert series.spread is not None
    n = series.spread.n
    changes = np.flatnonzero(np.diff(n)) + 1
    if len(changes) > _MAX_SHOWN_CHANGES:
        return
    for place in changes[np.isfinite(series.y[changes])].tolist():
        panel.plot(x[place], series.y[place], marker="|", markersize=7, color=colour, zorder=4)
        panel.annotate(
            f"n = {n[place]}", (x[place], series.y[place]), (2, 5), textcoords="offset points", color=colour, size=6.5
        )


def _finish(sheet: Sheet, number: int, options: DrawingOptions, *, is_empty: bool) -> None:
    """Write the axes of a panel."""
    panel = sheet.panels[number]
    sheet.label_positions(number, options.positions)
    if is_empty:
        sheet.say(number, "no values above 0" if options.log else "no finite values")
        return
    if options.log:
        panel.set_yscale("log", nonpositive="mask")
    label_numbers(panel.yaxis, log=options.log)


def _sizes(all_series: list[PlottedSeries]) -> dict[str, str]:
    """Return for each group of runs its n, or the range of it."""
    ranges: dict[str, set[int]] = {}
    for series in all_series:
        if series.spread is not None and series.spread.n.size:
            ranges.setdefault(series.run, set()).update((int(series.spread.n.min()), int(series.spread.n.max())))
    return {run: " to ".join(map(str, sorted(found))) for run, found in ranges.items()}


def _name_runs(sheet: Sheet, runs: list[str], options: DrawingOptions, sizes: dict[str, str], *, has_odd: bool) -> None:
    """Draw the legend, or write the name of the only run; ``sizes`` has the n of groups of runs."""
    from matplotlib.lines import Line2D

    if len(runs) == 1:
        if sizes:
            sheet.heading(f"{_group_name(runs[0])} (n = {sizes[runs[0]]}): {options.band}")
        else:
            sheet.name_run(runs[0])
    folders = common_folders(runs)
    names = labels([run[len(folders) :] for run in runs], _NAME_WIDTH) if len(runs) > 1 else []
    if sizes:
        names = [f"{_group_name(name)} (n = {sizes[run]})" for name, run in zip(names, runs, strict=False)]
    shown = names if len(names) <= MAX_LEGEND_RUNS else names[: MAX_LEGEND_RUNS - 1]
    handles = [
        Line2D([], [], color=options.colours[run], linewidth=2, gid=f"run-{number}")
        for number, run in enumerate(runs[: len(shown)])
    ]
    if len(names) > len(shown):
        shown = [*shown, f"and {len(names) - len(shown):,} more"]
        handles.append(Line2D([], [], linestyle="none"))
    if has_odd:
        shown = [*shown, "NaN or infinite"]
        handles.append(Line2D([], [], linestyle="none", marker="^", markersize=6, color="#5f6368", markeredgewidth=0))
    if handles:
        title = f"{printable(folders)} {options.band}".strip() if sizes else printable(folders)
        sheet.legend(handles, shown, title=title)


def _group_name(name: str) -> str:
    return "all runs" if name == ROOT_RUN else name
