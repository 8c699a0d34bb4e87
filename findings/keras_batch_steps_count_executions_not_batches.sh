#!/usr/bin/env bash
# With steps_per_execution, the steps of Keras' batch_loss count executions, and those of evaluation_* count batches.
# One expects: one unit for the steps of a run. The documentation calls update_freq a number of batches.
# What happens: 10 batches by 4 at a time have batch_loss at the steps 1, 2 and 3, while evaluation_loss_vs_iterations of the
# same fit is at 10. update_freq=3 writes after every 12 batches, and batch_steps_per_second is the rate of executions.
# Seen with: keras 3.15.1, tensorflow 2.21.0, tensorboard 2.21.0, numpy 2.4.6.
# Consequence: curves of two runs that differ in this setting alone have other steps, and nothing in the event file says so.
# steps_per_execution="auto" changes it during the fit. Log optimizer.iterations to have a step that counts batches.
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


def steps(folder, tag):
    return [point.step for point in EventAccumulator(folder).Reload().Tensors(tag)]


found = {}
data = np.ones((10, 1)), np.ones((10, 1))
for batches, frequency in [(1, 1), (4, 1), (4, 3)]:
    folder = f"{batches}-{frequency}"
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=batches)
    board = keras.callbacks.TensorBoard(folder, update_freq=frequency)
    model.fit(*data, batch_size=1, verbose=0, validation_data=data, callbacks=[board])
    found[folder] = steps(f"{folder}/train", "batch_loss"), int(model.optimizer.iterations)
    if frequency == 1:
        found[folder] += (steps(f"{folder}/validation", "evaluation_loss_vs_iterations"),)
    print(f"steps_per_execution={batches}, update_freq={frequency}: batch_loss at {found[folder][0]}, then", *found[folder][1:])
sys.exit(found != {"1-1": (list(range(1, 11)), 10, [10]), "4-1": ([1, 2, 3], 10, [10]), "4-3": ([3], 10)})
PYTHON
