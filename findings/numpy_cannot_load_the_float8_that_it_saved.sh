#!/usr/bin/env bash
# numpy.save writes an array of float8_e5m2 to a file that numpy.load refuses.
# One expects: the array comes back, or its bytes do without their type, as for bfloat16 and float8_e4m3fn; or it is not
# saved.
# What happens: the header names the type <f1, a float of one byte, which NumPy does not have. Loading raises ValueError,
# also after ml_dtypes is imported, and numpy.savez hides the array in an archive whose other arrays can be read. The bytes
# are in the file.
# Seen with: ml_dtypes 0.6.0, numpy 2.4.6.
# Consequence: an archive of weights lacks its float8 tensors only when it is read. Save a view as uint8 instead.
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

arrays = {
    name: np.array([1, 1.5, -2], getattr(ml_dtypes, name)) for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
}
np.savez("weights.npz", **arrays)
found = {}
with np.load("weights.npz") as archive:
    for name, array in arrays.items():
        try:
            loaded = archive[name]
            found[name] = str(loaded.dtype), bool((loaded.view(array.dtype) == array).all())
        except ValueError as error:
            found[name] = str(error)
print(f"dtype, and whether the bytes are right, or the error: {found}")
refused = "descr is not a valid dtype descriptor: '<f1'"
sys.exit(found != {"bfloat16": ("|V2", True), "float8_e4m3fn": ("|V1", True), "float8_e5m2": refused})
PYTHON
