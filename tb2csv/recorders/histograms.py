"""Histograms of arrays, as all recorders write them."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

#: The number of buckets of a histogram.
BUCKETS: Final = 30

#: Numbers that are counted together: few enough for the cache of a processor.
_PIECE: Final = 2**15


def histogram_buckets(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return [30, 3]: left edge, right edge and count of equally wide buckets over the finite numbers of an array.

    All zeros if no number is finite; if all are equal, the last bucket counts them. Raises TypeError or ValueError
    for an array that does not hold real numbers.
    """
    if array.dtype.kind in "cOSUMm":
        message = f"A histogram needs real numbers, not {array.dtype}."
        raise TypeError(message)
    if array.itemsize > np.dtype(np.float64).itemsize:
        array = array.astype(np.float64)
    flat = array.ravel(order="K")
    return buckets_of_pieces([flat[begin : begin + _PIECE] for begin in range(0, flat.size, _PIECE)])


def buckets_of_pieces(pieces: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the histogram of the finite numbers in several arrays together; each is [n], and n is not 0."""
    extrema = [float(number) for piece in pieces for number in (piece.min(), piece.max())]
    if not all(map(math.isfinite, extrema)):
        pieces = [piece[np.isfinite(piece)] for piece in pieces]
        extrema = [float(number) for piece in pieces if piece.size for number in (piece.min(), piece.max())]
    if not extrema:
        return np.zeros((BUCKETS, 3))
    edges = _edges(min(extrema), max(extrema))
    # An additional bucket for the largest number, which is the right edge of the last.
    counts = np.zeros(BUCKETS + 1)
    for piece in pieces:
        counts += np.bincount(_places(piece.astype(np.float64), edges), minlength=BUCKETS + 1)
    counts[-2] += counts[-1]
    return np.stack([edges[:-1], edges[1:], counts[:-1]], axis=1)


def _edges(smallest: float, largest: float) -> npt.NDArray[np.float64]:
    # Halves, because the distance between the two may be more than a float64 holds; half of the smallest is rounded.
    with np.errstate(over="ignore"):  # linspace computes a last edge, which may be infinite, and then replaces it
        edges = 2 * np.linspace(smallest / 2, largest / 2, BUCKETS + 1)
    edges = edges.clip(smallest, largest)
    edges[0], edges[-1] = smallest, largest
    return edges


def _places(numbers: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return the bucket of each number: the last whose left edge is not larger.

    A multiplication takes a fifth of the time of a search, which is for numbers close to an edge.
    """
    low, high = float(edges[0]), float(edges[-1])
    factor = BUCKETS / (high - low) if high > low else math.inf
    # What rounding of the edges and of the product may be, as a share of a bucket.
    tolerance = 1e-9 + 8 * sys.float_info.epsilon * max(-low, high) * factor
    if not (0 < factor < math.inf and tolerance < 1 / 4):
        return np.searchsorted(edges, numbers, side="right") - 1
    shares = numbers - low
    shares *= factor
    places = shares.astype(np.intp)
    shares -= places
    shares -= 0.5
    close = np.flatnonzero(np.abs(shares, out=shares) > 0.5 - tolerance)
    close = close[numbers[close] != low]  # many, after a ReLU
    places[close] = np.searchsorted(edges, numbers[close], side="right") - 1
    return places
