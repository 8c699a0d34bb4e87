#!/usr/bin/env bash
# Reading validation data by a DataLoader without shuffle and without workers changes the training that follows.
# One expects: it draws nothing at random, so the training is the same with and without it.
# What happens: each iterator draws a seed for workers from the global generator, also if there are no workers and
# no sampler needs one. The next dropout, or the next shuffle, is another one.
# Seen with: torch 2.13.0.
# Consequence: to look at predictions more often gives other weights. A recorder must put the state of the generators back
# even if it only reads data; tb2csv's reads them once, and puts it back.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import torch
from torch.utils.data import DataLoader, TensorDataset


def train(*, reads_validation):
    torch.manual_seed(0)
    validation = DataLoader(TensorDataset(torch.arange(8.0)), batch_size=4, shuffle=False, num_workers=0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        model(torch.ones(4, 3)).sum().backward()
        optimizer.step()
        if reads_validation:
            list(validation)
    return model[0].weight


is_same = torch.equal(train(reads_validation=False), train(reads_validation=False))
is_same_with = torch.equal(train(reads_validation=False), train(reads_validation=True))
print(f"two trainings are equal: {is_same}; one that reads validation data is equal: {is_same_with}")
sys.exit((is_same, is_same_with) != (True, False))
PYTHON
