"""Themes of plots: colours of everything but the data, sizes of text, and settings of matplotlib."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.plots.run_colours import DARK_PALETTE, PALETTE
from tb2csv.errors import check_choice

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Theme:
    """The look of a plot; colours are ``#rrggbb``."""

    name: str
    text: str
    faint_text: str
    #: Axes and ticks.
    lines: str
    grid: str
    background: str
    palette: tuple[str, ...]
    #: Sizes of text in points.
    title_size: float = 10.0
    text_size: float = 8.0
    #: The size of a panel in inches, and of the only panel.
    panel: tuple[float, float] = (4.2, 2.7)
    single_panel: tuple[float, float] = (7.0, 4.0)
    #: Pixels per inch.
    dpi: int = 150
    #: A factor for the width of lines.
    stroke: float = 1.0
    #: Whether a legend of few names may be beside the panels, which makes the picture wider.
    widens: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """Return matplotlib's settings for this theme."""
        return {
            "axes.edgecolor": self.lines,
            "axes.facecolor": self.background,
            "axes.grid": True,
            "axes.grid.axis": "both",
            "axes.axisbelow": True,
            "axes.labelcolor": self.faint_text,
            "axes.labelsize": self.text_size,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlecolor": self.text,
            "axes.titlelocation": "left",
            "axes.titlesize": self.title_size,
            "axes.titleweight": "bold",
            "axes.titlepad": 6.0,
            "axes.xmargin": 0.02,
            "figure.dpi": self.dpi,
            "figure.facecolor": self.background,
            "font.size": self.text_size,
            "grid.color": self.grid,
            "grid.linewidth": 0.8,
            "hatch.linewidth": 0.6,
            "legend.fontsize": self.text_size,
            "legend.frameon": False,
            "lines.solid_capstyle": "round",
            "lines.solid_joinstyle": "round",
            "path.simplify": True,
            "pdf.fonttype": 42,  # TrueType: journals refuse Type 3, and text stays searchable
            "svg.fonttype": "none",  # text stays searchable, and the reader's fonts may have letters that ours lack
            "svg.hashsalt": "tb2csv",  # equal plots have equal bytes
            "text.color": self.text,
            # Hinting rounds the sizes of letters to pixels, and the layout with them, in each version in another way.
            "text.hinting": "no_hinting",
            "text.parse_math": False,  # names of tags may have dollar signs
            "timezone": "UTC",
            "xtick.color": self.lines,
            "xtick.labelcolor": self.faint_text,
            "ytick.color": self.lines,
            "ytick.labelcolor": self.faint_text,
            **self.more,
        }


LIGHT: Final = Theme("light", "#202124", "#5f6368", "#dadce0", "#eceff1", "#ffffff", PALETTE)
#: The colours of TensorBoard's dark theme.
DARK: Final = Theme("dark", "#f1f3f4", "#b8bcc2", "#5f6368", "#3c4043", "#202124", DARK_PALETTE)
#: A figure of a paper: the width of a column, and thin black axes, so that only the data are bold.
PAPER: Final = Theme(
    "paper",
    "#000000",
    "#1a1a1a",
    "#333333",
    "#e6e6e6",
    "#ffffff",
    PALETTE,
    title_size=8.0,
    text_size=7.0,
    panel=(2.4, 1.7),
    single_panel=(3.4, 2.3),
    dpi=300,
    stroke=0.75,
    widens=False,
    more={
        "axes.titleweight": "normal",
        "axes.titlepad": 4.0,
        "axes.linewidth": 0.6,
        "grid.linewidth": 0.4,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.direction": "in",
        "ytick.direction": "in",
    },
)

#: The themes by name, the default first.
THEMES: Final = {theme.name: theme for theme in (LIGHT, DARK, PAPER)}


def theme_of(name: str) -> Theme:
    """Return the theme with a name.

    Raises:
        OptionError: there is no such theme.
    """
    check_choice("theme", name, THEMES)
    return THEMES[name]
