#!/usr/bin/env bash
# One NaN among the weights makes a histogram of tf.summary without any number in it.
# One expects: a histogram of the other weights, as PyTorch's writer makes, or an error, as NumPy raises.
# What happens: the buckets are made between the minimum and the maximum, so a NaN makes NaN of all their edges. An infinity
# makes all edges but the first infinite, and one bucket of all weights. The weights are gone in both cases.
# Seen with: tensorflow 2.21.0, tensorboard 2.21.0, numpy 2.4.6.
# Consequence: the histograms of the step at which a model breaks, and of all steps after it, say nothing about the weights
# that are still finite. Write tf.boolean_mask(weights, tf.math.is_finite(weights)) and the number of the others.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  tensorflow==2.21.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

weights = np.linspace(-1.0, 1.0, 1000)
with tf.summary.create_file_writer("logs").as_default():
    for step, broken in enumerate([0.0, np.nan, np.inf]):
        tf.summary.histogram("weights", np.append(weights, broken), step)
points = EventAccumulator("logs").Reload().Tensors("weights")
plain, of_nan, of_infinity = (make_ndarray(point.tensor_proto) for point in points)
for name, buckets in {"0": plain, "NaN": of_nan, "infinity": of_infinity}.items():
    edges = np.unique(buckets[:, :2])
    print(f"1000 weights and {name}: {len(edges)} edges, {edges[:3]} …, counts {np.unique(buckets[:, 2])}")
as_seen = [
    np.isfinite(plain).all() and plain[:, 2].sum() == 1001,
    np.isnan(of_nan[:, :2]).all() and not of_nan[:, 2].any(),
    of_infinity[0, 0] == -1.0 and np.isinf(of_infinity[1:, :2]).all(),
]
sys.exit(not all(as_seen))
PYTHON
