#!/usr/bin/env bash
# TensorBoard's hparams API rounds integers beyond 2**53, such as seeds, without a word.
# One expects: hparams({"seed": 2**53 + 1}) keeps the seed, because Python integers are allowed.
# What happens: a hyperparameter is a google.protobuf.Value, whose only number is a float64. Seeds that differ have one
# value in the table of trials, while the names of their groups, which are hashes of the exact values, differ.
# Seen with: tensorboard 2.21.0.
# Consequence: Recorder.hparams writes such integers as text, and tables of trials cannot have more digits than the log.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

stored = {}
for seed in (2**53, 2**53 + 1):
    (value,) = hparams_pb({"seed": seed}, start_time_secs=0).value
    start = HParamsPluginData.FromString(value.metadata.plugin_data.content).session_start_info
    stored[seed] = int(start.hparams["seed"].number_value), start.group_name
    print(f"seed {seed}: stored as {stored[seed][0]} in the group {stored[seed][1][:8]}")
(first, first_group), (second, second_group) = stored.values()
sys.exit(not (first == second and first_group != second_group))
PYTHON
