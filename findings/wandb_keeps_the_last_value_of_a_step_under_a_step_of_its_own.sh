#!/usr/bin/env bash
# W&B copies the last value of each step of a TensorBoard log alone, under a step of its own.
# One expects: wandb.tensorboard.patch copies each point, with its step as the step of the run.
# What happens: values of a tag at one step are one row, which has the last of them. The row's _step counts rows; the step
# of the log is a metric named global_step. The steps 0, 10, 10, 5 are the rows 0, 1, 2, without the first value of 10.
# Seen with: wandb 0.31.0 in offline mode, tensorboardX 2.6.5, tensorboard 2.21.0.
# Consequence: losses of several batches at one step, and a chart over the default axis, differ from the event file. Use
# global_step as the axis, and the event file if a step has several values.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  wandb==0.31.0 tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
export HOME="$work" WANDB_MODE=offline WANDB_SILENT=true WANDB_DIR="$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import json
import struct
import sys
from pathlib import Path

import tensorboardX
import wandb
from wandb.proto.wandb_internal_pb2 import Record

run = wandb.init(project="project")
wandb.tensorboard.patch(root_logdir="logs", tensorboard_x=True, pytorch=False)
points = [(0, 1.0), (10, 2.0), (10, 3.0), (5, 4.0)]
with tensorboardX.SummaryWriter("logs") as writer:
    for step, value in points:
        writer.add_scalar("loss", value, step)
run.finish()

(path,) = Path("wandb").glob("offline-run-*/*.wandb")
content, position, record, rows = path.read_bytes(), 7, b"", []
while position + 7 <= len(content):
    rest = 32768 - position % 32768
    if rest < 7:
        position += rest
        continue
    _, length, kind = struct.unpack_from("<IHB", content, position)
    record += content[position + 7 : position + 7 + length]
    position += 7 + length
    if kind in (1, 4):
        message, record = Record.FromString(record), b""
        if message.HasField("history"):
            items = {item.key or item.nested_key[0]: item.value_json for item in message.history.item}
            rows.append(tuple(float(json.loads(items[key])) for key in ("_step", "global_step", "loss")))
print(f"in the event file: {points}")
print(f"in W&B (_step, global_step, loss): {rows}")
sys.exit(rows != [(0.0, 0.0, 1.0), (1.0, 10.0, 3.0), (2.0, 5.0, 4.0)])
PYTHON
