"""Floats of 16 bits or fewer that numpy lacks, as float32, which is exact."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.late_modules import np

if TYPE_CHECKING:
    import numpy.typing as npt


class Minifloat(NamedTuple):
    """The bit layout of a float; ``nans`` and ``infinities`` are codes, the preferred NaN first."""

    exponent_bits: int
    mantissa_bits: int
    bias: int
    nans: tuple[int, ...] = ()
    infinities: tuple[int, ...] = ()


#: Layouts by the name in TensorFlow, PyTorch and ml_dtypes. Those with "fn" have no infinity; with "uz", no -0.0.
SMALL_FLOATS: Final = {
    "float8_e5m2": Minifloat(5, 2, 15, (0x7E, 0x7D, 0x7F, 0xFD, 0xFE, 0xFF), (0x7C, 0xFC)),
    "float8_e4m3fn": Minifloat(4, 3, 7, (0x7F, 0xFF)),
    "float8_e4m3fnuz": Minifloat(4, 3, 8, (0x80,)),
    "float8_e4m3b11fnuz": Minifloat(4, 3, 11, (0x80,)),
    "float8_e5m2fnuz": Minifloat(5, 2, 16, (0x80,)),
}


def bfloat16_values(bits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the values of bfloat16 numbers from their bits: each is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


@cache
def values_of_codes(layout: Minifloat) -> npt.NDArray[np.float32]:
    """Return the values of the codes 0 to 255 of a small float; bits above its sign are ignored."""
    exponent_bits, mantissa_bits, bias, nans, infinities = layout
    codes = np.arange(256)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    # Exponent 0 is subnormal: without a hidden leading bit, and with the scale of exponent 1.
    significand = (codes & ((1 << mantissa_bits) - 1)) + ((exponent > 0) << mantissa_bits)
    magnitudes: npt.NDArray[np.float32] = np.ldexp(
        significand.astype(np.float32), np.maximum(exponent, 1) - bias - mantissa_bits
    )
    magnitudes[list(infinities)] = np.inf
    magnitudes[list(nans)] = np.nan
    values = np.where((codes >> (exponent_bits + mantissa_bits)) & 1, -magnitudes, magnitudes)
    values.setflags(write=False)
    return values
