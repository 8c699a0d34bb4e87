#!/usr/bin/env bash
# The Trainer logs the loss 0 if the loss is NaN.
# One expects: NaN in the event file, or what the documentation of the default logging_nan_inf_filter=True says: "the
# average loss of the current logging window".
# What happens: for a loss that is NaN, the Trainer adds to a sum that starts at 0 the mean of that sum. If all losses of
# a window are NaN, the loss is 0; with some, it is less than the mean of the others: 2, 2, 2, NaN gives 1.875.
# Seen with: transformers 5.24.0, accelerate 1.15.0, torch 2.13.0, read with tensorboard 2.21.0.
# Consequence: a training that diverged ends with the best loss of all, in the event file and in train_loss. Give
# logging_nan_inf_filter=False to log what happens.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  transformers==5.24.0 accelerate==1.15.0 torch==2.13.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import math
import os
import sys

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import Trainer, TrainingArguments


class Diverging(torch.nn.Module):
    """Has the loss 2 in its first three batches, and NaN afterwards."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.batches = 0

    def forward(self, x):
        self.batches += 1
        return {"loss": (self.weight * x).mean() + (2.0 if self.batches <= 3 else math.nan)}


def logged(name, **options):
    os.environ["TENSORBOARD_LOGGING_DIR"] = name
    arguments = TrainingArguments(
        output_dir="out",
        max_steps=8,
        learning_rate=0.0,
        per_device_train_batch_size=1,
        use_cpu=True,
        save_strategy="no",
        report_to=["tensorboard"],
        **options,
    )
    Trainer(Diverging(), arguments, train_dataset=[{"x": torch.zeros(1)}] * 8).train()
    events = EventAccumulator(name).Reload()
    return [(point.step, point.value) for point in events.Scalars("train/loss")]


found = {
    "every step": logged("steps", logging_steps=1),
    "every 4 steps": logged("windows", logging_steps=4),
    "every 4 steps, no filter": logged("unfiltered", logging_steps=4, logging_nan_inf_filter=False),
}
for name, points in found.items():
    print(f"{name}: {points}", flush=True)
expected = {
    "every step": [(step, 2.0 if step <= 3 else 0.0) for step in range(1, 9)],
    "every 4 steps": [(4, 1.875), (8, 0.0)],
    "every 4 steps, no filter": [(4, math.nan), (8, math.nan)],
}
sys.exit(str(found) != str(expected))
PYTHON
