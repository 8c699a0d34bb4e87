"""Heat maps of numbers, with a panel for each run and a row for each tag, such as norms of gradients by layer.

Tags that measure the same share a scale of colours. Other tags have a scale each, from the lowest value of the tag in
all runs to the highest, which are written beside the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.plots.figure import Sheet
from tb2csv.analysis.plots.labels import common_ending, common_folders, labels
from tb2csv.analysis.plots.map_cells import MapCells, edges_between
from tb2csv.analysis.plots.run_colours import mixed
from tb2csv.analysis.plots.thinning import TOO_LARGE
from tb2csv.analysis.plots.tick_labels import label_numbers, short_number
from tb2csv.late_modules import np
from tb2csv.logdir import ROOT_RUN
from tb2csv.notes import Note

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.analysis.plots.drawing_options import DrawingOptions
    from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues
    from tb2csv.analysis.plots.themes import Theme

    Numbers = npt.NDArray[np.float64]

#: The maximum number of columns of a map; further positions share columns.
_MAX_COLUMNS: Final = 400
#: Colours follow the logarithm if the maximum is at least this many times the smallest positive value.
_MIN_LOG_RATIO: Final = 10.0
_NAME_WIDTH: Final = 36

#: matplotlib's name of the colour map, and the colours of cells that are not on its scale.
_COLOURS: Final = "viridis"
_NOT_FINITE_COLOUR: Final = "#d93025"
#: The width of the bar of colours, as a fraction of all panels.
_BAR: Final = 0.06
#: The height of a row in inches, its minimum if there are many rows, and the maximum height of a panel.
_ROW_HEIGHT: Final = 0.24
_MIN_ROW_HEIGHT: Final = 0.05
_MAX_PANEL_HEIGHT: Final = 30.0
#: Inches for the names of rows, and for their ranges.
_ROOM_FOR_NAMES: Final = 1.0
_ROOM_FOR_RANGES: Final = 0.8
#: Rows of at least this height have labels that can be read, and white lines between them.
_MIN_LABELLED_HEIGHT: Final = 0.13


def draw_heat_map(values: PlottedValues, options: DrawingOptions) -> tuple[Sheet, list[Note]]:
    """Draw scalars, or norms of tensors, as rows of colours, and return the figure and its notes."""
    from matplotlib.colors import Normalize

    tags = list(dict.fromkeys(series.tag for series in values.series))
    by_run: dict[str, list[PlottedSeries]] = {}
    for series in values.series:
        by_run.setdefault(series.run, []).append(series)
    rows = {tag: number for number, tag in enumerate(tags)}
    maps = [_map(curves, rows, options) for curves in by_run.values()]
    has_own_scales = len(tags) > 1 and not options.measure and not common_ending(tags)
    ranges = _ranges(maps) if has_own_scales else None
    shown = maps if ranges is None else [_scaled(each, ranges) for each in maps]
    row = max(min(_ROW_HEIGHT, _MAX_PANEL_HEIGHT / len(tags)), _MIN_ROW_HEIGHT)
    theme = options.look.theme
    width = theme.panel[0] + _ROOM_FOR_NAMES + _ROOM_FOR_RANGES * has_own_scales
    sheet = Sheet(len(by_run), options.look, (width, max(row * len(tags) + 0.9, 1.8)), columns=min(len(by_run), 2))
    norm: Any = _norm([each.cells for each in maps]) if ranges is None else Normalize(0, 1)
    sheet.maps, sheet.map_rows = maps, tags
    colours = _colours(theme)
    meshes = []
    for number, (run, each) in enumerate(zip(by_run, shown, strict=True)):
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
        panel.set_facecolor(theme.background)
        if row >= _MIN_LABELLED_HEIGHT:
            panel.hlines(np.arange(1, len(tags)), each.edges[0], each.edges[-1], color=theme.background, linewidth=1)
        _name_rows(panel, tags, "" if options.measure else common_ending(tags), row)
        sheet.label_positions(number, options.positions)
        if ranges is not None and (number + 1) % sheet.columns * (number + 1 < len(by_run)) == 0:
            _write_ranges(panel, ranges, row, theme.faint_text)
    sheet.heading(_heading(list(by_run), tags, options))
    bar = sheet.figure.colorbar(meshes[0], ax=sheet.panels, aspect=30, pad=0.01, fraction=_BAR)
    if ranges is None:
        bar.set_label(_measure(tags, options))
        label_numbers(bar.ax.yaxis, log=_is_log(norm))
    else:
        # A title beside the bar would not fit between its ends if there are few rows.
        bar.ax.set_yticks([0, 1], ["lowest of the tag", "highest of the tag"])
    bar.outline.set_visible(False)
    _add_legend(sheet, maps, theme, is_log=_is_log(norm))
    is_shared = any(each.places is None for each in maps)
    return sheet, [Note("columns_merged", details={"columns": _MAX_COLUMNS})] * is_shared


def _map(curves: list[PlottedSeries], rows: dict[str, int], options: DrawingOptions) -> MapCells:
    """Return the cells of one run."""
    x = np.concatenate([series.x for series in curves]) / options.positions.unit
    y = np.concatenate([series.y for series in curves])
    row = np.concatenate([np.full(len(series.x), rows[series.tag]) for series in curves])
    places, column = np.unique(x, return_inverse=True)
    is_merged = len(places) > _MAX_COLUMNS
    if is_merged:
        edges = np.linspace(places[0], places[-1], _MAX_COLUMNS + 1)
        column = np.minimum(np.searchsorted(edges, x, "right") - 1, _MAX_COLUMNS - 1)
    else:
        edges = edges_between(places)
    cells = np.full((len(rows), len(edges) - 1), -np.inf)
    # NaN and infinity must be visible, whatever else is in the column.
    np.maximum.at(cells, (row, column), np.where(np.abs(y) < TOO_LARGE, y, np.inf))
    return MapCells(edges, np.where(cells == -np.inf, np.nan, cells), None if is_merged else places)


def _ranges(maps: list[MapCells]) -> Numbers:
    """Return the lowest and the highest finite value of each row in all maps, [row, 2]; NaN if there is none."""
    cells = np.concatenate([each.cells for each in maps], axis=1)
    is_known = np.isfinite(cells)
    low, high = np.where(is_known, cells, np.inf).min(axis=1), np.where(is_known, cells, -np.inf).max(axis=1)
    return np.where(is_known.any(axis=1)[:, None], np.column_stack((low, high)), np.nan)


def _scaled(each: MapCells, ranges: Numbers) -> MapCells:
    """Return a map whose finite cells are from 0 to 1; they are 0.5 if all values of the tag are equal."""
    low, high = ranges[:, :1], ranges[:, 1:]
    span = np.where(high > low, high - low, 1.0)
    scaled = np.where(high > low, (each.cells - low) / span, 0.5)
    return each._replace(cells=np.where(np.isfinite(each.cells), scaled, each.cells))


def _write_ranges(panel: Any, ranges: Numbers, row: float, colour: str) -> None:
    """Write the lowest and the highest value of each row to the right of a panel."""
    every = max(1, round(_MIN_LABELLED_HEIGHT / row))
    for number, (low, high) in list(enumerate(ranges))[::every]:
        if np.isfinite(low):
            text = (
                short_number(float(low))
                if low == high
                else f"{short_number(_rounded(low))} to {short_number(_rounded(high))}"
            )
            panel.annotate(
                text,
                (1, number + 0.5),
                xycoords=panel.get_yaxis_transform(),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _heading(runs: list[str], tags: list[str], options: DrawingOptions) -> str:
    """Return what all rows have in common: the only run, and the folders and the ending of the tags."""
    ending = "" if options.measure else common_ending(tags)
    folders = common_folders([tag.removesuffix(ending) for tag in tags])
    parts = [f"run {runs[0]}"] * (len(runs) == 1 and runs[0] != ROOT_RUN)
    parts += [f"{folders}*{ending}"] * bool(folders or ending)
    return " · ".join(parts)


def _norm(cells: list[Numbers]) -> Any:
    """Return matplotlib's colour scale for all panels."""
    from matplotlib.colors import LogNorm, Normalize

    known = np.concatenate([each[np.isfinite(each)] for each in cells])
    if not known.size:
        return Normalize(0, 1)
    above = known[known > 0]
    if known.min() >= 0 and above.size and above.max() >= _MIN_LOG_RATIO * above.min():
        return LogNorm(above.min(), above.max())
    low, high = float(known.min()), float(known.max())
    return Normalize(low, high if high > low else low + (abs(low) or 1.0))


def _is_log(norm: Any) -> bool:
    from matplotlib.colors import LogNorm

    return isinstance(norm, LogNorm)


def _colours(theme: Theme) -> Any:
    import matplotlib as mpl

    return mpl.colormaps[_COLOURS].with_extremes(
        under=_zero_colour(theme), over=_NOT_FINITE_COLOUR, bad=theme.background
    )


def _zero_colour(theme: Theme) -> str:
    """Return a colour near the background: what a logarithmic scale has below its end."""
    return mixed(theme.text, theme.background, 0.8)


def _measure(tags: list[str], options: DrawingOptions) -> str:
    """Return the name of the measure that the colours show; for scalars the common ending of all tags, such as norm."""
    return options.measure or common_ending(tags).lstrip("/") or "value"


def _name_rows(panel: Any, tags: list[str], ending: str, row: float) -> None:
    """Write the names of the tags without their common parts; only every n-th if rows are too low."""
    stems = [tag.removesuffix(ending) for tag in tags]
    folders = common_folders(stems)
    names = labels([stem.removeprefix(folders) for stem in stems], _NAME_WIDTH)
    every = max(1, round(_MIN_LABELLED_HEIGHT / row))
    panel.set_yticks(np.arange(len(tags))[::every] + 0.5, names[::every])
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)


def _add_legend(sheet: Sheet, maps: list[MapCells], theme: Theme, *, is_log: bool) -> None:
    """Draw a legend for values that are not on the scale, if there are any."""
    from matplotlib.patches import Patch

    shown = {
        "0": (_zero_colour(theme), is_log and any((each.cells == 0).any() for each in maps)),
        "NaN or infinite": (_NOT_FINITE_COLOUR, any(np.isinf(each.cells).any() for each in maps)),
    }
    names = [name for name, (_, is_found) in shown.items() if is_found]
    if names:
        sheet.legend([Patch(color=shown[name][0]) for name in names], names)
