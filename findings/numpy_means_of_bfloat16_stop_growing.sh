#!/usr/bin/env bash
# NumPy adds an array of bfloat16 up in bfloat16, so that the mean of a thousand ones is a quarter.
# One expects: 1, as NumPy gives for float16, whose sums it makes in float32, and PyTorch and JAX for bfloat16.
# What happens: NumPy's own exception for float16 does not cover the types of ml_dtypes, which JAX, TensorFlow and
# safetensors use for their arrays in NumPy. The sum stops at 256, because 257 is not a bfloat16. The mean, the standard
# deviation and the norm follow it, and nothing warns.
# Seen with: ml_dtypes 0.6.0, numpy 2.4.6.
# Consequence: statistics of weights and gradients in bfloat16 are wrong from 256 elements on. tb2csv makes float32 or
# float64 of such arrays before it computes.
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

ones = np.ones(1000)
found = {}
for dtype in (np.float16, ml_dtypes.bfloat16):
    array = ones.astype(dtype)
    found[array.dtype.name] = float(array.mean()), round(float(array.std()), 2), float(np.square(array).sum())
print("mean, standard deviation and sum of squares of 1000 ones:", found)
sys.exit(found != {"float16": (1.0, 0.0, 1000.0), "bfloat16": (0.255859375, 0.5, 256.0)})
PYTHON
