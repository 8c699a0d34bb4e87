#!/usr/bin/env bash
# epoch_learning_rate in Keras' event files is that of the epoch or of the next one, by the order of the callbacks.
# One expects: the learning rate of an epoch at the step of this epoch, next to the loss that it led to.
# What happens: the callback reads the optimizer at the end of the epoch. ReduceLROnPlateau changes it at the same time, and
# whichever is first in the list comes first. The rates 1, 1, 0.5, 0.25 of four epochs are logged as 1, 0.5, 0.25, 0.125 if
# ReduceLROnPlateau is before TensorBoard.
# Seen with: keras 3.15.1, tensorflow 2.21.0, tensorboard 2.21.0, numpy 2.4.6.
# Consequence: a jump of the loss and the cut of the learning rate that caused it are one step apart, and runs of two scripts
# differ by the order of a list. Put TensorBoard first.
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


class Used(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


found = {}
for order in ("TensorBoard first", "TensorBoard last"):
    used = Used()
    board = keras.callbacks.TensorBoard(order)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=1e9)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    callbacks = [used, board, plateau] if order == "TensorBoard first" else [used, plateau, board]
    model.fit(np.ones((1, 1)), np.ones((1, 1)), epochs=4, verbose=0, callbacks=callbacks)
    points = EventAccumulator(f"{order}/train").Reload().Tensors("epoch_learning_rate")
    found[order] = used.rates, [float(make_ndarray(point.tensor_proto)) for point in points]
    print(f"{order}: used {used.rates}, in the event file {found[order][1]}")
used = [1.0, 1.0, 0.5, 0.25]
sys.exit(found != {"TensorBoard first": (used, used), "TensorBoard last": (used, [1.0, 0.5, 0.25, 0.125])})
PYTHON
