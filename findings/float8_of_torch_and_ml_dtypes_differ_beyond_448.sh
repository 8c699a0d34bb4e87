#!/usr/bin/env bash
# PyTorch makes 448 of a number that is too large for float8_e4m3fn, and of infinity; ml_dtypes makes NaN of both.
# One expects: the same type, which has no infinity, has one rule for what is too large, whichever library converts.
# What happens: PyTorch saturates, and so an infinite weight becomes an ordinary number. ml_dtypes, which NumPy, JAX and
# TensorFlow use, gives NaN from 464.01 on. Neither raises an error.
# Seen with: torch 2.13.0, ml_dtypes 0.6.0, numpy 2.4.6.
# Consequence: a copy of a checkpoint in float8 shows by its NaN that numbers were lost, or does not, depending on the
# library that made it.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.6.0 torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import ml_dtypes
import numpy as np
import torch

numbers = [448.0, 463.0, 466.0, 1000.0, float("-inf")]
by_torch = torch.tensor(numbers).to(torch.float8_e4m3fn).float().tolist()
by_ml_dtypes = np.array(numbers).astype(ml_dtypes.float8_e4m3fn).astype(np.float32).tolist()
print(f"{numbers}\nPyTorch: {by_torch}\nml_dtypes: {by_ml_dtypes}")
nan = float("nan")
sys.exit(str((by_torch, by_ml_dtypes)) != str(([448.0, 448.0, 448.0, 448.0, -448.0], [448.0, 448.0, nan, nan, nan])))
PYTHON
