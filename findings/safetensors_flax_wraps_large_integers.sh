#!/usr/bin/env bash
# safetensors.flax gives other integers back than the file has, without a word.
# One expects: the integers of the file, or an error if JAX has no 64-bit numbers, which is its default.
# What happens: int64 becomes int32 by its lower half: 2**40 + 3 is 3, and a uint64 is cut in the same way. float64 becomes
# float32, and 1e300 infinity; for this alone NumPy warns of an overflow. With jax_enable_x64 all are exact.
# Seen with: safetensors 0.8.0, jax 0.10.2, flax 0.12.8, numpy 2.4.6.
# Consequence: a counter of tokens or steps beyond 2**31 is a small or a negative number after loading. tb2csv reads the
# bytes of the file, in the dtype that it names.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 jax==0.10.2 flax==0.12.8 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
import warnings

import jax
import numpy as np
import safetensors.flax
import safetensors.numpy

numbers = {"tokens": np.array([2**40 + 3, 3 * 2**31]), "seed": np.array([2**63 + 1], np.uint64)}
content = safetensors.numpy.save(numbers)
with warnings.catch_warnings(record=True) as messages:
    warnings.simplefilter("always")
    narrow = {name: array.tolist() for name, array in safetensors.flax.load(content).items()}
jax.config.update("jax_enable_x64", True)
wide = {name: array.tolist() for name, array in safetensors.flax.load(content).items()}
print(f"saved {[array.tolist() for array in numbers.values()]}")
print(f"loaded {narrow}, warnings: {len(messages)}; with 64 bits {wide}")
exact = {name: array.tolist() for name, array in numbers.items()}
sys.exit((narrow, len(messages), wide) != ({"tokens": [3, -(2**31)], "seed": [1]}, 0, exact))
PYTHON
