"""Tensors that event writers store, and whether they leave elements out: the figures of the limit on such tensors.

    .venv-training/bin/python benchmarks/shorthands.py

The decision record on the limits of event files has the result.
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

COUNT = 1000


def write_tensorflow(folder: str) -> None:
    """Write tensors of equal elements with TensorFlow 2, from Python and from a graph, and with TensorFlow 1."""
    import tensorflow as tf

    with tf.summary.create_file_writer(folder).as_default():
        for dtype in (tf.float32, tf.float16, tf.bfloat16, tf.float64, tf.int32, tf.bool):
            tf.summary.write(f"zeros/{dtype.name}", tf.zeros(COUNT, dtype), 0)
        tf.summary.write("strings", tf.fill([COUNT], "a"), 0)
        tf.summary.histogram("histogram", tf.zeros(COUNT), 0)
        tf.summary.image("images", tf.zeros([3, 8, 8, 3]), 0)
        tf.summary.text("texts", ["a"] * COUNT, 0)
        tf.function(lambda: tf.summary.write("graph", tf.constant(1.0, shape=[COUNT]), 0))()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session, v1.summary.FileWriter(folder) as writer:
        tensors = tf.zeros(COUNT), tf.constant(2.0, shape=[COUNT]), tf.fill([COUNT], "a")
        summaries = [v1.summary.tensor_summary(f"v1/{place}", tensor) for place, tensor in enumerate(tensors)]
        writer.add_summary(session.run(v1.summary.merge(summaries)), 0)


def write_torch(folder: str) -> None:
    """Write tensors of equal elements with PyTorch."""
    import torch
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        writer.add_tensor("zeros", torch.zeros(COUNT))
        writer.add_tensor("expanded", torch.ones(1).expand(COUNT))
        writer.add_tensor("halves", torch.zeros(COUNT, dtype=torch.half))
        writer.add_pr_curve("curve", np.zeros(10), np.zeros(10))


def write_tensorboardx(folder: str) -> None:
    """Write what has tensors in tensorboardX."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(folder) as writer:
        writer.add_pr_curve("curve", np.zeros(10), np.zeros(10))
        writer.add_text("text", "a")


def tensors(folder: str) -> Iterator[Any]:
    """Yield the tensors of all event files of a folder."""
    for path in sorted(Path(folder).rglob("*tfevents*")):
        for record in RawEventFileLoader(str(path)).Load():
            yield from (value.tensor for value in Event.FromString(record).summary.value if value.HasField("tensor"))


def held(tensor: Any) -> int:
    """Return the number of elements that a tensor stores, or that of its shape if it has ``tensor_content``."""
    if tensor.tensor_content:
        return size(tensor)
    return sum(len(values) for field, values in tensor.ListFields() if field.name.endswith("_val"))


def size(tensor: Any) -> int:
    """Return the number of elements of a tensor's shape."""
    return math.prod(dim.size for dim in tensor.tensor_shape.dim)


def main() -> None:
    """Print for each writer how many tensors it stored, and how many of them leave elements out."""
    for write in (write_tensorflow, write_torch, write_tensorboardx):
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            found = list(tensors(folder))
            short = sum(held(tensor) < size(tensor) for tensor in found)
            print(f"{write.__name__.removeprefix('write_')}: {len(found)} tensors, {short} of them leave elements out")


if __name__ == "__main__":
    main()
