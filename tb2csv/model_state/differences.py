"""How two states differ, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.match_tensors import fit
from tb2csv.model_state.restoring import state_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.model_state.dtypes import Dtype
    from tb2csv.model_state.tensors import StateTensor

#: The status of what has no form in a table.
NOT_COMPARED: Final = "not compared"

#: Elements that are compared at once, which bounds the memory of float64 copies.
_STRETCH: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor differs.

    ``status`` is ``same``, ``changed``, ``only in A``, ``only in B``, or says how shape or dtype differ; a value that
    has no form in a table is ``not compared``, and its ``dtype`` is the type that it has. The largest
    absolute and relative differences are None if the elements are not numbers; relative to A's element, and
    infinite if that is 0. ``max_ulps`` counts the numbers of the dtype between two floats, None for other dtypes.
    NaNs with the same bits are equal; a number and a NaN differ by infinity.
    """

    name: str
    status: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    changed: int = 0
    size: int = 0
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulps: int | None = None

    @property
    def changed_share(self) -> float:
        """The share of elements whose bits differ."""
        return self.changed / self.size if self.size else 0.0


def diff_states(first: Any, second: Any) -> list[TensorDifference]:
    """Compare two states: live objects, model files or CSV files, in any combination.

    Tensors are matched as they are when a state is restored. Returns a difference for each, in the order of the first,
    then what only the second has, then the values of both that cannot be compared. Raises StateError if one of them
    cannot be read.
    """
    one, other = state_of(first), state_of(second)
    found = fit(one, other.tensors, {})
    partner = {tensor.name: name for name, tensor in found.assigned.items()}
    seconds = {tensor.name: tensor for tensor in other.tensors}
    differences = []
    for tensor in one.tensors:
        twin = seconds.pop(partner.get(tensor.name, tensor.name), None)
        differences.append(_difference(tensor, twin))
    differences += [
        TensorDifference(tensor.name, "only in B", tensor.dtype, tensor.shape, size=tensor.size)
        for tensor in seconds.values()
    ]
    opaque = {**other.left_out, **one.left_out}
    return differences + [TensorDifference(name, NOT_COMPARED, kind) for name, kind in opaque.items()]


def _difference(one: StateTensor, other: StateTensor | None) -> TensorDifference:
    status = ""
    if other is None:
        status = "only in A"
    elif one.shape != other.shape and (one.size or other.size):
        status = f"shape {list(one.shape)} in A, {list(other.shape)} in B"
    elif one.dtype != other.dtype:
        status = f"{one.dtype} in A, {other.dtype} in B"
    if status or other is None:
        return TensorDifference(one.name, status, one.dtype, one.shape, size=one.size)
    dtype = DTYPES[one.dtype]
    if dtype.strings:
        changed = int((one.array() != other.array()).sum())
        status = "changed" if changed else "same"
        return TensorDifference(one.name, status, one.dtype, one.shape, changed, one.size)
    a, b = (np.frombuffer(each.content(), dtype.stored) for each in (one, other))
    return _numeric(one, a, b, dtype)


def _numeric(tensor: StateTensor, a: npt.NDArray[Any], b: npt.NDArray[Any], dtype: Dtype) -> TensorDifference:
    changed, ulps = 0, 0
    absolute = relative = 0.0
    for start in range(0, a.size, _STRETCH):
        x, y = a[start : start + _STRETCH], b[start : start + _STRETCH]
        if x.tobytes() == y.tobytes():
            continue
        bits = np.dtype(f"V{dtype.item_size}")
        odd = np.flatnonzero(x.view(bits) != y.view(bits))
        x, y = x[odd], y[odd]
        changed += odd.size
        largest = _largest_distances(x, y, dtype)
        absolute, relative = max(absolute, largest[0]), max(relative, largest[1])
        if dtype.is_float:
            ulps = max(ulps, _largest_ulps(x, y, dtype))
    return TensorDifference(
        tensor.name,
        "changed" if changed else "same",
        tensor.dtype,
        tensor.shape,
        changed,
        a.size,
        absolute,
        relative,
        ulps if dtype.is_float else None,
    )


def _largest_distances(x: npt.NDArray[Any], y: npt.NDArray[Any], dtype: Dtype) -> tuple[float, float]:
    """Return the largest absolute and relative differences of elements whose bits differ."""
    if dtype.numbers_per_element == 1 and not dtype.is_float and dtype.item_size == 8:
        # In float64, neighbours beyond 2**53 would be the same: the smaller is taken from the larger as integers.
        distance = (np.maximum(x, y).astype(np.uint64) - np.minimum(x, y).astype(np.uint64)).astype(np.float64)
        size = np.abs(x.astype(np.float64))
    else:
        wide = (lambda v: v.astype(np.complex128)) if dtype.numbers_per_element > 1 else (lambda v: _wide(v, dtype))
        with np.errstate(invalid="ignore", over="ignore"):
            p, q = wide(x), wide(y)
            distance, size = np.abs(p - q), np.abs(p)
        distance = np.where((p == q), 0.0, distance)
        distance = np.where(np.isnan(p) & np.isnan(q), 0.0, np.where(np.isnan(distance), np.inf, distance))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shares = np.where(distance == 0, 0.0, distance / size)
    shares = np.where(np.isnan(shares), np.inf, shares)
    return float(distance.max()), float(shares.max())


def _wide(values: npt.NDArray[Any], dtype: Dtype) -> npt.NDArray[np.float64]:
    return dtype.widen(values).astype(np.float64)


def _largest_ulps(x: npt.NDArray[Any], y: npt.NDArray[Any], dtype: Dtype) -> int:
    """Return how many numbers of the dtype lie between two of them at most; -0.0 and 0.0 are one place apart."""
    bits = np.dtype(dtype.bits)
    width = 8 * bits.itemsize
    sign, largest = np.uint64(1 << (width - 1)), np.uint64((1 << width) - 1)

    def places(values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
        """Number the floats in their order, negative ones first."""
        raw = np.ascontiguousarray(values).view(bits).astype(np.uint64)
        return np.asarray(np.where(raw & sign, largest - raw, raw | sign), np.uint64)

    p, q = places(x), places(y)
    return int((np.maximum(p, q) - np.minimum(p, q)).max())
