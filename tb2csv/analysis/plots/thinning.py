"""Long series reduced to what a picture can show, extremes included.

Of the points that fall into one column of pixels, the first, the last, the lowest and the highest are kept: the line
through these covers the same pixels as the line through all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

#: From here on, values are drawn as infinite ones: their distances may be more than there are numbers.
TOO_LARGE: Final = 1e300


class Line(NamedTuple):
    """A series as it is drawn. All arrays are float64; those of a pair have the same length."""

    #: The corners of the line; where it is interrupted, both are NaN.
    x: Numbers
    y: Numbers
    #: Values with no neighbour to be joined to.
    lone_x: Numbers
    lone_y: Numbers
    #: Where values are NaN or infinite, at most one in a column; and the finite value before each, or after where
    #: none is before. The latter is empty if there are no finite values.
    odd_x: Numbers
    odd_y: Numbers
    #: Whether there were more points than a picture has room for.
    thinned: bool


def line(x: Numbers, y: Numbers, columns: int, *, only_positive: bool = False) -> Line:
    """Return the line through the points in their order, for a picture of so many columns of pixels.

    The line is interrupted by what is not finite, and where ``x`` goes back, as after a restart. ``x`` must be finite.
    With ``only_positive``, for logarithmic axes, values of 0 and less interrupt it as well.
    """
    is_finite = np.abs(y) < TOO_LARGE  # NaN is not
    is_drawn = is_finite & (y > 0) if only_positive else is_finite
    odd = np.flatnonzero(~is_finite)
    column = _column(x, columns)
    odd = odd[_first_of_each(column[odd])]
    drawn = np.flatnonzero(is_drawn)
    drawn_x, drawn_y = x[drawn], y[drawn]
    # A stretch ends where points are missing or x goes back.
    is_start = np.ones(len(drawn), np.bool_)
    is_start[1:] = (np.diff(drawn) > 1) | (np.diff(drawn_x) < 0)
    starts = np.flatnonzero(is_start)
    lengths = np.diff(np.append(starts, len(drawn)))
    lone = starts[lengths == 1]
    kept = _extremes(drawn_y, column[drawn], np.cumsum(is_start), columns)
    corners = kept[~np.isin(kept, lone)]
    gaps = np.flatnonzero(is_start[corners])[1:]
    return Line(
        x=np.insert(drawn_x[corners], gaps, np.nan),
        y=np.insert(drawn_y[corners], gaps, np.nan),
        lone_x=drawn_x[lone],
        lone_y=drawn_y[lone],
        odd_x=x[odd],
        odd_y=_before(odd, drawn, drawn_y),
        thinned=len(kept) < len(drawn),
    )


def _column(x: Numbers, columns: int) -> npt.NDArray[np.int64]:
    """Return the column of pixels of each point, the range of all being the picture's."""
    if not x.size:
        return np.zeros(0, np.int64)
    low, high = x.min(), x.max()
    if low == high:
        return np.zeros(len(x), np.int64)
    share = (x - low) / (high - low)
    column: npt.NDArray[np.int64] = np.minimum((share * columns).astype(np.int64), columns - 1)
    return column


def _first_of_each(column: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return where each column is met first, in order."""
    return np.sort(np.unique(column, return_index=True)[1])


def _extremes(
    y: Numbers, column: npt.NDArray[np.int64], stretch: npt.NDArray[np.int64], columns: int
) -> npt.NDArray[np.int64]:
    """Return which points to keep: first, last, lowest and highest of each column and stretch; in order."""
    if len(y) <= 4 * columns:
        return np.arange(len(y))
    is_new = np.ones(len(y), np.bool_)
    is_new[1:] = (np.diff(column) != 0) | (np.diff(stretch) != 0)
    starts = np.flatnonzero(is_new)
    counts = np.diff(np.append(starts, len(y)))
    extremes = []
    for reduce in (np.minimum.reduceat, np.maximum.reduceat):
        hits = np.flatnonzero(y == np.repeat(reduce(y, starts), counts))
        extremes.append(hits[np.searchsorted(hits, starts)])
    return np.unique(np.concatenate((starts, starts + counts - 1, *extremes)))


def _before(odd: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64], drawn_y: Numbers) -> Numbers:
    """Return the drawn value before each odd one, or the first one where none is before it; empty without any."""
    if not drawn.size:
        return drawn_y
    before: Numbers = drawn_y[np.maximum(np.searchsorted(drawn, odd) - 1, 0)]
    return before
