#!/usr/bin/env bash
# NumPy leaves an array of bfloat16 unsorted if a NaN is in it.
# One expects: NaN is last and the numbers are in order, as for float16, float32 and float64.
# What happens: for the types of ml_dtypes, NumPy sorts by a comparison to which NaN is neither less nor greater, so that
# numbers before and after the NaN are not compared. np.sort gives an array that is not sorted, np.unique gives a number
# twice, and np.searchsorted misses numbers that are there.
# Seen with: ml_dtypes 0.6.0, numpy 2.4.6.
# Consequence: quantiles and distinct values of a tensor with one NaN are wrong, without an error. Make float32 of it first.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.6.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import ml_dtypes
import numpy as np

values = [3.0, 1.0, np.nan, 2.0, 1.0]
found = {}
for dtype in (np.float16, ml_dtypes.bfloat16):
    array = np.array(values, dtype)
    in_order = np.sort(array)
    found[array.dtype.name] = [float(value) for value in in_order], [float(value) for value in np.unique(array)]
    print(f"{array.dtype.name}: sorted {found[array.dtype.name][0]}, distinct {found[array.dtype.name][1]}")
right = str(([1.0, 1.0, 2.0, 3.0, np.nan], [1.0, 2.0, 3.0, np.nan]))
in_order, distinct = found["bfloat16"]
numbers = [value for value in in_order if value == value]
sys.exit(str(found["float16"]) != right or numbers == sorted(numbers) or distinct.count(1.0) == 1)
PYTHON
