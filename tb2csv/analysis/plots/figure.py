"""A figure with a grid of panels in one theme, independent of the user's settings for matplotlib."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.plots.themes import LIGHT
from tb2csv.analysis.plots.tick_labels import label_numbers
from tb2csv.display import printable, shortened
from tb2csv.errors import MissingExtraError, OptionError
from tb2csv.logdir import ROOT_RUN
from tb2csv.messages import advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tb2csv.analysis.plots.drawing_options import Look
    from tb2csv.analysis.plots.line_dashes import Dashes
    from tb2csv.analysis.plots.map_cells import MapCells
    from tb2csv.analysis.plots.themes import Theme
    from tb2csv.analysis.plots.x_axis import XAxis

#: More panels would be too small to read and take minutes to draw.
MOST_PANELS: Final = 60

_FONT: Final = "DejaVu Sans"  # a part of matplotlib
_BOXES: Final = "Last Resort"  # a font that has a box for every letter
#: The average width in inches of a letter of size 1.
_LETTER: Final = 0.62 / 72

#: Legends with more names are below the panels, in columns.
_MOST_NAMES_BESIDE: Final = 8


#: All threads share matplotlib's settings. Two that replace and restore them at once would leave the settings of one to
#: the other, and to the user. Arguments cannot replace them: ``savefig`` alone reads 71 settings in matplotlib 3.11,
#: because ticks and text are made while it draws. A renderer of our own could set those of SVG only.
_DRAWING: Final = threading.Lock()


@contextlib.contextmanager
def drawing(names: Iterable[str], theme: Theme = LIGHT) -> Iterator[None]:
    """Use a theme in a block, and restore matplotlib's settings at its end; one thread at a time.

    ``names`` are the texts from the log: letters that the usual font lacks are drawn with other installed fonts.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("Plotting", "matplotlib", "plot") from error
    with _DRAWING, mpl.rc_context(), warnings.catch_warnings():
        # Other fonts may lack bold letters; their regular ones are used.
        fonts_log = logging.getLogger("matplotlib.font_manager")
        level = fonts_log.level
        fonts_log.setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(theme.settings())
        try:
            mpl.rcParams["font.family"] = [_FONT, *_fonts_for(set().union(*map(printable, names)))]
            yield
        finally:
            fonts_log.setLevel(level)


def _fonts_for(letters: set[str]) -> list[str]:
    """Return installed fonts for the letters that the usual font lacks."""
    from matplotlib import font_manager

    missing = {ord(letter) for letter in letters} - _letters_of(font_manager.findfont(_FONT))
    fonts: list[str] = []
    if not missing:
        return fonts
    for font in sorted(font_manager.fontManager.ttflist, key=lambda each: (each.name, each.fname)):
        if not missing:
            break
        is_upright = font.style == "normal" and font.weight in {400, "normal", "regular"}
        if is_upright and font.name not in fonts and not font.name.startswith(_BOXES):
            found = missing & _letters_of(font.fname)
            if found:
                fonts.append(font.name)
                missing -= found
    return fonts


def _letters_of(path: str) -> set[int]:
    """Return the code points that a font can draw; an empty set if the font is a bitmap font or broken."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
        return set(font.get_charmap()) if font.scalable else set()
    except (OSError, RuntimeError):
        return set()


class Sheet:
    """A figure and its panels, row by row from the upper left; ``panels`` are matplotlib's Axes."""

    def __init__(
        self,
        count: int,
        look: Look,
        panel: tuple[float, float] | None = None,
        *,
        columns: int | None = None,
    ) -> None:
        """Create a figure of ``count`` panels.

        ``panel`` is the size of a panel in inches, by default that of the theme. A single panel is larger, and the look
        may give the size of the whole figure.

        Raises:
            OptionError: there are too many panels.
        """
        if count > MOST_PANELS:
            fact = f"The plot would have {count:,} panels; the maximum is {MOST_PANELS}"
            raise OptionError(
                fact, advice("choose fewer tags or runs by {}", "tag", "run", "exclude_tag", "exclude_run")
            )
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        self.look = look
        #: For pages: the runs of curves and their colours, the tags of the panels, and the x axis.
        self.runs: list[str] = []
        self.colours: dict[str, str] = {}
        #: The dashes of curves by run, for each panel.
        self.dashes: list[dict[str, Dashes]] = [{} for _ in range(count)]
        self.titles = [""] * count
        self.positions: XAxis | None = None
        #: For pages: the cells of heat maps, one for each panel, and the tags of their rows.
        self.maps: list[MapCells] = []
        self.map_rows: list[str] = []
        self.columns = columns or _columns(count)
        self.rows = math.ceil(count / self.columns)
        width, height = panel or look.theme.panel
        if count == 1:
            width, height = (max(pair) for pair in zip((width, height), look.theme.single_panel, strict=True))
        size = (look.width or width * self.columns, look.height or height * self.rows)
        self.panel_width = size[0] / self.columns
        engine = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.02, hspace=0.03)
        self.figure = Figure(figsize=size, dpi=look.dpi, layout=engine)
        self.panels: list[Any] = [
            self.figure.add_subplot(self.rows, self.columns, number + 1) for number in range(count)
        ]
        #: The heights in inches of the legends below the panels of each row.
        self._below = [0.0] * self.rows
        if look.title:
            self._write_above(look.title, size=look.theme.title_size + 2, color=look.theme.text, weight="bold")

    @property
    def pixels(self) -> int:
        """The width of a panel in pixels."""
        return int(self.panel_width * self.look.dpi)

    def is_lowest(self, number: int) -> bool:
        """Return whether the panel is the lowest in its column."""
        return number + self.columns >= len(self.panels)

    def title(self, number: int, text: str) -> None:
        """Write the title of a panel, cut to its width."""
        self.titles[number] = text
        room = int((self.panel_width - 0.6) / (self.look.theme.title_size * _LETTER))
        self.panels[number].set_title(shortened(printable(text), room))

    def name_run(self, run: str) -> None:
        """Write the name of the only run above all panels, unless it is the log directory itself."""
        if run == ROOT_RUN:
            return
        self.heading(f"run {run}")

    def heading(self, text: str) -> None:
        """Write a line above all panels, unless it is empty or the user has chosen one."""
        if text and not self.look.title:  # some versions of matplotlib make room for an empty line
            self._write_above(text, size=self.look.theme.title_size, color=self.look.theme.faint_text)

    def _write_above(self, text: str, *, size: float, **style: Any) -> None:
        room = int(self.figure.get_figwidth() / (size * _LETTER))
        self.figure.suptitle(shortened(printable(text), room), x=0.01, ha="left", size=size, **style)

    def label_positions(self, number: int, positions: XAxis) -> None:
        """Write the x axis of a panel; its title only below the lowest panel."""
        self.positions = positions
        axis = self.panels[number].xaxis
        positions.label(axis)
        axis.label.set_visible(self.is_lowest(number))

    def label_values(self, number: int) -> None:
        """Write the x axis of a panel whose x axis shows values."""
        axis = self.panels[number].xaxis
        label_numbers(axis)
        axis.set_label_text("value")
        axis.label.set_visible(self.is_lowest(number))

    def say(self, number: int, text: str) -> None:
        """Write into the middle of an empty panel."""
        from matplotlib import ticker

        panel = self.panels[number]
        panel.text(
            0.5, 0.5, text, transform=panel.transAxes, ha="center", va="center", color=self.look.theme.faint_text
        )
        panel.grid(visible=False)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(ticker.NullLocator())
            axis.set_major_formatter(ticker.NullFormatter())

    def legend(self, handles: list[Any], texts: list[str], *, title: str = "") -> None:
        """Draw a legend: to the right of all panels, or below them in columns if it is long."""
        theme = self.look.theme
        columns = 1
        longest = max(map(len, [*texts, title]), default=0)
        width = 0.55 + longest * theme.text_size * _LETTER
        line = 0.25 * theme.text_size / 10
        has_room = theme.widens and not (self.look.width and width > self.look.width / 3)
        if len(texts) <= _MOST_NAMES_BESIDE and has_room:
            place = "outside right upper"
            lines = line * (len(texts) + bool(title)) + 0.4
            self._grow(self.figure.get_figwidth() + width, max(self.figure.get_figheight(), lines))
        else:
            place = "outside lower left"
            columns = max(1, min(len(texts), int(self.figure.get_figwidth() / width)))
            lines = line * (math.ceil(len(texts) / columns) + bool(title)) + 0.1
            self._grow(self.figure.get_figwidth(), self.figure.get_figheight() + lines)
        legend = self.figure.legend(handles, [" "] * len(handles), loc=place, title=title or None, ncols=columns)
        legend.get_title().set(color=theme.faint_text, size=theme.text_size)
        legend.set_alignment("left")
        self._write_names(legend, handles, texts)

    def legend_inside(self, number: int, handles: list[Any], texts: list[str]) -> None:
        """Draw the legend of a panel where it hides little."""
        theme = self.look.theme
        legend = self.panels[number].legend(
            handles, [" "] * len(handles), loc="best", fontsize=theme.text_size - 1, frameon=True, framealpha=0.7,
            facecolor=theme.background, edgecolor="none", borderpad=0.2, labelspacing=0.2, handlelength=1.6,
        )  # fmt: skip
        self._write_names(legend, handles, texts)

    def legend_below(self, number: int, handles: list[Any], texts: list[str]) -> None:
        """Draw the legend of a panel below it, in columns."""
        from matplotlib.transforms import ScaledTranslation

        theme, panel = self.look.theme, self.panels[number]
        size = theme.text_size - 1
        width = 0.35 + max(map(len, texts)) * size * _LETTER
        columns = max(1, min(len(texts), int((self.panel_width - 0.3) / width)))
        # Below the labels of the axis.
        distance = (theme.text_size * (3.6 if panel.xaxis.label.get_visible() else 2.2)) / 72
        down = ScaledTranslation(0, -distance, self.figure.dpi_scale_trans)
        legend = panel.legend(
            handles, [" "] * len(handles), loc="upper left", bbox_to_anchor=(0, 0),
            bbox_transform=panel.transAxes + down, fontsize=size, ncols=columns, borderpad=0, borderaxespad=0,
            labelspacing=0.2, handlelength=1.6, columnspacing=1.2,
        )  # fmt: skip
        self._write_names(legend, handles, texts)
        row, height = number // self.columns, math.ceil(len(texts) / columns) * size * 1.4 / 72
        self._grow(self.figure.get_figwidth(), self.figure.get_figheight() + max(0, height - self._below[row]))
        self._below[row] = max(height, self._below[row])

    def _write_names(self, legend: Any, handles: list[Any], texts: list[str]) -> None:
        """Write the texts of a legend: matplotlib omits labels that begin with an underscore."""
        for drawn, text, handle in zip(legend.get_texts(), texts, handles, strict=True):
            drawn.set_text(text)
            drawn.set_color(self.look.theme.text)
            drawn.set_gid(handle.get_gid() and f"{handle.get_gid()}-name")

    def _grow(self, width: float, height: float) -> None:
        """Set the size of the figure in inches, unless the user has chosen it."""
        self.figure.set_size_inches(self.look.width or width, self.look.height or height)


def _columns(count: int) -> int:
    """Return the number of panels in a row."""
    return min(count, 3) if count in {1, 2, 3, 5, 6, 9} else min(math.ceil(math.sqrt(count)), 4)
