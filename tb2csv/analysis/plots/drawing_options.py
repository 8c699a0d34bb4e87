"""Options for drawing a plot."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OptionError, check_type

if TYPE_CHECKING:
    from tb2csv.analysis.plots.themes import Theme
    from tb2csv.analysis.plots.x_axis import XAxis

#: The ranges of a picture's width and height in inches, and of its resolution in pixels per inch.
_INCHES: Final = (1.0, 200.0)
_RESOLUTIONS: Final = (20, 2400)


@dataclass(frozen=True, slots=True)
class Look:
    """The look of a figure: its theme, and what a user chose instead of the defaults."""

    theme: Theme
    #: A line above all panels.
    title: str = ""
    #: The size of the whole figure in inches.
    width: float | None = None
    height: float | None = None
    #: Pixels per inch.
    resolution: int | None = None

    @property
    def dpi(self) -> int:
        """Pixels per inch."""
        return self.resolution or self.theme.dpi

    def check(self) -> None:
        """Raise OptionError if a size is not a number, or too small or too large to draw."""
        check_type("title", self.title, str, "text")
        for name, value, (low, high) in (
            ("width", self.width, _INCHES),
            ("height", self.height, _INCHES),
            ("dpi", self.resolution, _RESOLUTIONS),
        ):
            if value is None:
                continue
            check_type(name, value, Real, f"a number from {low:g} to {high:g}")
            if not low <= value <= high:
                message = f"The {name} is {value:g}; it must be from {low:g} to {high:g}."
                raise OptionError(message)


@dataclass(frozen=True, slots=True)
class DrawingOptions:
    """The options of all styles; each style uses those that it needs."""

    positions: XAxis
    #: Colours by run, as ``#rrggbb``.
    colours: dict[str, str]
    look: Look
    #: The weight of smoothing, 0 for none.
    smooth: float = 0.0
    #: Whether the axis of values is logarithmic; None if its range decides.
    log: bool | None = None
    #: The ends of the axis of values; None for the end that the values have.
    ylim: tuple[float | None, float | None] | None = None
    #: Whether outliers are shown.
    all_points: bool = False
    #: The name of the measure computed from the values; empty for the values themselves.
    measure: str = ""
    #: What the curves and bands of groups of runs show; empty without groups.
    band: str = ""
