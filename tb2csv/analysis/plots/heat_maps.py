"""Heat maps of numbers, with a panel for each run and a row for each tag, such as norms of gradients by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.analysis.plots.figure import Sheet
from tb2csv.analysis.plots.labels import common_ending, common_folders, labels
from tb2csv.analysis.plots.thinning import TOO_LARGE
from tb2csv.analysis.plots.x_axis import label_numbers
from tb2csv.notes import Note

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.analysis.plots.drawing_options import DrawingOptions
    from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues

    Numbers = npt.NDArray[np.float64]

#: The maximum number of columns of a map; further positions share columns.
_COLUMNS: Final = 400
#: If values span such a factor, colours follow the logarithm.
_WIDE: Final = 10.0
_NAME_WIDTH: Final = 36

_COLOURS: Final = "viridis"
_ZERO: Final = "#d5d9de"
_ODD: Final = "#d93025"
_MISSING: Final = "#ffffff"
#: Rows of this height in inches have readable labels and white lines between them.
_ROW: Final = 0.24
_LOWEST_ROW: Final = 0.05
_TALLEST: Final = 30.0
_LABELLED: Final = 0.13


class _Map(NamedTuple):
    """The cells of a panel and the edges of its columns; an empty cell is NaN, one with NaN or infinity is infinite."""

    edges: Numbers
    cells: Numbers


def draw_heat_map(values: PlottedValues, options: DrawingOptions) -> tuple[Sheet, list[Note]]:
    """Draw scalars, or norms of tensors, as rows of colours, and return the figure and its notes."""
    tags = list(dict.fromkeys(series.tag for series in values.series))
    by_run: dict[str, list[PlottedSeries]] = {}
    for series in values.series:
        by_run.setdefault(series.run, []).append(series)
    row = max(min(_ROW, _TALLEST / len(tags)), _LOWEST_ROW)
    sheet = Sheet(len(by_run), 5.2, max(row * len(tags) + 0.9, 1.8), columns=min(len(by_run), 2))
    rows = {tag: number for number, tag in enumerate(tags)}
    maps = [_map(curves, rows, options) for curves in by_run.values()]
    norm = _norm([each.cells for each in maps])
    colours = _colours()
    meshes = []
    for number, (run, each) in enumerate(zip(by_run, maps, strict=True)):
        panel = sheet.panels[number]
        if len(by_run) > 1:
            sheet.title(number, run)
        # The colours beyond the ends of the scale are for NaN and infinity, and for 0.
        above = norm.vmax * 2 if _is_log(norm) else norm.vmax + (norm.vmax - norm.vmin)
        cells = np.where(np.isinf(each.cells), above, each.cells)
        if _is_log(norm):
            cells[cells == 0] = norm.vmin / 2
        mesh = panel.pcolormesh(each.edges, np.arange(len(tags) + 1), cells, norm=norm, cmap=colours, rasterized=True)
        meshes.append(mesh)
        panel.set_ylim(len(tags), 0)
        panel.grid(visible=False)
        panel.set_facecolor(_MISSING)
        if row >= _LABELLED:
            panel.hlines(np.arange(1, len(tags)), each.edges[0], each.edges[-1], color="white", linewidth=1)
        _name_rows(panel, tags, "" if options.measure else common_ending(tags), row)
        sheet.label_positions(number, options.positions)
    if len(by_run) == 1:
        sheet.name_run(next(iter(by_run)))
    bar = sheet.figure.colorbar(meshes[0], ax=sheet.panels, aspect=30, pad=0.01, label=_measure(tags, options))
    label_numbers(bar.ax.yaxis, log=_is_log(norm))
    bar.outline.set_visible(False)
    _name_odd(sheet, maps, is_log=_is_log(norm))
    is_shared = any(len(each.edges) == _COLUMNS + 1 for each in maps)
    return sheet, [Note("columns_merged", details={"columns": _COLUMNS})] * is_shared


def _map(curves: list[PlottedSeries], rows: dict[str, int], options: DrawingOptions) -> _Map:
    """Return the cells of one run."""
    x = np.concatenate([series.x for series in curves]) / options.positions.unit
    y = np.concatenate([series.y for series in curves])
    row = np.concatenate([np.full(len(series.x), rows[series.tag]) for series in curves])
    places, column = np.unique(x, return_inverse=True)
    if len(places) > _COLUMNS:
        edges = np.linspace(places[0], places[-1], _COLUMNS + 1)
        column = np.minimum(np.searchsorted(edges, x, "right") - 1, _COLUMNS - 1)
    else:
        edges = edges_between(places)
    cells = np.full((len(rows), len(edges) - 1), -np.inf)
    # NaN and infinity must be visible, whatever else is in the column.
    np.maximum.at(cells, (row, column), np.where(np.abs(y) < TOO_LARGE, y, np.inf))
    return _Map(edges, np.where(cells == -np.inf, np.nan, cells))


def edges_between(places: Numbers) -> Numbers:
    """Return the edges of columns, in the middle between sorted places; one more than places."""
    if not places.size:
        return np.array([0.0])
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate(([2 * places[0] - middles[0]], middles, [2 * places[-1] - middles[-1]]))


def _norm(cells: list[Numbers]) -> Any:
    """Return matplotlib's colour scale for all panels."""
    from matplotlib.colors import LogNorm, Normalize

    known = np.concatenate([each[np.isfinite(each)] for each in cells])
    if not known.size:
        return Normalize(0, 1)
    above = known[known > 0]
    if known.min() >= 0 and above.size and above.max() >= _WIDE * above.min():
        return LogNorm(above.min(), above.max())
    low, high = float(known.min()), float(known.max())
    return Normalize(low, high if high > low else low + (abs(low) or 1.0))


def _is_log(norm: Any) -> bool:
    from matplotlib.colors import LogNorm

    return isinstance(norm, LogNorm)


def _colours() -> Any:
    import matplotlib as mpl

    return mpl.colormaps[_COLOURS].with_extremes(under=_ZERO, over=_ODD, bad=_MISSING)


def _measure(tags: list[str], options: DrawingOptions) -> str:
    """Return the name of the measure that the colours show; for scalars the common ending of all tags, such as norm."""
    return options.measure or common_ending(tags).lstrip("/") or "value"


def _name_rows(panel: Any, tags: list[str], ending: str, row: float) -> None:
    """Write the names of the tags without their common parts; only every n-th if rows are too low."""
    stems = [tag.removesuffix(ending) for tag in tags]
    folders = common_folders(stems)
    names = labels([stem.removeprefix(folders) for stem in stems], _NAME_WIDTH)
    every = max(1, round(_LABELLED / row))
    panel.set_yticks(np.arange(len(tags))[::every] + 0.5, names[::every])
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)


def _name_odd(sheet: Sheet, maps: list[_Map], *, is_log: bool) -> None:
    """Draw a legend for values that are not on the scale, if there are any."""
    from matplotlib.patches import Patch

    shown = {
        "0": (_ZERO, is_log and any((each.cells == 0).any() for each in maps)),
        "NaN or infinite": (_ODD, any(np.isinf(each.cells).any() for each in maps)),
    }
    names = [name for name, (_, is_found) in shown.items() if is_found]
    if names:
        sheet.legend([Patch(color=shown[name][0]) for name in names], names)
