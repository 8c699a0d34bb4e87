#!/usr/bin/env bash
# Three writers make three pictures of one array of int32 with pixels from 0 to 255, and none of them is right.
# One expects: the pixels, as from an array of uint8; or an error.
# What happens: PyTorch's SummaryWriter takes all but uint8 for numbers from 0 to 1: pixels from 1 on are white.
# tensorboardX multiplies by 255 and keeps the lower 8 bits, so that the picture is a negative, with black for 0.
# TensorFlow takes 2**31 for white: all is black. Nothing warns.
# Seen with: torch 2.13.0, tensorboardX 2.6.5, tensorflow 2.21.0, read with tensorboard 2.21.0.
# Consequence: integers that NumPy made of uint8, as masks and differences are, are other pictures in the log. The pixels
# are not in the event file, so no reader can mend them.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 tensorboardX==2.6.5 tensorflow==2.21.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import io
import sys

import numpy as np
import tensorboardX
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

pixels = np.array([[0, 1, 51, 254, 255]])


def pixels_of(png):
    return np.array(Image.open(io.BytesIO(png)).convert("L")).ravel().tolist()


def written_by(writer_class, dtype):
    logs = f"{writer_class.__module__}-{dtype}"
    with writer_class(logs) as writer:
        writer.add_image("picture", pixels.astype(dtype), 0, dataformats="HW")
    return pixels_of(EventAccumulator(logs).Reload().Images("picture")[0].encoded_image_string)


def written_by_tensorflow(dtype):
    with tf.summary.create_file_writer(f"tensorflow-{dtype}").as_default():
        tf.summary.image("picture", pixels.astype(dtype)[np.newaxis, ..., np.newaxis], 0)
    tensor = EventAccumulator(f"tensorflow-{dtype}").Reload().Tensors("picture")[0].tensor_proto
    return pixels_of(tf.make_ndarray(tensor)[2])


found = {}
for dtype in ("uint8", "int32"):
    found[dtype] = {
        "PyTorch": written_by(SummaryWriter, dtype),
        "tensorboardX": written_by(tensorboardX.SummaryWriter, dtype),
        "TensorFlow": written_by_tensorflow(dtype),
    }
    print(f"{dtype}: {found[dtype]}", flush=True)
right = pixels.ravel().tolist()
expected = {
    "uint8": dict.fromkeys(found["uint8"], right),
    "int32": {"PyTorch": [0, 255, 255, 255, 255], "tensorboardX": [0, 255, 205, 2, 1], "TensorFlow": [0] * 5},
}
sys.exit(found != expected)
PYTHON
