"""Plot a log directory: choose the kind of values and the style, draw, and write notes."""

from __future__ import annotations

import os
from types import NoneType
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.bands import BANDS
from tb2csv.analysis.plots.curve_tables import curve_table, is_table_file, write_curve_table
from tb2csv.analysis.plots.curves import draw_curves
from tb2csv.analysis.plots.drawing_options import DrawingOptions, Look
from tb2csv.analysis.plots.figure import drawing
from tb2csv.analysis.plots.grouped_series import grouped, grouping_of
from tb2csv.analysis.plots.heat_maps import draw_heat_map
from tb2csv.analysis.plots.histogram_plots import draw_histogram_map, draw_ridges
from tb2csv.analysis.plots.image_files import check_picture_file, write_picture
from tb2csv.analysis.plots.plotted_series import read_values
from tb2csv.analysis.plots.run_colours import group_colours, run_colours
from tb2csv.analysis.plots.smoothing import check_weight
from tb2csv.analysis.plots.themes import theme_of
from tb2csv.analysis.plots.value_ranges import check_ends
from tb2csv.analysis.plots.x_axis import longest, positions
from tb2csv.atomic_files import check_place
from tb2csv.dataframes import scan
from tb2csv.display import count, displayed, printable
from tb2csv.errors import OptionError, Tb2csvError, check_type
from tb2csv.messages import advice
from tb2csv.notes import Note
from tb2csv.runs.row_selection import RowSelection
from tb2csv.selection import Selection, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.analysis.plots.figure import Sheet
    from tb2csv.analysis.plots.plotted_series import PlottedHistograms, PlottedSeries, PlottedValues
    from tb2csv.logdir import LogdirSource
    from tb2csv.scanned_logdir import ScannedLogdir
    from tb2csv.selection import Patterns

#: The functions that draw, by kind and style; the first style of a kind is the default. For tensors, norms are drawn.
STYLES: Final[dict[str, dict[str, Callable[[PlottedValues, DrawingOptions], tuple[Sheet, list[Note]]]]]] = {
    "scalars": {"curves": draw_curves, "heatmap": draw_heat_map},
    "histograms": {"ridges": draw_ridges, "heatmap": draw_histogram_map},
    "tensors": {"heatmap": draw_heat_map, "curves": draw_curves},
}
_MEASURES: Final = {"tensors": "Euclidean norm"}


@displayed()
class Plot(NamedTuple):
    """The result of ``plot``."""

    kind: str
    #: How the values were drawn; ``table`` if they were written.
    style: str
    runs: int
    tags: int
    #: The number of values that were drawn, including those that thinning left out.
    values: int
    #: What the plot does not show.
    notes: list[Note]
    #: The number of groups of runs; 0 if every run has a curve of its own.
    groups: int = 0

    def _display(self) -> Iterator[object]:
        counts = f"{count(self.tags, 'tag')} of {count(self.runs, 'run')}, {count(self.values, 'value')}"
        yield f"<Plot: {self.kind} drawn as {self.style}, {counts}>"
        yield self.notes


def plot(
    logdir: LogdirSource,
    out: str | os.PathLike[str],
    *,
    run: Patterns = None,
    tag: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    rows: RowSelection | None = None,
    kind: str | None = None,
    style: str | None = None,
    smooth: float = 0.0,
    x: str = "step",
    log: bool | None = None,
    all_points: bool = False,
    ylim: tuple[float | None, float | None] | None = None,
    title: str = "",
    width: float | None = None,
    height: float | None = None,
    dpi: int | None = None,
    theme: str = "light",
    by: str | None = None,
    band: str | None = None,
    align: str | None = None,
    nan: str | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Plot:
    """Draw the selected tags and runs into a picture, which is written atomically.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        out: the file, which ends in .png, .svg, .pdf, .html or .jpg. If it ends in .csv, .json, .md or .tex, the
            values of the curves are written as a table, none left out, with a column ``smoothed``; options for the look
            of a picture do not matter then.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        rows: which rows, by step and restart.
        kind: ``scalars``, ``histograms`` or ``tensors``; by default the first of these that is selected.
        style: ``curves``, ``heatmap`` or ``ridges``; by default the first that the kind can be drawn as.
        smooth: the weight of TensorBoard's smoothing, 0 to 0.999.
        x: the x axis: ``step``, ``relative`` or ``wall``.
        log: make the y axis of curves logarithmic; by default it is if positive values span three powers of ten.
        all_points: show outliers of curves, too.
        ylim: the lowest and the highest value of the y axis of curves; None for the end that the values have.
        title: a line above all panels.
        width: the width of the picture in inches.
        height: its height in inches.
        dpi: pixels per inch, of the size above.
        theme: ``light``, ``dark`` or ``paper``.
        by: a pattern for groups of runs, such as seeds, as in ``reduce``: a curve shows the middle and the band of the
            runs of a group. By default, each run has a curve.
        band: the band of a group: ``std`` (mean and sample standard deviation, the default), ``stderr`` (mean and
            standard error), ``bootstrap`` (mean and 95 % interval), ``minmax`` (mean, minimum and maximum) or
            ``quartiles`` (median and quartiles).
        align: how runs of a group get common positions: ``exact``, ``bin:N``, ``interpolate`` or ``nearest``, as in
            ``reduce``; by default ``exact`` for steps, and ``interpolate`` for times.
        nan: how NaN of a group is handled: ``keep`` (the default) or ``omit``, as in ``reduce``.
        overwrite: replace ``out`` if it exists.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read.
        OptionError: the options do not go together.
        OutputError: ``out`` cannot be written.
        MissingExtraError: matplotlib is not installed.
        Tb2csvError: nothing matches.
    """
    look = Look(theme_of(theme), title, width, height, dpi)
    check_request(out, smooth=smooth, x=x, look=look, log=log, ylim=ylim, overwrite=overwrite)
    axis = positions(x)
    grouping = grouping_of(by, band=band, align=align, nan=nan, x=x)
    selected = select(selection, run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)
    rows = RowSelection.of(rows)
    frames = scan(logdir, workers=workers, progress=progress)
    chosen_kind, others = _kind(frames, selected, kind)
    chosen_style = _style(chosen_kind, style, smooth=smooth, log=log, ylim=ylim, all_points=all_points)
    if grouping and chosen_kind == "histograms":
        raise OptionError("Histograms of several runs have no mean", advice("leave out {}", "by"))
    values = read_values(frames, _of_kind(selected, chosen_kind), chosen_kind, rows, axis.name)
    if not values.series and not values.histograms:
        rows.raise_no_match()
    group_notes: list[Note] = []
    runs = len({each.run for each in values.series} | {each.run for each in values.histograms})
    if grouping:
        values, runs, group_notes = grouped(values, grouping, smooth=smooth)
    if is_table_file(out):
        table = curve_table(values, axis.name, smooth=smooth, band=grouping.band if grouping else None)
        write_curve_table(table, out, overwrite=overwrite)
        notes = [*group_notes, *_notes(values, others if selected.tags else {})]
        return _result(values, chosen_kind, "table", runs, notes, has_groups=grouping is not None)
    shown: list[PlottedSeries | PlottedHistograms] = [*values.series, *values.histograms]
    options = DrawingOptions(
        positions=axis.fitted(longest(each.x for each in shown)),
        colours=group_colours((each.run for each in shown), look.theme.palette)
        if grouping
        else run_colours((run for run, _ in frames.choose(Selection())), look.theme.palette),
        look=look,
        smooth=0.0 if grouping else smooth,
        log=log,
        ylim=ylim,
        all_points=all_points,
        measure=_MEASURES.get(chosen_kind, ""),
        band=BANDS[grouping.band].title if grouping else "",
    )
    names, tags = {each.run for each in shown}, {each.tag for each in shown}
    with drawing([*names, *tags, title], look.theme):
        sheet, drawing_notes = STYLES[chosen_kind][chosen_style](values, options)
        write_picture(sheet, out, printable(title) or _title(frames, tags), overwrite=overwrite)
    notes = [*group_notes, *drawing_notes, *_notes(values, others if selected.tags else {})]
    return _result(values, chosen_kind, chosen_style, runs, notes, has_groups=grouping is not None)


def _result(values: PlottedValues, kind: str, style: str, runs: int, notes: list[Note], *, has_groups: bool) -> Plot:
    shown: list[PlottedSeries | PlottedHistograms] = [*values.series, *values.histograms]
    groups = len({each.run for each in shown}) if has_groups else 0
    return Plot(kind, style, runs, len({each.tag for each in shown}), values.values, notes, groups)


def check_request(
    out: str | os.PathLike[str],
    *,
    smooth: float,
    x: str,
    look: Look,
    log: bool | None,
    ylim: tuple[float | None, float | None] | None,
    overwrite: bool,
) -> None:
    """Raise the errors of ``plot`` that do not depend on the log directory."""
    check_type("out", out, (str, os.PathLike), "the path of a file")
    if is_table_file(out):
        check_place(out, overwrite=overwrite)
    else:
        check_picture_file(out, overwrite=overwrite)
        with drawing([]):
            pass
    check_weight(smooth)
    positions(x)
    look.check()
    check_ends(ylim, log=log)


def _kind(frames: ScannedLogdir, selection: Selection, kind: str | None) -> tuple[str, dict[str, int]]:
    """Return the kind to draw, and the number of selected tags of other kinds that could be drawn."""
    check_type("kind", kind, (str, NoneType), "the name of a kind")
    if kind is not None and kind not in STYLES:
        message = f"{kind!r} cannot be plotted; choose from {', '.join(STYLES)}."
        raise OptionError(message)
    tags: dict[str, set[str]] = {}
    for _, accounts in frames.choose(selection if kind is None else _of_kind(selection, kind)):
        for account in accounts:
            tags.setdefault(account.series.kind, set()).add(account.series.tag)
    found = [each for each in STYLES if each in tags]
    if not found:
        message = (
            f"The selected tags have the kind {' and '.join(sorted(tags)) or 'none'}, which cannot be plotted; "
            f"choose tags of the kind {', '.join(STYLES)}."
        )
        raise Tb2csvError(message)
    return found[0], {each: len(tags[each]) for each in found[1:]}


def _of_kind(selection: Selection, kind: str) -> Selection:
    return Selection(selection.runs, selection.tags, (kind,), selection.exclude_runs, selection.exclude_tags)


def _style(kind: str, style: str | None, **for_curves: object) -> str:
    """Return the style; ``for_curves`` are options by name that other styles do not have.

    Raises:
        OptionError: the options do not go together.
    """
    check_type("style", style, (str, NoneType), "the name of a style")
    chosen = style or next(iter(STYLES[kind]))
    if chosen not in STYLES[kind]:
        message = f"{kind.capitalize()} cannot be drawn as {style!r}; choose from {', '.join(STYLES[kind])}."
        raise OptionError(message)
    given = [name for name, value in for_curves.items() if value]
    if given and chosen != "curves":
        fact = f"{kind.capitalize()} drawn as {chosen} can be neither smoothed nor logarithmic, and show all values"
        raise OptionError(fact, advice("leave out {}", *given))
    return chosen


def _title(frames: ScannedLogdir, tags: set[str]) -> str:
    """Return the title that a program shows for the picture."""
    return printable(f"{next(iter(tags))} of {frames.path}" if len(tags) == 1 else frames.path)


def _notes(values: PlottedValues, others: dict[str, int]) -> list[Note]:
    notes = []
    if others:
        notes.append(Note("other_kinds", count=sum(others.values()), counts=tuple(others.items())))
    if values.undecodable:
        notes.append(Note("values_undecodable", count=values.undecodable))
    if values.dateless:
        notes.append(Note("values_dateless", count=values.dateless))
    return notes
