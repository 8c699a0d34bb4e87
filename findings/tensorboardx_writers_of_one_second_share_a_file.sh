#!/usr/bin/env bash
# Two writers of tensorboardX that are created in the same folder within a second write to the same file.
# One expects: two files, as PyTorch's SummaryWriter and TensorFlow make, or an error.
# What happens: the name of the file has the second and the host, and no process. The second writer empties the file of the
# first, and both write from its start. What is longer wins; here all values of the first writer are gone, and every
# checksum is right.
# Seen with: tensorboardX 2.6.5, read with tensorboard 2.21.0; torch 2.13.0 for comparison. An issue of September 2026 is open.
# Consequence: a training with several processes or a writer each for training and validation loses values without damage
# that a reader could report.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  tensorboardX==2.6.5 torch==2.13.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys
import time

import tensorboardX
import torch.utils.tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

seen = {}
for library in (torch.utils.tensorboard, tensorboardX):
    folder = library.__name__
    while time.time() % 1 > 0.5:
        time.sleep(0.1)
    writers = {tag: library.SummaryWriter(folder) for tag in ("train", "valid")}
    for step in range(3):
        for tag, writer in writers.items():
            writer.add_scalar(tag, step, step)
    for writer in writers.values():
        writer.close()
    tags = EventAccumulator(folder).Reload().Tags()["scalars"]
    seen[folder] = len(os.listdir(folder)), sorted(tags)
    print(f"{folder}: {seen[folder][0]} files with the tags {seen[folder][1]}")
sys.exit(seen != {"torch.utils.tensorboard": (2, ["train", "valid"]), "tensorboardX": (1, ["valid"])})
PYTHON
