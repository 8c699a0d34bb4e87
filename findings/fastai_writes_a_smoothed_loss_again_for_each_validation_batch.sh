#!/usr/bin/env bash
# train_loss of fastai's TensorBoardCallback is a smoothed loss, and each batch of the validation writes it once more.
# One expects: one point for each step of the training, with the loss of its batch, and none during the validation.
# What happens: the callback writes after every batch of any kind, at the step of the training, which stays. What it writes is
# the mean with exponential weights over all batches of the fit. The losses 1, 4, 9, 16 are 1, 2.52, 4.72, 7.63, and four
# validation batches write 7.63 and the learning rate four more times at the last step.
# Seen with: fastai 2.8.12, torch 2.13.0, torchvision 0.28.0, tensorboard 2.21.0, numpy 2.4.6.
# Consequence: the last step of each epoch has as many equal rows as the validation has batches, and weighs as much in a mean.
# Keep one row of a step. The losses themselves are in no log; a callback of one's own has to write learn.loss.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  fastai==2.8.12 torch==2.13.0 torchvision==0.28.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

import torch
from fastai.callback.tensorboard import TensorBoardCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.optimizer import SGD
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

batches = torch.utils.data.TensorDataset(torch.ones(4, 1), torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
model = torch.nn.Linear(1, 1, bias=False)
torch.nn.init.zeros_(model.weight)
loaders = DataLoaders(DataLoader(batches, 1, num_workers=0), DataLoader(batches, 1, num_workers=0))
learner = Learner(loaders, model, loss_func=torch.nn.MSELoss(), opt_func=SGD)
with learner.no_logging(), learner.no_bar():
    learner.fit(1, lr=0.0, cbs=TensorBoardCallback("logs", trace_model=False, log_preds=False))
events = EventAccumulator("logs").Reload()
found = {tag: [(point.step, round(point.value, 2)) for point in events.Scalars(tag)] for tag in ("train_loss", "lr_0")}
print("losses of the batches: 1, 4, 9, 16")
for tag, points in found.items():
    print(f"{tag}: {points}")
smoothed = [(1, 1.0), (2, 2.52), (3, 4.72), (4, 7.63)]
sys.exit(found["train_loss"] != smoothed + [(4, 7.63)] * 4 or [step for step, _ in found["lr_0"]] != [1, 2, 3] + [4] * 5)
PYTHON
