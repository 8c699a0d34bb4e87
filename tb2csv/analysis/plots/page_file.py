"""A plot as one HTML page that needs no network: curves that show values, zoom and can be hidden; or a drawing.

Curves are drawn by the page's script, from the points that matplotlib would draw. Everything else is matplotlib's SVG
drawing, whose colours of text, axes and background become those of the reader's theme. Heat maps show the values of
their cells.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.plots.labels import common_folders
from tb2csv.analysis.plots.line_dashes import SOLID
from tb2csv.analysis.plots.run_colours import dark_colours
from tb2csv.analysis.plots.themes import LIGHT
from tb2csv.analysis.plots.thinning import line
from tb2csv.analysis.plots.tick_labels import short_number
from tb2csv.display import printable
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tb2csv.analysis.plots.figure import Sheet
    from tb2csv.analysis.plots.map_cells import MapCells
    from tb2csv.analysis.plots.themes import Theme

    Numbers = npt.NDArray[np.float64]

#: The maximum number of points in a page: with 20 bytes each, it stays below a megabyte.
_MOST_POINTS: Final = 36_000
#: The maximum number of cells of heat maps whose values are in a page, with some 8 bytes each.
_MOST_CELLS: Final = 80_000
#: Of each column of pixels, a thinned line has at most this number of points.
_POINTS_PER_COLUMN: Final = 4
#: The distance of a coordinate from the next, as a fraction of the axis.
_EXACTNESS: Final = 5
#: The shapes of lines by the ending of their ids; the others are curves.
_SHAPES: Final = {"raw": "raw", "lone": "lone", "odd": "odd"}

#: The parts of the page's script; the last one runs what the others define.
_SCRIPTS: Final = ("elements.js", "numbers.js", "chart.js", "plot.js", "heat_maps.js", "start.js")

_PAGE: Final = """<!DOCTYPE html>
<html lang="en"{theme}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{hash}'">
<title>{title}</title>
<style>
{style}
:root {{ {light} }}
:root[data-theme="dark"] {{ {dark} }}
</style>
</head>
<body>
<header><h1>{title}</h1><button type="button" id="theme">Light or dark</button></header>
<main>
{content}
</main>
<noscript><p class="note">This page needs JavaScript to show its curves.</p></noscript>
{data}<script>{script}</script>
</body>
</html>
"""
_CURVES: Final = """<div class="panels"></div>
<aside aria-label="Runs"><button type="button" id="all">All runs</button> <button type="button" id="none">None</button>
<ul class="runs"></ul><p class="note">Drag to zoom, double-click to reset.</p></aside>"""


def page_of(sheet: Sheet, title: str, drawing: str) -> bytes:
    """Return the page of a plot; ``drawing`` is its SVG, which is used unless the plot has curves."""
    import html

    folder = resources.files("tb2csv.analysis.plots") / "page"
    style = (folder / "plot.css").read_text(encoding="utf-8")
    script = "".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    theme = sheet.look.theme
    light, dark = _run_colours(sheet) if sheet.runs else ("", "")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    heading = sheet.look.title or title
    return _PAGE.format(
        theme="" if theme == LIGHT else f' data-theme="{"dark" if theme.name == "dark" else "light"}"',
        hash=f"sha256-{digest}",
        title=html.escape(printable(heading)),
        style=style,
        light=light,
        dark=dark,
        content=_CURVES if sheet.runs else f'<div class="picture">{_themed(drawing, theme)}</div>{_too_many(sheet)}',
        data=_embedded("data", _data(sheet)) if sheet.runs else _embedded("maps", _maps(sheet)) if sheet.maps else "",
        script=script,
    ).encode()


def _embedded(name: str, value: Any) -> str:
    """Return an element with JSON."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _themed(drawing: str, theme: Theme) -> str:
    """Return an SVG drawing whose colours, except those of data, are variables of the page."""
    names = {"text": theme.text, "faint": theme.faint_text, "lines": theme.lines, "grid": theme.grid}
    names["back"] = theme.background
    for name, colour in names.items():
        drawing = drawing.replace(f": {colour}", f": var(--{name})")
    return drawing


def _run_colours(sheet: Sheet) -> tuple[str, str]:
    """Return the colours of the runs as CSS variables, for light and for dark backgrounds."""
    colours = [sheet.colours[run] for run in sheet.runs]
    dark = colours if sheet.look.theme.palette != LIGHT.palette else dark_colours(colours)
    return tuple(  # type: ignore[return-value]  # of two elements
        " ".join(f"--run-{number}: {colour};" for number, colour in enumerate(each)) for each in (colours, dark)
    )


def _data(sheet: Sheet) -> dict[str, Any]:
    """Return what the script draws; plot.js describes it."""
    known = [artist for panel in sheet.panels for artist in panel.lines]
    columns = max(8, _MOST_POINTS // (_POINTS_PER_COLUMN * max(1, len(known))))
    folder = common_folders(sheet.runs)
    first, *others = sheet.dashes
    shared = first if all(each == first for each in others) else {}
    return {
        "folder": printable(folder),
        "runs": [{"name": printable(run[len(folder) :]), "dashes": shared.get(run, SOLID)} for run in sheet.runs],
        "panels": [_panel(sheet, number, columns) for number in range(len(sheet.panels))],
    }


def _panel(sheet: Sheet, number: int, columns: int) -> dict[str, Any]:
    panel = sheet.panels[number]
    xlim, ylim = sorted(panel.get_xlim()), sorted(panel.get_ylim())
    log = panel.get_yscale() == "log"
    axis = sheet.positions
    bars = [bar for bar in panel.patches if bar.get_gid()]
    return {
        "title": printable(sheet.titles[number]),
        "x": axis.title if axis else "",
        "isTime": bool(axis and axis.name == "wall"),
        "log": log,
        "xlim": xlim,
        "ylim": ylim,
        "lines": [] if bars else list(_lines(sheet, number, columns, xlim, ylim, log=log)),
        "bars": [_bar(bar, text) for bar, text in zip(bars, _texts(panel, len(bars)), strict=True)],
    }


def _lines(
    sheet: Sheet, number: int, columns: int, xlim: list[float], ylim: list[float], *, log: bool
) -> Iterator[dict[str, Any]]:
    """Yield bands and lines, from the lowest to the highest."""
    panel = sheet.panels[number]
    for artist in sorted([*panel.collections, *panel.lines], key=lambda each: float(each.get_zorder())):
        gid = artist.get_gid()
        if not gid:
            continue
        kind, run, *rest = gid.split("-")
        shape = _SHAPES.get(rest[-1], "line") if rest else "line"
        if hasattr(artist, "get_xdata"):
            x, y = (np.asarray(each, np.float64) for each in (artist.get_xdata(), artist.get_ydata()))
            if shape in {"line", "raw"}:
                thinned = line_of(x, y, columns)
                x, y = thinned
        else:
            shape = "band"
            corners = np.concatenate([path.vertices for path in artist.get_paths()] or [np.zeros((0, 2))])
            x, y = corners[:, 0], corners[:, 1]
        place = -1 if kind == "median" else int(run)
        dashes = sheet.dashes[number].get(sheet.runs[place], SOLID) if shape == "line" and place >= 0 else SOLID
        yield {
            "run": place,
            "shape": shape,
            "dashes": dashes,
            "x": _rounded(x, xlim[1] - xlim[0]),
            "y": _significant(y) if log else _rounded(y, ylim[1] - ylim[0]),
            "width": float(np.max(artist.get_linewidth())),
            "opacity": artist.get_alpha() or 1.0,
        }


def line_of(x: Numbers, y: Numbers, columns: int) -> tuple[Numbers, Numbers]:
    """Return the points of a line with gaps, thinned to a number of columns."""
    is_gap = ~np.isfinite(x)
    x = np.where(is_gap, np.roll(x, 1), x)
    if not x.size or not np.isfinite(x).all():
        return x[:0], y[:0]
    thinned = line(x, y, columns)
    return np.append(thinned.x, thinned.lone_x), np.append(thinned.y, thinned.lone_y)


def _rounded(values: Numbers, span: float) -> list[float | None]:
    """Return coordinates with as many digits as can be seen; None for NaN."""
    digits = _EXACTNESS - math.floor(math.log10(span)) if span > 0 and math.isfinite(span) else 12
    return _numbers(np.round(values, min(max(digits, 0), 300)))


def _significant(values: Numbers) -> list[float | None]:
    return _numbers(np.array([float(f"{value:.6g}") for value in values.tolist()]))


def _numbers(values: Numbers) -> list[float | None]:
    return [
        (int(value) if value == int(value) and abs(value) < 1e15 else value) if math.isfinite(value) else None
        for value in values.tolist()
    ]


def _bar(bar: Any, text: str) -> dict[str, Any]:
    return {"run": int(bar.get_gid().split("-")[1]), "value": float(bar.get_width()), "text": text}


def _texts(panel: Any, count: int) -> list[str]:
    """Return the texts of bars: what is written beside them, or their lengths."""
    written = [text.get_text() for text in panel.texts]
    return written if len(written) == count else [short_number(float(bar.get_width())) for bar in panel.patches[:count]]


def _has_too_many_cells(sheet: Sheet) -> bool:
    return sum(each.cells.size for each in sheet.maps) > _MOST_CELLS


def _too_many(sheet: Sheet) -> str:
    """Return a note on heat maps whose cells do not show their values."""
    if not _has_too_many_cells(sheet):
        return ""
    return f'<p class="note">Maps of up to {_MOST_CELLS:,} cells show their values; choose fewer tags or runs.</p>'


def _maps(sheet: Sheet) -> dict[str, Any]:
    """Return the heat maps of a drawing, after it has been drawn; heat_maps.js describes them."""
    axis = sheet.positions
    maps = [] if _has_too_many_cells(sheet) else zip(sheet.panels, sheet.titles, sheet.maps, strict=True)
    return {
        "x": axis.title if axis else "",
        "isTime": bool(axis and axis.name == "wall"),
        "rows": [printable(tag) for tag in sheet.map_rows],
        "maps": [_map(panel, title, cells) for panel, title, cells in maps],
    }


def _map(panel: Any, title: str, cells: MapCells) -> dict[str, Any]:
    place = panel.get_position()  # fractions of the figure, from its lower left
    span = float(cells.edges[-1] - cells.edges[0])
    return {
        "title": printable(title),
        "place": [round(each, 5) for each in (place.x0, 1 - place.y1, place.x1, 1 - place.y0)],
        "xlim": sorted(panel.get_xlim()),
        "edges": _numbers(cells.edges),
        "places": None if cells.places is None else _rounded(cells.places, span),
        "values": [_cells(row) for row in cells.cells],
    }


def _cells(row: Numbers) -> list[float | str | None]:
    """Return values with four digits, None for an empty cell, and a text for one with NaN or infinity."""
    return [
        None if math.isnan(value) else "NaN or infinite" if math.isinf(value) else float(f"{value:.4g}")
        for value in row.tolist()
    ]
