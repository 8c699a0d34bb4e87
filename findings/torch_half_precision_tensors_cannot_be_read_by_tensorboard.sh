#!/usr/bin/env bash
# TensorBoard's make_ndarray fails on every float16 or bfloat16 tensor that PyTorch's SummaryWriter writes.
# One expects: half_val holds 16-bit patterns, as tensor.proto says and TensorFlow writes.
# What happens: add_tensor puts the bits of a float32 into half_val (0x3f800000 for 1.0), and make_ndarray raises
# OverflowError.
# Seen with: torch 2.13.0, tensorboard 2.21.0, numpy 2.4.6.
# Consequence: a reader of half_val must take entries beyond 16 bits for float32 patterns.
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
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard import SummaryWriter

writer = SummaryWriter("logs")
for dtype in (torch.float16, torch.bfloat16, torch.float32):
    writer.add_tensor(str(dtype), torch.tensor([1.0, 2.0], dtype=dtype), 0)
writer.close()
events = EventAccumulator("logs", size_guidance={"tensors": 0}).Reload()
outcomes = {}
for tag in sorted(events.Tags()["tensors"]):
    proto = events.Tensors(tag)[0].tensor_proto
    try:
        outcomes[tag] = make_ndarray(proto).tolist()
    except OverflowError as error:
        outcomes[tag] = "OverflowError"
        print(f"{tag}: half_val is {[hex(each) for each in proto.half_val]}; {error}")
print(outcomes)
wanted = {"torch.bfloat16": "OverflowError", "torch.float16": "OverflowError", "torch.float32": [1.0, 2.0]}
sys.exit(outcomes != wanted)
PYTHON
