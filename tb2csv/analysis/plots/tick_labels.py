"""Labels of the ticks of an axis of numbers: short, and as exact as the distance between the ticks needs."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The minimum size for a unit, the unit, and its letter.
_PREFIXES: Final = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
_TOO_LARGE: Final = 1e12
_MINUS: Final = "\N{MINUS SIGN}"
#: From this ratio of its ends on, a logarithmic axis has ticks only at powers of ten.
_WIDE: Final = 200.0
#: The usual number of significant digits, and the maximum.
_DIGITS: Final = 6
_MAX_DIGITS: Final = 17
#: The maximum error of a label as a fraction of the distance between ticks.
_ERROR: Final = 0.01
#: Labels longer than this need a wider distance.
_LONG: Final = 7


def short_number(value: float) -> str:
    """Return a number as text for an axis: 25,000 as 25k, 0.00001 as 1e-5."""
    if not math.isfinite(value):
        return ""
    for least, unit, letter in _PREFIXES:
        if least <= abs(value) < _TOO_LARGE:
            return f"{value / unit:g}{letter}".replace("-", _MINUS)
    mantissa, _, exponent = f"{value:.{_DIGITS}g}".partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", _MINUS)


def short_numbers(values: Sequence[float]) -> list[str]:
    """Return the labels of an axis' ticks, which differ if the ticks do: 10,000,000 and 10,000,020 in full."""
    finite = sorted({value for value in values if math.isfinite(value)})
    distance = min((b - a for a, b in itertools.pairwise(finite)), default=math.inf)
    allowed = _ERROR * distance
    if _is_exact(finite, f".{_DIGITS}g", allowed):
        return [short_number(value) for value in values]
    largest = max(map(abs, finite))
    forms = [f",.{places}f" for places in range(_MAX_DIGITS)] if 1e-4 <= largest < _TOO_LARGE else []
    forms += [f".{places}e" for places in range(_DIGITS, _MAX_DIGITS)]
    form = next((each for each in forms if _is_exact(finite, each, allowed)), forms[-1])
    return [f"{value:{form}}".replace("-", _MINUS) if math.isfinite(value) else "" for value in values]


def _is_exact(values: Sequence[float], form: str, allowed: float) -> bool:
    """Return whether the texts of numbers have at most an allowed error."""
    return all(abs(float(f"{each:{form}}".replace(",", "")) - each) <= allowed for each in values)


def label_numbers(axis: Any, *, log: bool = False) -> None:
    """Write the ticks of a matplotlib axis of values."""
    from matplotlib import ticker

    if not log:
        label_ticks(axis)
        return
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(ticker.LogLocator(subs=(1.0,) if high > _WIDE * low else (1.0, 2.0, 5.0), numticks=8))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: short_number(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def label_ticks(axis: Any, *, is_whole: bool = False) -> None:
    """Write the ticks of a linear matplotlib axis; fewer if their labels are long."""
    from matplotlib import ticker

    class Numbers(ticker.Formatter):
        def __call__(self, value: float, _: int | None = None) -> str:
            return short_number(value)

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            return short_numbers(values)

    def locator(most: int) -> Any:
        return ticker.MaxNLocator(most, integer=is_whole, steps=[1, 2, 2.5, 5, 10])

    axis.set_major_locator(locator(6))
    if axis.axis_name == "x" and any(len(label) > _LONG for label in short_numbers(axis.get_majorticklocs())):
        axis.set_major_locator(locator(3))
    axis.set_major_formatter(Numbers())
    axis.set_minor_formatter(ticker.NullFormatter())
