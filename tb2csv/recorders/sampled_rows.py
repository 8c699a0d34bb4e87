"""The rows of the data whose predictions are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tb2csv.recorders.arguments import positive

if TYPE_CHECKING:
    import numpy.typing as npt


def sampled_rows(count: int, sample_size: int | None, seed: int) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows of a sample, in their order: all ``count`` of them if ``sample_size`` is None.

    The same seed gives the same rows. Raises RecorderError if ``sample_size`` is not positive.
    """
    size = count if sample_size is None else sample_rows(sample_size)
    if size >= count:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, size, replace=False)).astype(np.int64)


def sample_rows(sample_size: int) -> int:
    """Return ``sample_size``, if it is not None. Raises RecorderError if it is not positive."""
    return positive("sample_size", sample_size, "a number of rows", ", or None for all")
