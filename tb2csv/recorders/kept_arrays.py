"""Arrays that a train step hands to Python, kept until they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


class KeptArrays:
    """Copies of arrays by step and name, because TensorFlow reuses the memory of what it hands over."""

    def __init__(self) -> None:
        """Start without arrays."""
        self._waiting: list[tuple[int, str, npt.NDArray[Any]]] = []
        # Arrays that were written, by name. They are reused, because new memory costs more than the copy.
        self._spare: dict[str, npt.NDArray[Any]] = {}

    def add(self, step: int, name: str, array: Any, *, divisor: Any = 1) -> None:
        """Keep a copy of an array, divided by a number."""
        array = np.asarray(array)
        kept = self._spare.pop(name, None)
        if kept is None or (kept.shape, kept.dtype) != (array.shape, array.dtype):
            kept = np.empty_like(array)
        if divisor == 1:
            np.copyto(kept, array)
        else:
            np.divide(array, divisor, out=kept)
        self._waiting.append((step, name, kept))

    def take(self) -> list[tuple[int, str, npt.NDArray[Any]]]:
        """Return step, name and array of all that were added since the last call, in their order."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def reuse(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back arrays that are written, by name; later ones may overwrite them."""
        self._spare.update(arrays)
