"""The x axis of a plot: steps, the time since the start of a run, or wall time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.analysis.plots.tick_labels import label_ticks
from tb2csv.errors import check_choice
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

#: The range of matplotlib's dates in seconds since 1970: the years 1 to 9999, less a day at either end.
_DATES: Final = (-62_135_510_400.0, 253_402_214_400.0)
_DAY: Final = 86_400.0
#: Units of time, the length of each in seconds, and the shortest plot that has it, in units.
_UNITS: Final = (("days", _DAY, 3), ("hours", 3600.0, 3), ("minutes", 60.0, 3))


class XAxis(NamedTuple):
    """An x axis: its name as an option, its title, and the number that positions are divided by."""

    name: str
    title: str
    unit: float = 1.0

    def fitted(self, longest: float) -> XAxis:
        """Return the axis with the unit for a plot up to the position ``longest``."""
        if self.name != "relative":
            return self
        for title, unit, least in _UNITS:
            if longest >= least * unit:
                return XAxis(self.name, f"time since the run's first event ({title})", unit)
        return self

    def label(self, axis: Any, within: tuple[float, float] | None = None) -> None:
        """Write ticks and title of a matplotlib axis; if ``within`` is given, ticks are in this range only."""
        from matplotlib import dates, ticker

        if self.name == "wall":
            locator = dates.AutoDateLocator(minticks=3, maxticks=7)
            axis.set_major_locator(locator)
            axis.set_major_formatter(dates.ConciseDateFormatter(locator))
        else:
            label_ticks(axis, is_whole=self.name == "step")
        if within:
            ticks = [tick for tick in axis.get_majorticklocs() if within[0] <= tick <= within[1]]
            axis.set_major_locator(ticker.FixedLocator(ticks or [within[0]]))
        axis.set_label_text(self.title)


def _steps(step: Numbers, wall_time: Numbers, started: float) -> Numbers:
    return step


def _relative(step: Numbers, wall_time: Numbers, started: float) -> Numbers:
    origin = started if math.isfinite(started) else wall_time[0] if wall_time.size else 0.0
    return wall_time - origin


def _wall(step: Numbers, wall_time: Numbers, started: float) -> Numbers:
    is_date = (wall_time >= _DATES[0]) & (wall_time <= _DATES[1])
    return np.where(is_date, wall_time / _DAY, np.nan)


#: The x axes by name, the default first: the title, and the function from steps, wall times and the run's start to
#: positions.
POSITIONS: Final[dict[str, tuple[str, Callable[[Numbers, Numbers, float], Numbers]]]] = {
    "step": ("step", _steps),
    "relative": ("time since the run's first event (seconds)", _relative),
    "wall": ("wall time (UTC)", _wall),
}


def positions(name: str) -> XAxis:
    """Return the axis with a name.

    Raises:
        OptionError: there is no such axis.
    """
    check_choice("axis", name, POSITIONS)
    return XAxis(name, POSITIONS[name][0])


def of_values(name: str, step: Numbers, wall_time: Numbers, started: float) -> Numbers:
    """Return the position of each value in steps, seconds, or days since 1970; NaN if the value has no date.

    ``started`` is the wall time of the run's first event. The arrays have an element for each value.
    """
    return POSITIONS[name][1](step, wall_time, started)


def longest(parts: Iterable[Numbers]) -> float:
    """Return the maximum of all positions, or 0 if there are none."""
    return max((float(part.max()) for part in parts if part.size), default=0.0)
