#!/usr/bin/env bash
# accelerate writes float64 numbers of NumPy to TensorBoard, and drops float32 numbers and integers of NumPy.
# One expects: all numbers are written, as Python's are and as tensors of PyTorch are, or the call is refused.
# What happens: the tracker asks whether the value is a float or an int of Python. np.float64 is a subclass of float;
# np.float32 and np.int64 are neither. Their tags are not in the event file, and nothing says so.
# Seen with: accelerate 1.15.0, torch 2.13.0, numpy 2.4.6, read with tensorboard 2.21.0.
# Consequence: the mean of losses in float32 is not in the log, and the same mean in float64 is. The reader cannot mend it.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  accelerate==1.15.0 torch==2.13.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import torch
from accelerate import Accelerator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

losses = [0.5, 0.25]
values = {
    "float": 0.375,
    "tensor": torch.tensor(losses).mean(),
    "float64": np.array(losses).mean(),
    "float32": np.array(losses, np.float32).mean(),
    "int64": np.int64(3),
}
accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir="logs")
accelerator.init_trackers("run")
accelerator.log(values, step=1)
accelerator.end_training()
written = set(EventAccumulator("logs/run").Reload().Tags()["scalars"])
print(f"logged: {list(values)}; in the event file: {sorted(written)}")
sys.exit(written != {"float", "tensor", "float64"})
PYTHON
