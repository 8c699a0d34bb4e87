"""Histograms of arrays, as all recorders write them."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    Numbers: TypeAlias = npt.NDArray[np.float64]

#: The number of buckets of a histogram.
BUCKETS: Final = 30

#: Places of a number: a bucket, or the right edge of the last, which has the largest number.
_PLACES: Final = BUCKETS + 1

#: Numbers that are counted together: few enough for the cache of a processor.
_PIECE: Final = 2**15

_LEFT_EDGES: Final = np.arange(BUCKETS, dtype=np.float64)


class _Memory(threading.local):
    """A thread's memory for ``_PIECE`` numbers. New memory for each piece would take more time than counting."""

    def __init__(self) -> None:
        self.numbers = np.empty(_PIECE)
        self.shares = np.empty(_PIECE)
        self.places = np.empty(_PIECE, np.int32)  # a fourth of the time of int64


_memory = _Memory()


def histogram_buckets(array: npt.NDArray[Any]) -> Numbers:
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
    buckets: Numbers = histograms([[flat] if flat.size else []])[0]
    return buckets


def histograms(arrays: Sequence[Sequence[npt.NDArray[Any]]]) -> Numbers:
    """Return the histograms of several arrays, [n, 30, 3]; each array is in pieces, [m], of which none is empty.

    Small arrays are counted together, because each call of NumPy takes as long as counting hundreds of numbers.
    """
    finite = [_finite(pieces) for pieces in arrays]
    edges = _edges(np.array([low for _, low, _ in finite]), np.array([high for _, _, high in finite]))
    counts = np.zeros((len(finite), _PLACES))
    for batch in _batches(_fast_pieces(finite, edges, counts)):
        _count(batch, edges, counts)
    counts[:, -2] += counts[:, -1]
    buckets = np.empty((len(finite), BUCKETS, 3))
    buckets[..., 0], buckets[..., 1], buckets[..., 2] = edges[:, :-1], edges[:, 1:], counts[:, :-1]
    return buckets


def _finite(pieces: Sequence[npt.NDArray[Any]]) -> tuple[Sequence[npt.NDArray[Any]], float, float]:
    """Return the finite numbers in pieces, the smallest and the largest; no pieces and 0 if no number is finite."""
    lows = [float(np.minimum.reduce(piece)) for piece in pieces]
    highs = [float(np.maximum.reduce(piece)) for piece in pieces]
    if not all(map(math.isfinite, lows + highs)):
        finite = (piece[np.isfinite(piece)] for piece in pieces)
        return _finite([piece for piece in finite if piece.size])
    return pieces, min(lows, default=0.0), max(highs, default=0.0)


def _edges(lows: Numbers, highs: Numbers) -> Numbers:
    """Return the edges of histograms from these smallest to these largest numbers, [n, 31]."""
    # Halves, because the distance between the two may be more than a float64 holds; half of the smallest is rounded.
    starts, distances = lows / 2, highs / 2 - lows / 2
    widths = distances / BUCKETS
    edges = np.empty((len(lows), _PLACES))
    left = edges[:, :-1]
    np.multiply(widths[:, np.newaxis], _LEFT_EDGES, out=left)
    if not widths.all():  # rounded to 0, or all numbers are equal
        np.copyto(left, distances[:, np.newaxis] * (_LEFT_EDGES / BUCKETS), where=(widths == 0)[:, np.newaxis])
    left += starts[:, np.newaxis]
    left *= 2
    np.clip(left, lows[:, np.newaxis], highs[:, np.newaxis], out=left)
    edges[:, 0], edges[:, -1] = lows, highs
    return edges


class _Piece(NamedTuple):
    """Numbers that are counted by a multiplication, and the place of their histogram."""

    numbers: npt.NDArray[Any]
    place: int
    low: float
    factor: float
    tolerance: float


def _fast_pieces(
    arrays: Iterable[tuple[Sequence[npt.NDArray[Any]], float, float]], edges: Numbers, counts: Numbers
) -> Iterator[_Piece]:
    """Yield what can be counted by a multiplication, and count the rest by a search."""
    for place, (pieces, low, high) in enumerate(arrays):
        factor = BUCKETS / (high - low) if high > low else math.inf
        # What rounding of the edges and of the product may be, as a share of a bucket.
        tolerance = 1e-9 + 8 * sys.float_info.epsilon * max(-low, high) * factor
        is_fast = 0 < factor < math.inf and tolerance < 1 / 4
        for piece in pieces:
            for begin in range(0, len(piece), _PIECE):
                part = piece[begin : begin + _PIECE]
                if is_fast:
                    yield _Piece(part, place, low, factor, tolerance)
                else:
                    places = np.searchsorted(edges[place], part.astype(np.float64), side="right") - 1
                    counts[place] += np.bincount(places, minlength=_PLACES)


def _batches(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Yield pieces that have at most ``_PIECE`` numbers together, in their order."""
    batch: list[_Piece] = []
    size = 0
    for piece in pieces:
        if size + len(piece.numbers) > _PIECE:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += len(piece.numbers)
    if batch:
        yield batch


def _count(batch: Sequence[_Piece], edges: Numbers, counts: Numbers) -> None:
    """Add the numbers of a batch to the counts of their buckets: the last whose left edge is not larger.

    A multiplication takes a fifth of the time of a search. Numbers close to an edge are compared with it.
    """
    bounds = [0, *itertools.accumulate(len(piece.numbers) for piece in batch)]
    size = bounds[-1]
    numbers, shares, places = _memory.numbers[:size], _memory.shares[:size], _memory.places[:size]
    for piece, begin, end in zip(batch, bounds, bounds[1:], strict=False):
        numbers[begin:end] = piece.numbers
        part = shares[begin:end]
        np.subtract(numbers[begin:end], piece.low, out=part)
        part *= piece.factor
    np.copyto(places, shares, casting="unsafe")
    shares -= places
    first, last = batch[0].place, batch[-1].place
    for piece, begin, end in zip(batch, bounds, bounds[1:], strict=False):
        if piece.place > first:
            places[begin:end] += (piece.place - first) * _PLACES
    left = edges[first : last + 1].reshape(-1)
    tolerance = max(piece.tolerance for piece in batch)
    close = np.flatnonzero(shares < tolerance)
    places[close] -= numbers[close] < left[places[close]]
    if np.maximum.reduce(shares) > 1 - tolerance:
        close = np.flatnonzero(shares > 1 - tolerance)
        places[close] += numbers[close] >= left[places[close] + 1]
    counts[first : last + 1] += np.bincount(places, minlength=left.size).reshape(-1, _PLACES)
