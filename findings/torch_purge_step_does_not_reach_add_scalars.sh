#!/usr/bin/env bash
# purge_step of SummaryWriter removes what a crashed run wrote with add_scalar, and keeps what it wrote with add_scalars.
# One expects: after a resume with purge_step=3, no reader shows the old points of the steps from 3 on.
# What happens: add_scalars makes a writer of its own for each curve, in a sub-run, and does not pass purge_step on. The
# curves of the sub-runs have the steps 3, 4, 5 twice, also in readers that follow the mark. tensorboardX does the same.
# Seen with: torch 2.13.0, tensorboardX 2.6.5, tensorboard 2.21.0, numpy 2.4.6.
# Consequence: the curves that are compared in one chart are those that keep the abandoned values. tb2csv's
# --restarts purge follows the mark and so keeps them; --restarts supersede removes them.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys
import time

import tensorboardX
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils import tensorboard


def steps(folder, tag):
    return [point.step for point in EventAccumulator(folder).Reload().Scalars(tag)]


found = {}
for library, sub_run in ((tensorboard, "loss_train"), (tensorboardX, "loss/train")):
    name = library.__name__
    for first, last in ((0, 6), (3, 6)):
        with library.SummaryWriter(name, purge_step=first or None) as writer:
            for step in range(first, last):
                writer.add_scalar("accuracy", 1.0, step)
                writer.add_scalars("loss", {"train": 1.0}, step)
        time.sleep(1.1)
    found[name] = steps(name, "accuracy"), steps(f"{name}/{sub_run}", "loss")
    print(f"{name}: add_scalar {found[name][0]}, add_scalars {found[name][1]}")
once, twice = [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 3, 4, 5]
sys.exit(list(found.values()) != [(once, twice)] * 2)
PYTHON
