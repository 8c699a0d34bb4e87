#!/usr/bin/env bash
# tensorboard-reducer checks that runs have the same steps by their number alone, and drops steps that differ.
# One expects: strict_steps=True, the default, refuses runs whose steps differ, as it refuses runs of different length.
# What happens: runs with the steps 0, 10, 20 and 5, 15, 20 are accepted, and only the step 20 is left, without a word.
# Without a common step, the result is a table without rows.
# Seen with: tensorboard-reducer 0.4.0, pandas 3.1.1, tensorboardX 2.6.5, tensorboard 2.21.0.
# Consequence: runs with another batch size or another first step are reduced to the few steps that coincide. Compare the
# number of rows with that of the log, or interpolate the runs to common steps before.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  tensorboard-reducer==0.4.0 pandas==3.1.1 tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

from tensorboard_reducer import load_tb_events
from tensorboardX import SummaryWriter

logs = {"a": [0, 10, 20], "b": [5, 15, 20], "c": [1, 2, 3], "longer": [0, 10, 20, 30]}
for run, steps in logs.items():
    with SummaryWriter(f"logs/{run}") as writer:
        for step in steps:
            writer.add_scalar("loss", 1.0, step)


def steps_of(*runs):
    try:
        return load_tb_events([f"logs/{run}" for run in runs])["loss"].index.tolist()
    except ValueError as error:
        return str(error).split(" for ")[0]


found = {runs: steps_of(*runs) for runs in [("a", "b"), ("a", "c"), ("a", "longer")]}
for runs, steps in found.items():
    print(f"runs with the steps {' and '.join(str(logs[run]) for run in runs)}: {steps}")
sys.exit(list(found.values()) != [[20], [], "Unequal number of steps [3, 4]"])
PYTHON
