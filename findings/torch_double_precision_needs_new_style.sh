#!/usr/bin/env bash
# SummaryWriter.add_scalar(double_precision=True) stores a float32 unless new_style=True is given too.
# One expects: the argument alone gives a float64, as its name says, or the call is refused.
# What happens: without new_style the value becomes simple_value, a float32: 0.1 comes back as 0.10000000149011612.
# Seen with: torch 2.13.0, tensorboard 2.21.0.
# Consequence: the digits are lost when they are written; no reader can bring them back.
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
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard import SummaryWriter

writer = SummaryWriter("logs")
writer.add_scalar("old", 0.1, 0, double_precision=True)
writer.add_scalar("new", 0.1, 0, double_precision=True, new_style=True)
writer.close()
events = EventAccumulator("logs").Reload()
old = events.Scalars("old")[0].value
new = make_ndarray(events.Tensors("new")[0].tensor_proto).item()
print(f"double_precision=True: {old!r}; with new_style=True: {new!r}")
sys.exit((old, new) != (0.10000000149011612, 0.1))
PYTHON
