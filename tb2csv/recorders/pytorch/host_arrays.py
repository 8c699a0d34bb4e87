"""Tensors of PyTorch as NumPy arrays with the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from tb2csv.recorders.host_values import HostArray

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The device whose memory NumPy can read.
_HOST: Final = "cpu"

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


def obstacle(tensor: torch.Tensor) -> str | None:
    """Return why a tensor does not have an array of numbers, or None if it has one."""
    if tensor.is_nested:
        return "a nested tensor"
    if tensor.is_meta:
        return "on the device meta, which keeps no numbers"
    if tensor.is_quantized:
        return f"quantized as {str(tensor.dtype).removeprefix('torch.')}"
    if type(tensor) is not torch.Tensor and is_traceable_wrapper_subclass(tensor):
        return f"not an array but {type(tensor).__name__}"  # such as a weight that torchao has quantized
    return None


def host_array(tensor: torch.Tensor) -> HostArray:
    """Return a tensor of any device and layout as an array with the same bits."""
    values = _dense(tensor).cpu()
    bits = _AS_BITS.get(values.dtype)
    if bits is None:
        return HostArray(values.numpy())
    return HostArray(values.view(bits).numpy(), str(values.dtype).removeprefix("torch."))


def host_arrays(tensors: Sequence[torch.Tensor]) -> list[HostArray]:
    """Return tensors as ``host_array`` does, with one transfer from each device."""
    dense = [_dense(tensor) for tensor in tensors]
    devices: dict[torch.device, list[int]] = {}
    for place, tensor in enumerate(dense):
        if tensor.device.type != _HOST:
            devices.setdefault(tensor.device, []).append(place)
    for places in devices.values():
        pieces = [dense[place].contiguous().reshape(-1).view(torch.uint8) for place in places]
        fetched = torch.cat(pieces).cpu().split([len(piece) for piece in pieces])
        for place, piece in zip(places, fetched, strict=True):
            # A view of another dtype must begin at a multiple of its size.
            dense[place] = piece.clone().view(dense[place].dtype).reshape(dense[place].shape)
    return [host_array(tensor) for tensor in dense]


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    values = tensor.detach().resolve_conj().resolve_neg()
    return values if values.layout == torch.strided else values.to_dense()


def is_real(tensor: torch.Tensor) -> bool:
    """Return whether a tensor holds real numbers, so that it has statistics."""
    return not tensor.dtype.is_complex
