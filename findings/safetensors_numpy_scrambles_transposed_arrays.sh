#!/usr/bin/env bash
# safetensors.numpy.save writes the elements of an array that is not contiguous in another order.
# One expects: an array comes back equal, or is refused, as safetensors.torch refuses a transposed tensor.
# What happens: it writes the array's memory and its shape. A transposed array, an array in Fortran order, and every second
# element of an array come back with other values, without an error or a warning.
# Seen with: safetensors 0.8.0, numpy 2.4.6.
# Consequence: a state read from such a file is exact and still wrong; call numpy.ascontiguousarray before saving.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
from safetensors.numpy import load, save

rows = np.arange(6.0).reshape(2, 3)
cases = {
    "contiguous": rows,
    "transposed": rows.T,
    "Fortran order": np.asfortranarray(rows),
    "every second": np.arange(10.0)[::2],
}
equal = {}
for name, array in cases.items():
    back = load(save({"x": array}))["x"]
    equal[name] = np.array_equal(array, back)
    print(f"{name}: saved {array.ravel().tolist()}, loaded {back.ravel().tolist()}")
sys.exit(equal != {"contiguous": True, "transposed": False, "Fortran order": False, "every second": False})
PYTHON
