"""Curves, with a panel for each tag and a line for each run; bars if each run has one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.analysis.plots.bars import are_single, draw_bars
from tb2csv.analysis.plots.figure import Sheet
from tb2csv.analysis.plots.line_dashes import SOLID, dashes_of, line_style
from tb2csv.analysis.plots.median_curves import median_curve
from tb2csv.analysis.plots.run_names import MEDIAN_WIDTH, MOST_RUNS, name_in_panel, name_runs
from tb2csv.analysis.plots.smoothing import smoothed
from tb2csv.analysis.plots.thinning import band, line
from tb2csv.analysis.plots.tick_labels import label_numbers
from tb2csv.analysis.plots.value_ranges import is_wide, shown_range
from tb2csv.late_modules import np
from tb2csv.notes import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tb2csv.analysis.plots.drawing_options import DrawingOptions
    from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues, Spread

    Numbers = npt.NDArray[np.float64]


#: For plots with at most this number of runs: the width of lines in points, and their opacity.
_STROKES: Final = ((8, 1.5, 1.0), (MOST_RUNS, 1.1, 0.9), (10**9, 0.7, 0.3))
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


class _Curve(NamedTuple):
    """The points of a run in a panel; ``y`` is what the line shows, and ``raw`` the values before smoothing."""

    run: str
    x: Numbers
    y: Numbers
    raw: Numbers
    gid: str
    spread: Spread | None


def draw_curves(values: PlottedValues, options: DrawingOptions) -> tuple[Sheet, list[Note]]:
    """Draw scalars, or norms of tensors, and return the figure and its notes."""
    by_tag: dict[str, list[PlottedSeries]] = {}
    for series in values.series:
        by_tag.setdefault(series.tag, []).append(series)
    runs = list(dict.fromkeys(series.run for series in values.series))
    sheet = Sheet(len(by_tag), options.look)
    sheet.runs, sheet.colours = runs, options.colours
    dashes = dashes_of(runs, options.colours) if len(runs) <= MOST_RUNS else None
    drawn = _Drawn(len(runs))
    for number, (tag, curves) in enumerate(by_tag.items()):
        sheet.title(number, tag)
        if dashes or len(curves) <= MOST_RUNS:  # otherwise the curves are too faint
            sheet.dashes[number] = dashes or dashes_of([each.run for each in curves], options.colours)
        gids = [f"run-{runs.index(series.run)}-{number}" for series in curves]
        if options.log is not True and are_single(curves):
            draw_bars(sheet.panels[number], curves, options, gids)
        else:
            _draw_panel(sheet, number, tag, _curves(curves, options, gids), options, drawn)
    if drawn.points > _MAX_VECTOR_POINTS:
        for artist in drawn.lines:
            artist.set_rasterized(True)
    name_runs(
        sheet,
        values.series,
        options,
        has_curves=drawn.has_curves,
        has_median=drawn.has_median,
        has_odd=drawn.odd,
    )
    return sheet, _notes(drawn)


class _Drawn:
    """Counts of what has been drawn so far."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.lines: list[Any] = []
        #: Points of lines and single points.
        self.points = 0
        #: Whether there are curves without a name in their panel.
        self.has_curves = False
        self.has_median = False
        self.thinned = False
        self.odd = False
        self.not_positive = 0
        self.hidden = 0
        #: The tags whose axes of values became logarithmic, because of their range.
        self.made_log: list[str] = []


def _curves(series: Sequence[PlottedSeries], options: DrawingOptions, gids: Sequence[str]) -> list[_Curve]:
    return [
        _Curve(
            each.run,
            each.x / options.positions.unit,
            smoothed(each.y, options.smooth) if options.smooth else each.y,
            each.y,
            gid,
            each.spread,
        )
        for each, gid in zip(series, gids, strict=True)
    ]


def _draw_panel(
    sheet: Sheet, number: int, tag: str, curves: Sequence[_Curve], options: DrawingOptions, drawn: _Drawn
) -> None:
    """Draw the curves of a tag."""
    panel = sheet.panels[number]
    raw = np.concatenate([curve.raw for curve in curves])
    is_positive = options.ylim is None or all(end is None or end > 0 for end in options.ylim)
    log = is_wide(raw) and is_positive if options.log is None else options.log
    if log and options.log is None:
        drawn.made_log.append(tag)
    for curve in curves:
        _draw(sheet, number, curve, options, len(curves), drawn, log=log)
    if len(curves) > MOST_RUNS and not options.band:
        x, y = median_curve([(curve.x, curve.y) for curve in curves])
        shown = line(x, y, sheet.pixels, only_positive=log)
        theme = options.look.theme
        panel.plot(
            shown.x, shown.y, color=theme.text, linewidth=MEDIAN_WIDTH * theme.stroke, zorder=5, gid=f"median-{number}"
        )
        drawn.has_median = True
    sheet.label_positions(number, options.positions)
    limits = [end for curve in curves if curve.spread for end in (curve.spread.low, curve.spread.high)]
    shown_values = shown_range(
        np.concatenate([raw, *limits]), log=log, all_points=options.all_points or options.ylim is not None
    )
    if shown_values is None:
        sheet.say(number, "no values above 0" if log else "no finite values")
        return
    if shown_values.hidden:
        drawn.hidden += int(((raw < shown_values.low) | (raw > shown_values.high))[_can_be_shown(raw, log=log)].sum())
    if log:
        panel.set_yscale("log", nonpositive="mask")
        drawn.not_positive += int((np.isfinite(raw) & (raw <= 0)).sum())
    panel.set_ylim(shown_values.low, shown_values.high)
    if options.ylim:
        panel.set_ylim(*options.ylim)
    label_numbers(panel.yaxis, log=log)
    if drawn.runs <= MOST_RUNS or not name_in_panel(sheet, number, [curve.run for curve in curves], options):
        drawn.has_curves = True


def _can_be_shown(values: Numbers, *, log: bool) -> npt.NDArray[np.bool_]:
    is_finite = np.isfinite(values)
    return is_finite & (values > 0) if log else is_finite


def _draw(
    sheet: Sheet, number: int, curve: _Curve, options: DrawingOptions, neighbours: int, drawn: _Drawn, *, log: bool
) -> None:
    """Draw the curve of a run."""
    panel = sheet.panels[number]
    colour = options.colours[curve.run]
    if curve.spread is not None:
        limits = band(curve.x, curve.spread.low, curve.spread.high, sheet.pixels)
        panel.fill_between(*limits, color=colour, alpha=_BAND_OPACITY, linewidth=0, zorder=1.5, gid=f"{curve.gid}-band")
        _show_changes(panel, curve, curve.spread.n, colour, options.look.theme.text_size)
    raw = line(curve.x, curve.raw, sheet.pixels, only_positive=log)
    shown = raw
    factor = options.look.theme.stroke
    if options.smooth:
        opacity = _RAW_OPACITY * min(1, _FEW_RUNS / drawn.runs)
        drawn.lines += panel.plot(
            raw.x,
            raw.y,
            color=colour,
            alpha=opacity,
            linewidth=_RAW_WIDTH * factor,
            zorder=2,
            gid=f"{curve.gid}-raw",
        )
        shown = line(curve.x, curve.y, sheet.pixels, only_positive=log)
    width, opacity = next((width, opacity) for most, width, opacity in _STROKES if neighbours <= most)
    drawn.lines += panel.plot(
        shown.x,
        shown.y,
        color=colour,
        alpha=opacity,
        linewidth=width * factor,
        linestyle=line_style(sheet.dashes[number].get(curve.run, SOLID)),
        zorder=3,
        gid=curve.gid,
    )
    marks = {"linestyle": "none", "color": colour, "markeredgewidth": 0, "zorder": 4}
    if shown.lone_x.size:
        panel.plot(shown.lone_x, shown.lone_y, marker="o", markersize=4 * factor, gid=f"{curve.gid}-lone", **marks)
    if raw.odd_x.size:
        # At the bottom of the panel if no value is near.
        foot = {} if raw.odd_y.size else {"transform": panel.get_xaxis_transform(), "clip_on": False}
        heights = raw.odd_y if raw.odd_y.size else np.full(raw.odd_x.shape, _MARK_HEIGHT)
        panel.plot(raw.odd_x, heights, marker="^", markersize=6 * factor, gid=f"{curve.gid}-odd", **marks, **foot)
        drawn.odd = True
    drawn.points += sum(each.x.size + each.lone_x.size for each in ((raw, shown) if options.smooth else (raw,)))
    drawn.thinned |= raw.thinned


def _show_changes(panel: Any, curve: _Curve, n: npt.NDArray[np.int64], colour: str, size: float) -> None:
    """Write the new n of a group of runs at the positions at which it changes."""
    changes = np.flatnonzero(np.diff(n)) + 1
    if len(changes) > _MAX_SHOWN_CHANGES:
        return
    for place in changes[np.isfinite(curve.y[changes])].tolist():
        point = (curve.x[place], curve.y[place])
        panel.plot(*point, marker="|", markersize=7, color=colour, zorder=4)
        panel.annotate(f"n = {n[place]}", point, (2, 5), textcoords="offset points", color=colour, size=size - 1.5)


def _notes(drawn: _Drawn) -> list[Note]:
    notes = []
    if drawn.made_log:
        notes.append(Note("log_axis_chosen", count=len(drawn.made_log), details={"tags": drawn.made_log}))
    if drawn.hidden:
        notes.append(Note("outliers_hidden", count=drawn.hidden))
    if drawn.thinned:
        notes.append(Note("curves_thinned"))
    if drawn.not_positive:
        notes.append(Note("values_not_positive", count=drawn.not_positive))
    return notes
