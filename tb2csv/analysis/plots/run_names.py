"""The names of runs, or of groups of runs, in the legend of curves, or above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.plots.labels import common_folders, labels
from tb2csv.analysis.plots.line_dashes import dashes_of, line_style
from tb2csv.display import count, printable
from tb2csv.logdir import ROOT_RUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.analysis.plots.drawing_options import DrawingOptions
    from tb2csv.analysis.plots.figure import Sheet
    from tb2csv.analysis.plots.line_dashes import Dashes
    from tb2csv.analysis.plots.plotted_series import PlottedSeries

#: The maximum number of runs whose curves can be distinguished: with more, they are faint, and their median is drawn.
MOST_RUNS: Final = 24
#: The width of a median's line in points.
MEDIAN_WIDTH: Final = 2.0
_NAME_WIDTH: Final = 60
#: The maximum number of curves whose names have room inside a panel; those of more curves are below it.
_MOST_IN_PANEL: Final = 8
_NAME_WIDTH_IN_PANEL: Final = 28
#: The width of lines in legends in points: dashes are as long as in a panel.
_LEGEND_WIDTH: Final = 2.0
_LEGEND_WIDTH_OF_DASHES: Final = 1.5


def name_in_panel(sheet: Sheet, number: int, runs: Sequence[str], options: DrawingOptions) -> bool:
    """Name the curves of a panel inside or below it, and return whether there are few enough.

    The legend of the figure cannot name them if the log has more runs than can be distinguished.
    """
    if len(runs) > MOST_RUNS:
        return False
    dashes = sheet.dashes[number]
    handles = [_legend_line(run, options, dashes[run]) for run in runs]
    names = labels([run[len(common_folders(runs)) :] for run in runs], _NAME_WIDTH_IN_PANEL)
    place = sheet.legend_inside if len(runs) <= _MOST_IN_PANEL else sheet.legend_below
    place(number, handles, [_group_name(name) for name in names])
    return True


def _legend_line(run: str, options: DrawingOptions, dashes: Dashes, gid: str | None = None) -> Any:
    """Return the line of a run in a legend."""
    from matplotlib.lines import Line2D

    width = _LEGEND_WIDTH_OF_DASHES if dashes else _LEGEND_WIDTH
    return Line2D([], [], color=options.colours[run], linewidth=width, linestyle=line_style(dashes), gid=gid)


def name_runs(
    sheet: Sheet,
    series: Sequence[PlottedSeries],
    options: DrawingOptions,
    *,
    has_curves: bool,
    has_median: bool,
    has_odd: bool,
) -> None:
    """Draw the legend, or write the name of the only run; bars and some panels have names of their own.

    ``has_curves`` is whether there are curves without a name in their panel.
    """
    from matplotlib.lines import Line2D

    theme = options.look.theme
    runs = list(dict.fromkeys(each.run for each in series))
    sizes = _sizes(series)
    if len(runs) == 1:
        if sizes:
            sheet.heading(f"{_group_name(runs[0])} (n = {sizes[runs[0]]}): {options.band}")
        else:
            sheet.name_run(runs[0])
    folders = common_folders(runs)
    handles: list[Any] = []
    names: list[str] = []
    if has_median:
        handles.append(Line2D([], [], color=theme.text, linewidth=MEDIAN_WIDTH))
        names.append("median")
    if len(runs) > MOST_RUNS and has_curves:
        handles.append(Line2D([], [], color=options.colours[runs[0]], linewidth=0.7, alpha=0.5))
        names.append(f"each of {count(len(runs), 'group' if sizes else 'run')}")
    elif len(runs) > 1 and has_curves:
        dashes = dashes_of(runs, options.colours)
        handles += [_legend_line(run, options, dashes[run], f"run-{number}") for number, run in enumerate(runs)]
        short = labels([run[len(folders) :] for run in runs], _NAME_WIDTH)
        names += [
            f"{_group_name(name)} (n = {sizes[run]})" if sizes else name for name, run in zip(short, runs, strict=True)
        ]
    if has_odd:
        handles.append(
            Line2D([], [], linestyle="none", marker="^", markersize=6, color=theme.faint_text, markeredgewidth=0)
        )
        names.append("NaN or infinite")
    if handles:
        title = ": ".join(filter(None, (printable(folders), options.band if sizes else "")))
        sheet.legend(handles, names, title=title)


def _sizes(all_series: Sequence[PlottedSeries]) -> dict[str, str]:
    """Return for each group of runs its n: the range of it in a curve, such as ``2 to 5``; if curves differ, all."""
    ranges: dict[str, set[tuple[int, int]]] = {}
    for series in all_series:
        if series.spread is not None and series.spread.n.size:
            ranges.setdefault(series.run, set()).add((int(series.spread.n.min()), int(series.spread.n.max())))
    return {run: " or ".join(_range_text(*ends) for ends in sorted(found)) for run, found in ranges.items()}


def _range_text(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _group_name(name: str) -> str:
    return "all runs" if name == ROOT_RUN else name
