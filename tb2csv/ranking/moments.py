"""The moment of a run that counts: its best value, its last value, or its value at a step."""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import OptionError
from tb2csv.late_modules import np
from tb2csv.ranking.goals import MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]
    #: From values, steps and the bounds of series, the row of each series that counts; -1 if none does.
    Choose = Callable[[npt.NDArray[np.generic], Integers, Integers], Integers]

BEST: Final = "best"
LAST: Final = "last"

_STEP: Final = re.compile(r"(?:step )?(-?\d{1,19})")


class Moment(NamedTuple):
    """``best``, ``last``, or a step; ``step`` is None for the others."""

    name: str
    step: int | None = None

    def choose(self, goal: str) -> Choose:
        """Return the function that chooses a row of each series."""
        if self.name == LAST:
            return _last
        if self.step is not None:
            return functools.partial(_at, self.step)
        return _highest if goal == MAX else _lowest

    def replaces(self, new: float, old: float, goal: str) -> bool:
        """Return whether a value counts instead of an earlier one of the same run."""
        if self.name != BEST:
            return True
        return math.isnan(old) or (new > old if goal == MAX else new < old)


def moment_of(at: str | int) -> Moment:
    """Return the moment that an option names: ``best``, ``last``, or a step as a number or as its text.

    Raises:
        OptionError: it is none of these.
    """
    if isinstance(at, str) and at in {BEST, LAST}:
        return Moment(str(at))
    found = _STEP.fullmatch(str(at)) if not isinstance(at, bool) else None
    if not found:
        message = f"Unknown moment {at!r}; choose best, last, or the number of a step."
        raise OptionError(message)
    return Moment(f"step {found[1]}", int(found[1]))


def _last(values: npt.NDArray[np.generic], steps: Integers, bounds: Integers) -> Integers:
    return np.where(np.diff(bounds) > 0, bounds[1:] - 1, -1)


def _at(step: int, values: npt.NDArray[np.generic], steps: Integers, bounds: Integers) -> Integers:
    """Return the last row of each series at a step."""
    hits = np.flatnonzero(steps == step)
    place = np.searchsorted(hits, bounds[1:]) - 1
    rows = np.append(hits, -1)[place]  # place -1 is the appended one
    return np.where(rows >= bounds[:-1], rows, -1)


def _highest(values: npt.NDArray[np.generic], steps: Integers, bounds: Integers) -> Integers:
    return _first_extreme(values, bounds, np.fmax)


def _lowest(values: npt.NDArray[np.generic], steps: Integers, bounds: Integers) -> Integers:
    return _first_extreme(values, bounds, np.fmin)


def _first_extreme(values: npt.NDArray[np.generic], bounds: Integers, extreme: np.ufunc) -> Integers:
    """Return the first row with the extreme of each series; its first row if all its values are NaN."""
    counts = np.diff(bounds)
    rows = np.full(len(counts), -1)
    present = np.flatnonzero(counts)
    if not present.size:
        return rows
    start = bounds[present]
    extremes = extreme.reduceat(values, start)
    hits = np.flatnonzero(values == np.repeat(extremes, counts[present]))
    place = np.append(hits, len(values))[np.searchsorted(hits, start)]
    rows[present] = np.where(place < bounds[present + 1], place, start)
    return rows
