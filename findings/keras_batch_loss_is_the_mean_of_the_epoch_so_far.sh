#!/usr/bin/env bash
# batch_loss in Keras' event files is not the loss of a batch.
# One expects: a point for each batch with its loss, as the tag says. The documentation of TensorBoard's callback speaks of
# losses and metrics that are written after each batch.
# What happens: the callback writes the mean of all batches since the start of the epoch, and so is every other metric. Batches
# with the losses 1, 4, 9, 16 give 1, 2.5, 4.67, 7.5, and the next epoch starts anew.
# Seen with: keras 3.15.1, tensorflow 2.21.0, tensorboard 2.21.0, numpy 2.4.6.
# Consequence: a spike late in an epoch is divided by the number of batches before it, and each epoch begins with a jump.
# The loss of batch k is k times its value less k-1 times the value before.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  keras==3.15.1 tensorflow==2.21.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

import keras
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

inputs, targets = np.ones((4, 1)), np.array([[1.0], [2.0], [3.0], [4.0]])
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
model.compile(keras.optimizers.SGD(0.0), "mse")
losses = [model.test_on_batch(inputs[[row]], targets[[row]]) for row in range(4)]
model.fit(
    inputs,
    targets,
    batch_size=1,
    epochs=2,
    shuffle=False,
    verbose=0,
    callbacks=[keras.callbacks.TensorBoard("logs", update_freq=1)],
)
points = EventAccumulator("logs/train").Reload().Tensors("batch_loss")
written = [round(float(make_ndarray(point.tensor_proto)), 3) for point in points]
print(f"losses of the batches: {losses}; batch_loss: {written}")
sys.exit([losses, written] != [[1.0, 4.0, 9.0, 16.0], [1.0, 2.5, 4.667, 7.5] * 2])
PYTHON
