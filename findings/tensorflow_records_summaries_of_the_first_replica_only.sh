#!/usr/bin/env bash
# tf.summary in a distributed step writes the values of the first replica, and drops those of all others.
# One expects: a value for each replica, or their mean, or a refusal; strategy.run itself returns the values of all.
# What happens: tf.summary.scalar and histogram do nothing in the other replicas of a MirroredStrategy, without a message.
# The loss of two replicas, 1 and 3, is 1 in the event file, and the histogram has the numbers of the first.
# Seen with: tensorflow 2.21.0, tensorboard 2.21.0, numpy 2.4.6; two logical processors as replicas.
# Consequence: curves of such a training show a part of each batch, and noise that the training does not have. Reduce the
# values first, and write them outside of strategy.run.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow==2.21.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

processors = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processors[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
losses = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(1.0 + 2.0 * context.replica_id_in_sync_group)
)


def step(loss):
    tf.summary.scalar("loss", loss, step=0)
    tf.summary.histogram("losses", loss, step=0, buckets=1)
    return loss


with tf.summary.create_file_writer("logs").as_default():
    returned = tf.function(lambda: strategy.run(step, args=(losses,)))()
    tf.summary.scalar("mean", strategy.reduce("MEAN", returned, axis=None), step=0)
events = EventAccumulator("logs").Reload()
written = {
    tag: [tf.make_ndarray(point.tensor_proto).tolist() for point in events.Tensors(tag)]
    for tag in sorted(events.Tags()["tensors"])
}
by_replica = [float(value) for value in strategy.experimental_local_results(returned)]
print(f"losses of the replicas: {by_replica}; in the event file: {written}")
expected = {"loss": [1.0], "losses": [[[1.0, 1.0, 1.0]]], "mean": [2.0]}
sys.exit((by_replica, written) != ([1.0, 3.0], expected))
PYTHON
