#!/usr/bin/env bash
# Some functions of keras.ops make float32 of float64, and which ones do depends on the backend.
# One expects: numbers of 64 bits in, numbers of 64 bits out, if floatx is float64 and JAX has 64 bits enabled.
# What happens: on JAX, tanh, the trigonometric and hyperbolic functions, var, norm, average and floor return float32; on
# PyTorch, var, norm, average, median, prod, cumsum and floor; on NumPy, also exp, log, sqrt and mean. A Dense layer with
# dtype="float64" and activation="tanh" returns float32 on JAX and NumPy, without a warning, and float64 on PyTorch.
# Seen with: keras 3.15.1, jax 0.10.2, torch 2.13.0, numpy 2.4.6.
# Consequence: a check of gradients by differences in float64 fails for such layers although the gradients are right;
# tests take the activations of JAX itself.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 torch==2.13.0 numpy==2.4.6
cd "$work"
cat >dtypes.py <<'PYTHON'
import sys

import keras
import numpy as np

keras.config.set_floatx("float64")
names = "tanh sin exp log sqrt mean var norm average floor median prod cumsum sum max".split()
numbers = keras.ops.convert_to_tensor(np.linspace(0.1, 0.9, 5), dtype="float64")
short = [name for name in names if "float32" in str(getattr(keras.ops, name)(numbers).dtype)]
layer = keras.layers.Dense(3, activation="tanh", dtype="float64")
output = str(layer(np.ones((2, 2))).dtype).removeprefix("torch.")
print(keras.backend.backend(), *short, "| Dense:", output)
expected = {
    "jax": ("tanh sin var norm average floor", "float32"),
    "torch": ("var norm average floor median prod cumsum", "float64"),
    "numpy": ("tanh sin exp log sqrt mean var norm average floor median prod cumsum", "float32"),
}
sys.exit((" ".join(short), output) != expected[keras.backend.backend()])
PYTHON
for backend in jax torch numpy; do
    KERAS_BACKEND=$backend JAX_ENABLE_X64=1 venv/bin/python dtypes.py
done
