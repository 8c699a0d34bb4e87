"""The x axis of a plot: steps, the time since the start of a run, or wall time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

#: The range of matplotlib's dates in seconds since 1970: the years 1 to 9999, less a day at either end.
_DATES: Final = (-62_135_510_400.0, 253_402_214_400.0)
_DAY: Final = 86_400.0
#: Units of time, their length in seconds, and the minimum number of units to use them.
_UNITS: Final = (("days", _DAY, 3), ("hours", 3600.0, 3), ("minutes", 60.0, 3))
#: The minimum size for a unit, the unit, and its letter.
_PREFIXES: Final = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
_TOO_LARGE: Final = 1e12
_MINUS: Final = "\N{MINUS SIGN}"
#: From this ratio of its ends on, a logarithmic axis has ticks only at powers of ten.
_WIDE: Final = 200.0


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
            is_whole = self.name == "step"
            axis.set_major_locator(ticker.MaxNLocator(6, integer=is_whole, steps=[1, 2, 2.5, 5, 10]))
            axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: short_number(value)))
        if within:
            ticks = [tick for tick in axis.get_majorticklocs() if within[0] <= tick <= within[1]]
            axis.set_major_locator(ticker.FixedLocator(ticks or [within[0]]))
        axis.set_label_text(self.title)


def label_numbers(axis: Any, *, log: bool = False) -> None:
    """Write the ticks of a matplotlib axis of values."""
    from matplotlib import ticker

    if log:
        low, high = sorted(axis.get_view_interval())
        locator: Any = ticker.LogLocator(subs=(1.0,) if high > _WIDE * low else (1.0, 2.0, 5.0), numticks=8)
    else:
        locator = ticker.MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
    axis.set_major_locator(locator)
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: short_number(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def short_number(value: float) -> str:
    """Return a number as text for an axis: 25,000 as 25k, 0.00001 as 1e-5."""
    if not math.isfinite(value):
        return ""
    for least, unit, letter in _PREFIXES:
        if least <= abs(value) < _TOO_LARGE:
            return f"{value / unit:g}{letter}".replace("-", _MINUS)
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", _MINUS)


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
    if name not in POSITIONS:
        message = f"Unknown axis {name!r}; choose from {', '.join(POSITIONS)}."
        raise OptionError(message)
    return XAxis(name, POSITIONS[name][0])


def of_values(name: str, step: Numbers, wall_time: Numbers, started: float) -> Numbers:
    """Return the position of each value in steps, seconds, or days since 1970; NaN if the value has no date.

    ``started`` is the wall time of the run's first event. The arrays have an element for each value.
    """
    return POSITIONS[name][1](step, wall_time, started)


def longest(parts: Iterable[Numbers]) -> float:
    """Return the maximum of all positions, or 0 if there are none."""
    return max((float(part.max()) for part in parts if part.size), default=0.0)
