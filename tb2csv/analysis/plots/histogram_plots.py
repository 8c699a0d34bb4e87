"""Histograms over steps, as ridges or as a heat map, with a panel for each tag of each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.analysis.plots.figure import Sheet
from tb2csv.analysis.plots.map_cells import edges_between
from tb2csv.analysis.plots.run_colours import mixed
from tb2csv.analysis.plots.tick_labels import label_numbers
from tb2csv.late_modules import np
from tb2csv.notes import Note

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.analysis.plots.drawing_options import DrawingOptions
    from tb2csv.analysis.plots.plotted_series import PlottedHistograms, PlottedValues

    Numbers = npt.NDArray[np.float64]

_BINS: Final = 80
#: The maximum number of histograms in a panel; if there are more, evenly spaced ones are chosen.
_MOST_RIDGES: Final = 40
_MOST_COLUMNS: Final = 400
#: The height of the highest ridge, as a fraction of the panel's height.
_RIDGE: Final = 0.28
#: The fraction of the background in the colour of the oldest ridge.
_OLD: Final = 0.75
#: The fraction of the colour of text in its outline.
_OUTLINE: Final = 0.3


class _Chosen(NamedTuple):
    """The histograms of a panel, in the order of their positions."""

    x: Numbers
    edges: Numbers
    #: [histograms, bins]
    shares: Numbers


def draw_ridges(values: PlottedValues, options: DrawingOptions) -> tuple[Sheet, list[Note]]:
    """Draw each histogram as a ridge, the latest in front in full colour; return the figure and its notes."""
    return _draw(values, options, _MOST_RIDGES, _draw_ridges)


def draw_histogram_map(values: PlottedValues, options: DrawingOptions) -> tuple[Sheet, list[Note]]:
    """Draw histograms as columns of colours, and return the figure and its notes."""
    return _draw(values, options, _MOST_COLUMNS, _draw_map)


def _draw(
    values: PlottedValues,
    options: DrawingOptions,
    most: int,
    draw: Callable[[Sheet, int, _Chosen, str, DrawingOptions], None],
) -> tuple[Sheet, list[Note]]:
    runs = dict.fromkeys(each.run for each in values.histograms)
    tags = dict.fromkeys(each.tag for each in values.histograms)
    sheet = Sheet(len(values.histograms), options.look)
    thinned = 0
    for number, each in enumerate(values.histograms):
        sheet.title(number, " · ".join([each.run] * (len(runs) > 1) + [each.tag] * (len(tags) > 1 or len(runs) == 1)))
        chosen = _choose(each, most, options)
        thinned = max(thinned, len(each.x) if len(each.x) > most else 0)
        if chosen is None:
            sheet.say(number, "no values")
            continue
        draw(sheet, number, chosen, options.colours[each.run], options)
    if len(runs) == 1:
        sheet.name_run(next(iter(runs)))
    elif len(tags) == 1:
        sheet.heading(next(iter(tags)))
    return sheet, [Note("histograms_thinned", count=thinned, details={"shown": most})] if thinned else []


def _choose(each: PlottedHistograms, most: int, options: DrawingOptions) -> _Chosen | None:
    """Return the histograms to draw, or None if none has a value."""
    numbers = np.arange(len(each.x))
    if len(numbers) > most:
        numbers = np.linspace(0, len(numbers) - 1, most).round().astype(np.int64)
    histograms = each.histograms.chosen(numbers)
    edges = histograms.edges(_BINS)
    if edges is None:
        return None
    x = each.x[numbers] / options.positions.unit
    order = np.argsort(x, kind="stable")  # steps go back after a restart
    return _Chosen(x[order], edges, histograms.shares(edges, len(numbers))[order])


def _draw_ridges(sheet: Sheet, number: int, chosen: _Chosen, colour: str, options: DrawingOptions) -> None:
    from matplotlib.collections import PolyCollection

    panel, theme = sheet.panels[number], options.look.theme
    x, edges, shares = chosen
    span = (x[-1] - x[0]) or 1.0
    height = span * max(_RIDGE, 0.8 / len(x))
    middles = (edges[1:] + edges[:-1]) / 2
    outline = np.concatenate(([edges[0]], middles, [edges[-1]]))
    tops = x[:, None] - np.pad(shares, ((0, 0), (1, 1))) / (shares.max() or 1.0) * height
    corners = [_trimmed(np.column_stack((outline, top)), share) for top, share in zip(tops, shares, strict=True)]
    age = np.linspace(_OLD, 0, len(x)) if len(x) > 1 else [0.0]
    ridges = PolyCollection(
        corners,
        closed=False,
        facecolors=[mixed(colour, theme.background, share) for share in age],
        edgecolors=[mixed(mixed(colour, theme.background, share), theme.text, _OUTLINE) for share in age],
        linewidths=0.5,
        zorder=3,
    )
    panel.add_collection(ridges, autolim=False)
    panel.set_xlim(edges[0], edges[-1])
    panel.set_ylim(x[-1] + span * 0.03, x[0] - height * 1.05)  # time goes down
    sheet.label_values(number)
    options.positions.label(panel.yaxis, (x[0], x[-1]))
    panel.yaxis.label.set_visible(number % sheet.columns == 0)


def _trimmed(corners: Numbers, shares: Numbers) -> Numbers:
    """Return the points of a ridge, [point, (x, y)], from its first value to its last."""
    used = np.flatnonzero(shares)
    return corners[used[0] : used[-1] + 3] if used.size else corners[:0]


def _draw_map(sheet: Sheet, number: int, chosen: _Chosen, colour: str, options: DrawingOptions) -> None:
    from matplotlib import ticker
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    panel, theme = sheet.panels[number], options.look.theme
    colours = LinearSegmentedColormap.from_list("run", [theme.background, colour, mixed(colour, theme.text, 0.6)])
    mesh = panel.pcolormesh(
        edges_between(chosen.x),
        chosen.edges,
        chosen.shares.T,
        norm=PowerNorm(0.5, 0, float(chosen.shares.max()) or 1.0),  # makes tails visible
        cmap=colours,
        rasterized=True,
    )
    panel.grid(visible=False)
    sheet.label_positions(number, options.positions)
    label_numbers(panel.yaxis)
    bar = sheet.figure.colorbar(
        mesh, ax=panel, aspect=25, pad=0.01, format=ticker.FuncFormatter(lambda share, _: f"{share * 100:.3g}%")
    )
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(ticker.MaxNLocator(4))
