"""Tensors in the memory of the processor as NumPy arrays, piece by piece, and what statistics are computed from.

NumPy takes less time than PyTorch for a small tensor, and float64 costs little while a piece is in the cache.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Row: TypeAlias = tuple[float, ...]

#: Numbers that are computed with together: few enough for the cache of a processor.
_PIECE: Final = 2**16

#: Numbers that BLAS adds. In float32, the relative error of so few is about 1e-7; for more than 10,000, OpenBLAS takes
#: several threads, which takes longer.
_ROW: Final = 2**11

#: Between these, squares are neither 0 nor infinite in float32.
_SMALL32: Final = 1e-12
_LARGE32: Final = 1e15

#: Numbers whose squares may be too large for float64. Results are float32, so squares that are too small do not matter.
_LARGE64: Final = 1e150

_ONES: Final = {char: np.ones((_ROW, 1), char) for char in "fd"}

_NATIVE: Final = frozenset(
    {
        torch.float32,
        torch.float64,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.uint8,
        torch.bool,
    }
)


#: A thread's memory for a piece in float64. New memory for each would take more time than all computations.
_memory = threading.local()


def on_host(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is in the processor's memory, so that nothing waits for a look at it."""
    return bool(tensor.is_cpu)


def host_pieces(tensor: torch.Tensor) -> list[npt.NDArray[Any]]:
    """Return the elements of a real tensor without a graph in arrays of at most ``_PIECE`` elements, in any order.

    They share the memory of the tensor if possible: it is in the processor's and strided. Arrays of a dtype in which
    NumPy computes slowly, or that it does not have, are copies as float32.
    """
    tensor = tensor.resolve_neg()
    if tensor.dtype not in _NATIVE:
        return [piece.float().numpy() for piece in tensor.reshape(-1).split(_PIECE) if len(piece)]
    array = tensor.numpy()
    flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel(order="K")
    if 0 < flat.size <= _PIECE:
        return [flat]
    return [flat[begin : begin + _PIECE] for begin in range(0, flat.size, _PIECE)]


def host_rows(pieces: Iterable[npt.NDArray[Any]]) -> list[Row]:
    """Return the parts of each piece, as ``tensor_numbers`` combines them."""
    if not hasattr(_memory, "wide"):
        _memory.wide = np.empty(_PIECE)
    with np.errstate(all="ignore"):  # NaN and infinity are results
        return [_row(piece, _memory.wide[: len(piece)]) for piece in pieces]


def _row(piece: npt.NDArray[Any], wide: npt.NDArray[np.float64]) -> Row:
    """Return the parts of a piece; ``wide`` is memory for as many elements in float64."""
    smallest, largest = float(np.minimum.reduce(piece)), float(np.maximum.reduce(piece))
    size, nonzero = len(piece), int(np.count_nonzero(piece != 0))
    if smallest == largest and abs(smallest) < math.inf:
        return smallest, largest, 1.0, smallest, 0.0, nonzero, 0
    extreme = max(-smallest, largest)
    if piece.dtype == np.float32 and _SMALL32 < extreme < _LARGE32:
        total, squares = _sums(piece)
        distances = squares - total * total / size
        if distances > squares / 4:  # else it is the difference of numbers that are almost equal, and not exact
            return smallest, largest, 1.0, total / size, distances, nonzero, 0
    wide[:] = piece
    scale = 1.0
    if _LARGE64 < extreme < math.inf:
        scale = extreme
        wide /= scale
    mean = float(np.add.reduce(wide)) / size
    wide -= mean
    unknown = int(np.count_nonzero(np.isnan(piece))) if math.isnan(smallest) else 0
    return smallest, largest, scale, mean, _sums(wide)[1], nonzero, unknown


def _sums(numbers: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the sum of float32 or float64 numbers, and that of their squares."""
    if len(numbers) <= _ROW:
        return float(np.add.reduce(numbers)), float(np.dot(numbers, numbers))
    whole = len(numbers) - len(numbers) % _ROW
    rows = numbers[:whole].reshape(-1, 1, _ROW)
    sums = np.matmul(rows, _ONES[numbers.dtype.char])
    squares = np.matmul(rows, rows.transpose(0, 2, 1))
    total, total_of_squares = _sums(numbers[whole:])
    total += float(np.add.reduce(sums, axis=None, dtype=np.float64))
    return total, total_of_squares + float(np.add.reduce(squares, axis=None, dtype=np.float64))
