#!/usr/bin/env bash
# The bytes of an int4 array of ml_dtypes are not the numbers as int8: -1 is the byte 0x0F.
# One expects: an int4 has a byte of its own, so a view as int8 shows the same numbers, as a view of int8 as uint8 does
# for small ones.
# What happens: the upper four bits are zeros, so a view of -1 is 15; arrays of JAX come to NumPy in this form.
# Seen with: ml_dtypes 0.5.4, jax 0.10.2.
# Consequence: a table that is written from the bytes has 15 for -1, and reads back without an error; convert with
# astype(int8).
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 ml_dtypes==0.5.4 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
import jax.numpy as jnp
import numpy as np

numbers = np.asarray(jnp.array([-8, -1, 7], "int4"))
viewed, converted = numbers.view(np.int8).tolist(), numbers.astype(np.int8).tolist()
print(f"numbers: {numbers}; viewed as int8: {viewed}; converted: {converted}")
sys.exit((viewed, converted) != ([8, 15, 7], [-8, -1, 7]))
PYTHON
