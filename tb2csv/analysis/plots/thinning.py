"""Thinning of long series to the resolution of a plot, without loss of extremes.

Of the points in one column of pixels, the first, the last, the lowest and the highest are kept: the line through these
covers the same pixels as the line through all points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.late_modules import np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

#: Values from here on are drawn as infinite, because their differences may overflow.
TOO_LARGE: Final = 1e300


class Line(NamedTuple):
    """A series ready to draw. All arrays are float64; those of a pair have the same length."""

    #: The points of the line; a gap is a point of two NaN.
    x: Numbers
    y: Numbers
    #: Points without a neighbour to connect to.
    lone_x: Numbers
    lone_y: Numbers
    #: The positions of NaN and infinite values, at most one per column of pixels; and the finite value before each, or
    #: the first finite value if none is before. The latter is empty if there are no finite values.
    odd_x: Numbers
    odd_y: Numbers
    #: Whether points were left out.
    thinned: bool


def line(x: Numbers, y: Numbers, columns: int, *, only_positive: bool = False) -> Line:
    """Return the line through the points in their order, for a plot that is ``columns`` pixels wide.

    The line has gaps at values that are not finite, and where ``x`` goes back, as after a restart. ``x`` must be
    finite. With ``only_positive``, for logarithmic axes, values of 0 and less are gaps as well.
    """
    is_finite = np.abs(y) < TOO_LARGE  # NaN is not
    is_drawn = is_finite & (y > 0) if only_positive else is_finite
    odd = np.flatnonzero(~is_finite)
    column = _column(x, columns)
    odd = odd[_first_of_each(column[odd])]
    drawn = np.flatnonzero(is_drawn)
    drawn_x, drawn_y = x[drawn], y[drawn]
    # A stretch ends at a gap.
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


def band(x: Numbers, low: Numbers, high: Numbers, columns: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return positions and limits of a band for a plot that is ``columns`` pixels wide; ``x`` is finite and rises.

    With many positions, each column of pixels has the minimum and the maximum of its limits. Limits that are not finite
    are NaN, which leaves a gap.
    """
    is_drawn = (np.abs(low) < TOO_LARGE) & (np.abs(high) < TOO_LARGE)
    low, high = np.where(is_drawn, low, np.nan), np.where(is_drawn, high, np.nan)
    if len(x) <= 4 * columns:
        return x, low, high
    starts = np.flatnonzero(np.diff(_column(x, columns), prepend=-1))
    return x[starts], np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)


def _column(x: Numbers, columns: int) -> npt.NDArray[np.int64]:
    """Return the column of pixels of each point; the range of all points is the width of the plot."""
    if not x.size:
        return np.zeros(0, np.int64)
    low, high = x.min(), x.max()
    if low == high:
        return np.zeros(len(x), np.int64)
    share = (x - low) / (high - low)
    column: npt.NDArray[np.int64] = np.minimum((share * columns).astype(np.int64), columns - 1)
    return column


def _first_of_each(column: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the sorted positions of the first point in each column."""
    return np.sort(np.unique(column, return_index=True)[1])


def _extremes(
    y: Numbers, column: npt.NDArray[np.int64], stretch: npt.NDArray[np.int64], columns: int
) -> npt.NDArray[np.int64]:
    """Return the sorted positions of the points to keep: first, last, lowest and highest of each column and stretch."""
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
    """Return the drawn value before each odd one, or the first drawn value; empty if none is drawn."""
    if not drawn.size:
        return drawn_y
    before: Numbers = drawn_y[np.maximum(np.searchsorted(drawn, odd) - 1, 0)]
    return before
