#!/usr/bin/env bash
# TensorBoard has two event accumulators, and they disagree on a run that PyTorch resumed with purge_step.
# One expects: the class that scripts use and the class that the server uses show the same points.
# What happens: event_accumulator removes the steps that were written again, plugin_event_accumulator ignores the first
# session start of a run, and PyTorch writes only one: 8 points against 13.
# Seen with: tensorboard 2.21.0, torch 2.13.0.
# Consequence: "as TensorBoard shows it" is not one answer; a tool must say which rule it follows.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
import warnings

warnings.simplefilter("ignore")
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from torch.utils.tensorboard import SummaryWriter

first = SummaryWriter("logs", filename_suffix=".first")
for step in range(10):
    first.add_scalar("loss", step, step)
first.close()
resumed = SummaryWriter("logs", purge_step=5, filename_suffix=".resumed")
for step in range(5, 8):
    resumed.add_scalar("loss", 100 + step, step)
resumed.close()
scripts = event_accumulator.EventAccumulator("logs", size_guidance={"scalars": 0}).Reload()
server = plugin_event_accumulator.EventAccumulator("logs", tensor_size_guidance={"scalars": 0}).Reload()
counts = len(scripts.Scalars("loss")), len(server.Tensors("loss"))
print(f"event_accumulator: {counts[0]} points, plugin_event_accumulator: {counts[1]}")
sys.exit(counts != (8, 13))
PYTHON
