#!/usr/bin/env bash
# Expected: tf.summary.write with metadata that name a plugin makes a series of tensors, which TensorBoard's backend lists
#   for that plugin.
# Happens: it lists nothing. The metadata must also have data_class, which tf.summary.write does not set and its
#   documentation does not name; without it the value is in the file and in the accumulator only. With it, the series is
#   listed, and of 20 values the accumulator keeps 10.
# Seen: TensorFlow 2.21.0, TensorBoard 2.21.0.
# For tb2csv: it takes the kind of a series from its values; the recipe for tf.summary sets data_class, so that plugins
#   find the gradients, too.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tensorflow==2.21.0 tensorboard==2.21.0 'setuptools<82'
cat > "$work/listed.py" <<'PYTHON'
import sys

import tensorflow as tf
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext

folder = sys.argv[1]
named = {"plugin_name": "mine"}
plain = tf.compat.v1.SummaryMetadata(plugin_data=named)
classed = tf.compat.v1.SummaryMetadata(plugin_data=named, data_class="DATA_CLASS_TENSOR")
writer = tf.summary.create_file_writer(folder)
with writer.as_default():
    for step in range(20):
        tf.summary.write("plain", tf.ones(3), step=step, metadata=plain)
        tf.summary.write("classed", tf.ones(3), step=step, metadata=classed)
writer.close()

multiplexer = EventMultiplexer()
multiplexer.AddRunsFromDirectory(folder)
multiplexer.Reload()
provider = MultiplexerDataProvider(multiplexer, folder)
listed = provider.list_tensors(RequestContext(), experiment_id="", plugin_name="mine")
tags = sorted(tag for series in listed.values() for tag in series)
accumulator = EventAccumulator(folder)
accumulator.Reload()
kept = {tag: len(accumulator.Tensors(tag)) for tag in accumulator.Tags()["tensors"]}
print(f"listed for the plugin: {tags}; kept of 20 values: {kept}")
sys.exit(tags != ["classed"] or kept != {"plain": 10, "classed": 10})
PYTHON
env -u PYTHONPATH TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" "$work/listed.py" "$work/logs"
