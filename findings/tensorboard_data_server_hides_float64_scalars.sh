#!/usr/bin/env bash
# TensorBoard's default data server shows no scalar whose tensor is float64; TensorBoard's own Python loader shows it.
# One expects: the same tags with --load_fast=true and --load_fast=false.
# What happens: the Rust server takes rank-0 tensors of DT_FLOAT for scalars and leaves out others without a word.
# Seen with: tensorboard 2.21.0, tensorboard-data-server 0.7.2; values as PyTorch writes them with double_precision=True
# and new_style=True.
# Consequence: a tag that is missing in TensorBoard may be in the log.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0 tensorboard-data-server==0.7.2 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import json
import re
import subprocess
import sys
import time
import urllib.request

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

plugin = SummaryMetadata.PluginData(plugin_name="scalars")
writer = EventFileWriter("logs")
for tag, dtype in (("single", np.float32), ("double", np.float64)):
    for step in range(3):
        value = Summary.Value(tag=tag, tensor=make_tensor_proto(dtype(step)))
        value.metadata.plugin_data.CopyFrom(plugin)
        writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value])))
writer.close()


def tags(load_fast):
    command = [sys.executable, "-m", "tensorboard.main", "--logdir=logs", "--port=0", f"--load_fast={load_fast}"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = next(match[0] for line in server.stderr if (match := re.search(r"http://\S+:\d+", line)))
        for _ in range(100):
            with urllib.request.urlopen(f"{url}/data/plugin/scalars/tags") as answer:
                found = sorted(json.load(answer).get(".", {}))
            if found:
                return found
            time.sleep(0.2)
        return []
    finally:
        server.terminate()
        server.communicate()


shown = {load_fast: tags(load_fast) for load_fast in ("true", "false")}
print(f"tags of scalars by load_fast: {shown}")
sys.exit(shown != {"true": ["single"], "false": ["double", "single"]})
PYTHON
