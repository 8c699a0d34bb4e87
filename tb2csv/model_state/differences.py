"""Comparison of two model states, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.match_tensors import fit
from tb2csv.model_state.restoring import state_of
from tb2csv.size_limits import DEFAULT_MAX_EXPANSION

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.model_state.dtypes import Dtype
    from tb2csv.model_state.tensors import StateTensor

#: The status of a value that cannot be stored in a table.
NOT_COMPARED: Final = "not compared"

#: The number of elements compared at once; bounds the memory of float64 copies.
_ELEMENTS_PER_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """The result of comparing one tensor of state A with its counterpart in state B.

    ``status`` is ``same``, ``changed``, ``only in A``, ``only in B``, or a description of different shapes or
    dtypes. A value that cannot be stored in a table is ``not compared``; its ``dtype`` is the name of its type.
    ``max_abs`` and ``max_rel`` are None if the elements are not numbers; ``max_rel`` is relative to A's element, and
    infinite if that is 0. ``max_ulps`` is the largest distance in units in the last place, None unless the dtype is a
    float. NaNs with the same bits are equal; a number and a NaN differ by infinity.
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


def diff_states(first: Any, second: Any, *, max_expansion: int = DEFAULT_MAX_EXPANSION) -> list[TensorDifference]:
    """Compare two states: live objects, model files or CSV files, in any combination.

    Tensors are matched by the same rules as in a restore. Returns a difference for each tensor in the order of the
    first state, then tensors that only the second has, then values of both that cannot be compared. ``max_expansion``
    is that of ``state_of``. Raises StateError if one of them cannot be read.
    """
    left, right = (state_of(each, max_expansion=max_expansion) for each in (first, second))
    matches = fit(left, right.tensors, {})
    right_names = {tensor.name: name for name, tensor in matches.assigned.items()}
    unmatched = {tensor.name: tensor for tensor in right.tensors}
    differences = []
    for tensor in left.tensors:
        counterpart = unmatched.pop(right_names.get(tensor.name, tensor.name), None)
        differences.append(_difference(tensor, counterpart))
    differences += [
        TensorDifference(tensor.name, "only in B", tensor.dtype, tensor.shape, size=tensor.size)
        for tensor in unmatched.values()
    ]
    opaque = {**right.left_out, **left.left_out}
    return differences + [TensorDifference(name, NOT_COMPARED, kind) for name, kind in opaque.items()]


def _difference(left: StateTensor, right: StateTensor | None) -> TensorDifference:
    status = ""
    if right is None:
        status = "only in A"
    elif left.shape != right.shape and (left.size or right.size):
        status = f"shape {list(left.shape)} in A, {list(right.shape)} in B"
    elif left.dtype != right.dtype:
        status = f"{left.dtype} in A, {right.dtype} in B"
    if status or right is None:
        return TensorDifference(left.name, status, left.dtype, left.shape, size=left.size)
    dtype = DTYPES[left.dtype]
    if not dtype.is_quantity:
        changed = int((left.array() != right.array()).sum())
        status = "changed" if changed else "same"
        return TensorDifference(left.name, status, left.dtype, left.shape, changed, left.size)
    elements, right_elements = (np.frombuffer(tensor.content(), dtype.stored) for tensor in (left, right))
    return _numeric_difference(left, elements, right_elements, dtype)


def _numeric_difference(
    tensor: StateTensor, left: npt.NDArray[Any], right: npt.NDArray[Any], dtype: Dtype
) -> TensorDifference:
    changed, max_ulps = 0, 0
    max_abs = max_rel = 0.0
    for start in range(0, left.size, _ELEMENTS_PER_BLOCK):
        first, second = left[start : start + _ELEMENTS_PER_BLOCK], right[start : start + _ELEMENTS_PER_BLOCK]
        if first.tobytes() == second.tobytes():
            continue
        bits = np.dtype(f"V{dtype.item_size}")
        changed_rows = np.flatnonzero(first.view(bits) != second.view(bits))
        first, second = first[changed_rows], second[changed_rows]
        changed += changed_rows.size
        block_abs, block_rel = _largest_distances(first, second, dtype)
        max_abs, max_rel = max(max_abs, block_abs), max(max_rel, block_rel)
        if dtype.is_float:
            max_ulps = max(max_ulps, _largest_ulps(first, second, dtype))
    return TensorDifference(
        tensor.name,
        "changed" if changed else "same",
        tensor.dtype,
        tensor.shape,
        changed,
        left.size,
        max_abs,
        max_rel,
        max_ulps if dtype.is_float else None,
    )


def _largest_distances(first: npt.NDArray[Any], second: npt.NDArray[Any], dtype: Dtype) -> tuple[float, float]:
    """Return the largest absolute and relative differences of elements whose bits differ."""
    if dtype.numbers_per_element == 1 and not dtype.is_float and dtype.item_size == 8:
        # float64 would round integers beyond 2**53, so the difference is taken between integers.
        larger, smaller = np.maximum(first, second), np.minimum(first, second)
        distance = (larger.astype(np.uint64) - smaller.astype(np.uint64)).astype(np.float64)
        size = np.abs(first.astype(np.float64))
    else:
        left, right = _to_numbers(first, dtype), _to_numbers(second, dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            distance, size = np.abs(left - right), np.abs(left)
        distance = np.where((left == right), 0.0, distance)
        distance = np.where(np.isnan(left) & np.isnan(right), 0.0, np.where(np.isnan(distance), np.inf, distance))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shares = np.where(distance == 0, 0.0, distance / size)
    shares = np.where(np.isnan(shares), np.inf, shares)
    return float(distance.max()), float(shares.max())


def _to_numbers(elements: npt.NDArray[Any], dtype: Dtype) -> npt.NDArray[Any]:
    """Return stored elements as complex128 or float64."""
    if dtype.numbers_per_element > 1:
        return elements.astype(np.complex128)
    return dtype.widen(elements).astype(np.float64)


def _largest_ulps(first: npt.NDArray[Any], second: npt.NDArray[Any], dtype: Dtype) -> int:
    """Return the largest distance in ULPs; -0.0 and 0.0 are 1 apart."""
    bits = np.dtype(dtype.bits)
    width = 8 * bits.itemsize
    sign, all_ones = np.uint64(1 << (width - 1)), np.uint64((1 << width) - 1)

    def ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
        """Number the floats in their order, negative ones first."""
        raw = np.ascontiguousarray(values).view(bits).astype(np.uint64)
        return np.asarray(np.where(raw & sign, all_ones - raw, raw | sign), np.uint64)

    left, right = ranks(first), ranks(second)
    return int((np.maximum(left, right) - np.minimum(left, right)).max())
