"""Statistics that JAX computes, compared with NumPy's."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tb2csv.recorders.tensor_statistics import array_statistics

jax = pytest.importorskip("jax")

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "normal": RANDOM.normal(size=(30, 70)),
    "small": np.full(77, 1e-30),
    "large": 1e30 * RANDOM.normal(size=99),
    "offset": 1e4 + 1e-2 * RANDOM.normal(size=500),
    "outlier": np.array([1e6, *RANDOM.normal(size=500)]),
    "nan": np.array([1, np.nan, 0, 3]),
    "infinite": np.array([-np.inf, 2, 0]),
    "both": np.array([np.inf, -np.inf, 1]),
    "empty": np.zeros((0, 4)),
    "scalar": np.array(3.5),
    "zeros": np.array([-0.0, 0.0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16], ids=lambda each: each.__name__)
def test_statistics_are_those_of_numpy(dtype: type) -> None:
    from tb2csv.recorders.jax_statistics import statistics_of

    with np.errstate(all="ignore"):
        arrays: list[Any] = [each.astype(dtype) for each in ARRAYS.values()]
        arrays += [RANDOM.integers(-9, 9, 100), RANDOM.integers(0, 2, 9).astype(bool)]
        arrays = [each.astype(np.int32) if each.dtype == np.int64 else each for each in arrays]
        found = jax.jit(statistics_of)([jax.numpy.asarray(each) for each in arrays])
        np.testing.assert_array_equal(found, array_statistics(arrays))
