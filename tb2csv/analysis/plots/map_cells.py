"""Cells of a heat map: what is drawn, and what its page shows under the pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tb2csv.late_modules import np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]


class MapCells(NamedTuple):
    """The cells of a panel, [row, column], and where their columns are.

    NaN marks an empty cell, infinity one with NaN or infinity. ``edges`` has one element more than there are columns.
    ``places`` are the positions of the columns; None if each column has several and a cell is the highest of them.
    """

    edges: Numbers
    cells: Numbers
    places: Numbers | None = None


def edges_between(places: Numbers) -> Numbers:
    """Return the edges of columns, in the middle between sorted places; one more than places."""
    if not places.size:
        return np.array([0.0])
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate(([2 * places[0] - middles[0]], middles, [2 * places[-1] - middles[-1]]))
