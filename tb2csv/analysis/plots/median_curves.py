"""The median of many runs at each position, for plots in which no single curve can be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

#: The maximum number of positions; if runs have more different ones, evenly spaced positions are used.
_MOST_POSITIONS: Final = 1000


def median_curve(curves: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    """Return positions and the median of the curves at each of them.

    A curve counts between its first and last finite value, with straight lines between its values; of values at one
    position, the last counts. The median is given where at least half of the curves count.
    """
    known = [_sorted(x, y) for x, y in curves]
    known = [(x, y) for x, y in known if x.size]
    if not known:
        return np.zeros(0), np.zeros(0)
    places = np.unique(np.concatenate([x for x, _ in known]))
    if len(places) > _MOST_POSITIONS:
        places = np.linspace(places[0], places[-1], _MOST_POSITIONS)
    values = np.array([np.interp(places, x, y, left=np.nan, right=np.nan) for x, y in known])
    is_enough = np.isfinite(values).sum(axis=0) * 2 >= len(known)
    return places[is_enough], np.nanmedian(values[:, is_enough], axis=0)


def _sorted(x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """Return the finite values in the order of their positions, one for each position."""
    is_finite = np.isfinite(y)
    x, y = x[is_finite], y[is_finite]
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    is_last = np.append(np.diff(x) > 0, True) if x.size else np.zeros(0, np.bool_)
    return x[is_last], y[is_last]
