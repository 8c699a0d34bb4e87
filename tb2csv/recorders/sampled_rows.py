"""The rows of the data whose predictions are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tb2csv.recorders.recording_plan import interval

if TYPE_CHECKING:
    import numpy.typing as npt


def sampled_rows(count: int, sample_size: int | None, seed: int) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows of a sample, in their order: all ``count`` of them if ``sample_size`` is None.

    The same seed gives the same rows. Raises RecorderError if ``sample_size`` is not positive.
    """
    size = count if sample_size is None else interval("sample_size", sample_size)
    if size >= count:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, size, replace=False)).astype(np.int64)
