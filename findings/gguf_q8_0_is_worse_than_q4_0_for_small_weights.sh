#!/usr/bin/env bash
# GGUF's Q8_0 makes all weights of a block smaller by a quarter, or zero, where Q4_0 keeps them.
# One expects: eight bits are at least as exact as four, up to 1/254 of the largest weight of a block.
# What happens: a block of 32 weights has a scale of float16, the largest weight divided by 127, and the quotients are made
# with the scale before it is rounded. For weights up to 1e-5 the scale is one step of float16, and all 32 come back times
# 0.757; up to 3e-6 all are zero. Q4_0 divides by 8, so its scale is 16 times as large. One infinite weight makes NaN of the 32.
# Seen with: gguf 0.19.0, numpy 2.4.6.
# Consequence: moments of Adam, and biases and adapters that hardly left zero, do not survive this type. Compare the weights
# that come back, not only their differences from the original, or keep such tensors in float32.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gguf==0.19.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

kinds = (Type.Q8_0, Type.Q4_0)
found = {}
for largest in (1e-2, 1e-5, 3e-6):
    weights = (np.linspace(-1, 1, 32, dtype=np.float32) * np.float32(largest))[None]
    back = {kind.name: dequantize(quantize(weights, kind), kind) for kind in kinds}
    ratio = {name: float(np.dot(values[0], weights[0]) / np.dot(weights[0], weights[0])) for name, values in back.items()}
    found[largest] = {name: round(number, 2) for name, number in ratio.items()}
    print(f"weights up to {largest:g} come back times {found[largest]}")
weights = np.ones((1, 32), np.float32)
weights[0, 3] = np.inf
lost = int(np.isnan(dequantize(quantize(weights, Type.Q8_0), Type.Q8_0)).sum())
print(f"a block with one infinity has {lost} NaN afterwards")
q8 = [found[largest]["Q8_0"] for largest in found]
q4 = [found[largest]["Q4_0"] for largest in found]
sys.exit(q8 != [1.0, 0.76, 0.0] or not all(0.9 < number < 1.05 for number in q4) or lost != 32)
PYTHON
