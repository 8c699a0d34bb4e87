"""Statistics of tensors: reduced where they are, and combined in float64 after one transfer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from tb2csv.recorders.pytorch.host_numbers import host_pieces, host_rows, on_host
from tb2csv.recorders.tensor_statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tb2csv.recorders.pytorch.host_numbers import Row

#: Elements that are reduced together. Copies are at most as large, and float32 counts this many exactly.
_PIECE: Final = 2**20

#: What is computed of a piece: its extrema; their larger absolute value, which the next two are relative to; the mean,
#: and the sum of the squared distances from it; and the numbers of elements that are not zero and that are NaN.
_PARTS: Final = 7
_ZEROS: Final = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Reduced:
    """A tensor as ``_PARTS`` numbers for each of its pieces."""

    #: On the device: one tensor for each piece. In the processor's memory, the numbers themselves.
    pieces: Sequence[torch.Tensor] | Sequence[Row]
    sizes: Sequence[int]
    #: Zeros of a sparse tensor, which are not stored.
    zeros: int = 0


def reduced(tensor: torch.Tensor) -> Reduced:
    """Reduce a real tensor without a graph, without waiting for its device."""
    zeros = 0
    if tensor.layout != torch.strided:
        stored = tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor.to_dense()
        tensor, zeros = stored, tensor.numel() - stored.numel()
    if on_host(tensor):
        arrays = host_pieces(tensor)
        return Reduced(host_rows(arrays), [len(array) for array in arrays], zeros)
    elements = tensor.reshape(-1)
    if not elements.is_floating_point():
        elements = elements.double()
    elif elements.dtype != torch.float64:
        elements = elements.float()
    pieces = elements.split(_PIECE) if elements.numel() else ()
    return Reduced([_reduced_piece(piece) for piece in pieces], [len(piece) for piece in pieces], zeros)


def _reduced_piece(piece: torch.Tensor) -> torch.Tensor:
    smallest, largest = piece.aminmax()
    # Squares of numbers such as 1e-30 are 0 in float32, and those of 1e30 are infinite.
    limits = torch.finfo(piece.dtype)
    scale = torch.maximum(-smallest, largest).clamp_(limits.tiny, limits.max)
    relative = piece / scale
    mean = relative.mean()
    squares = relative.sub_(mean).square_().sum()
    # Comparisons whose results are numbers are several times as fast as those whose results are booleans.
    nonzero = torch.ne(piece, 0, out=relative).sum()
    unknown = torch.ne(piece, piece, out=relative).sum()
    return torch.stack([smallest, largest, scale, mean, squares, nonzero, unknown])


def fetched(every: Sequence[Reduced]) -> npt.NDArray[np.float32]:
    """Return the STATISTICS of reduced tensors, [n, 7], with one transfer from each device.

    If an element is NaN, all of them are NaN except ``zero_share`` and ``nan_count``. If there are no elements, all are
    NaN except the norm and the count, which are 0. The norm of infinite elements is infinite.
    """
    if not every:
        return np.empty((0, len(STATISTICS)), np.float32)
    pieces = [piece for each in every for piece in each.pieces]
    transferred = iter(_transferred([piece for piece in pieces if isinstance(piece, torch.Tensor)]))
    rows: list[Any] = []
    sizes: list[int] = []
    starts: list[int] = []
    for each in every:
        starts.append(len(sizes))
        rows += [next(transferred) if isinstance(piece, torch.Tensor) else piece for piece in each.pieces]
        sizes += each.sizes
        if each.zeros or not each.pieces:
            rows.append(_ZEROS)
            sizes.append(each.zeros)
    return _combined(np.array(rows, np.float64), np.array(sizes, np.float64), np.array(starts))


def _transferred(pieces: Sequence[torch.Tensor]) -> npt.NDArray[np.float64]:
    """Return tensors of ``_PARTS`` numbers as rows; those of one device and dtype are fetched together."""
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for number, piece in enumerate(pieces):
        groups.setdefault((piece.device, piece.dtype), []).append(number)
    rows = np.empty((len(pieces), _PARTS))
    for numbers in groups.values():
        rows[numbers] = torch.stack([pieces[number] for number in numbers]).cpu().numpy()
    return rows


def _combined(
    rows: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], starts: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """Return the STATISTICS of tensors whose pieces begin at ``starts``; ``rows`` has the parts of each piece."""
    smallest, largest, scales, means, squares, nonzero, unknown = rows.T
    tensor = np.repeat(np.arange(len(starts)), np.diff([*starts, len(sizes)]))
    with np.errstate(all="ignore"):  # NaN and infinity are results
        scale = np.maximum.reduceat(scales, starts)
        count = np.add.reduceat(sizes, starts)
        shares = scales / scale[tensor]
        mean = np.add.reduceat(means * shares * sizes, starts) / count
        distances = means * shares - mean[tensor]
        total = np.add.reduceat(squares * shares**2 + np.where(distances, sizes * distances**2, 0), starts)
        low = np.where(sizes > 0, smallest, np.inf)
        high = np.where(sizes > 0, largest, -np.inf)
        low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
        norm = scale * np.sqrt(total + count * mean**2)
        norm[np.isinf(low) | np.isinf(high)] = np.inf
        spread = scale * np.sqrt(total / count)
        nan_count = np.add.reduceat(unknown, starts)
        zero_share = 1 - np.add.reduceat(nonzero, starts) / count
        statistics = np.stack([norm, scale * mean, spread, low, high, zero_share, nan_count], axis=1)
        statistics[nan_count > 0, :5] = np.nan
        statistics[count == 0, 1:6] = np.nan
        statistics[count == 0, 0] = 0
        return statistics.astype(np.float32)
