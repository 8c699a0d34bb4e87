#!/usr/bin/env bash
# The mean of tensorboard-reducer leaves out runs whose value is NaN, and so becomes better when a run diverges.
# One expects: NaN, as NumPy's mean gives, because its documentation calls the reductions those of NumPy; or a warning.
# What happens: the reductions are those of pandas, which skip NaN. The mean of the losses 1, 1 and NaN is 1, and the
# deviation is 0. Nothing says how many runs a point has.
# Seen with: tensorboard-reducer 0.4.0, pandas 3.1.1, tensorboardX 2.6.5, tensorboard 2.21.0.
# Consequence: a method that diverges in two of three runs looks as good as its luckiest run. Count the finite values of
# each step next to the mean.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  tensorboard-reducer==0.4.0 pandas==3.1.1 tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import math
import sys

import numpy as np
import tensorboard_reducer
from tensorboardX import SummaryWriter

losses = {"a": [4.0, 1.0, 1.0], "b": [4.0, 1.0, math.nan], "c": [4.0, math.nan, math.nan]}
for run, values in losses.items():
    with SummaryWriter(f"logs/{run}") as writer:
        for step, value in enumerate(values):
            writer.add_scalar("loss", value, step)
runs = tensorboard_reducer.load_tb_events([f"logs/{run}" for run in losses])
reduced = {
    operation: tags["loss"].tolist()
    for operation, tags in tensorboard_reducer.reduce_events(runs, ["mean", "std", "max"]).items()
}
for operation, numbers in reduced.items():
    of_numpy = getattr(np, operation)(list(losses.values()), axis=0).tolist()
    print(f"{operation} of three runs: {numbers}; NumPy: {of_numpy}")
deviations = reduced["std"]
as_seen = reduced["mean"] == [4.0, 1.0, 1.0] == reduced["max"] and deviations[:2] == [0.0, 0.0]
sys.exit(not as_seen or not math.isnan(deviations[2]))
PYTHON
