"""Tensors of PyTorch as NumPy arrays with the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

if TYPE_CHECKING:
    import numpy.typing as npt

#: Dtypes that NumPy does not have, with integers of the same size; their names are those of event files.
_AS_BITS: Final = {
    getattr(torch, name): bits
    for name, bits in (
        ("bfloat16", torch.int16),
        ("float8_e4m3fn", torch.uint8),
        ("float8_e4m3fnuz", torch.uint8),
        ("float8_e5m2", torch.uint8),
        ("float8_e5m2fnuz", torch.uint8),
    )
    if hasattr(torch, name)
}


class HostArray(NamedTuple):
    """An array, and the name of its dtype if it holds the bits of numbers that NumPy does not have."""

    array: npt.NDArray[Any]
    dtype: str | None = None


def host_array(tensor: torch.Tensor) -> HostArray:
    """Return a tensor of any device and layout as an array with the same bits."""
    values = tensor.detach().resolve_conj().resolve_neg()
    if values.layout != torch.strided:
        values = values.to_dense()
    values = values.cpu()
    bits = _AS_BITS.get(values.dtype)
    if bits is None:
        return HostArray(values.numpy())
    return HostArray(values.view(bits).numpy(), str(values.dtype).removeprefix("torch."))


def is_real(tensor: torch.Tensor) -> bool:
    """Return whether a tensor holds real numbers, so that it has statistics."""
    return not tensor.dtype.is_complex
