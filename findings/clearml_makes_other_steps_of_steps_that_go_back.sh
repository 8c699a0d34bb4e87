#!/usr/bin/env bash
# ClearML reports the steps 5, 3, 5 of a TensorBoard log as 5, 11, 13, and NaN and infinity as 0.
# One expects: the steps and values that are in the event file, as ClearML's automatic logging copies them.
# What happens: once a step is not after the one before, ClearML adds an offset to all further steps of the tag, and so
# makes steps that the training never had. For NaN and infinity it reports 0, with one line of log for each.
# Seen with: clearml 2.1.12 in offline mode, tensorboardX 2.6.5, tensorboard 2.21.0.
# Consequence: after a restart, or in the second fit of Keras, curves in ClearML and in the event file differ in their
# steps, and a loss that became NaN is the lowest of all. Numbers for a comparison come from the event file.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  clearml==2.1.12 tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import json
import os
import sys
from pathlib import Path

os.environ |= {"HOME": os.getcwd(), "CLEARML_CACHE_DIR": os.getcwd(), "CLEARML_CONFIG_FILE": f"{os.getcwd()}/none"}

import tensorboardX
from clearml import Task
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Task.set_offline(True)
task = Task.init("project", "run", auto_resource_monitoring=False)
with tensorboardX.SummaryWriter("logs") as writer:
    for number, step in enumerate([4, 5, 3, 5, 6]):
        writer.add_scalar("restarted", number, step)
    for step, value in enumerate([0.5, float("nan"), float("inf"), 0.25]):
        writer.add_scalar("diverged", value, step)
folder = Path(task.get_offline_mode_folder())
task.close()
reported = {"restarted": [], "diverged": []}
for line in (folder / "metrics.jsonl").read_text().splitlines():
    for event in json.loads(line):
        if event.get("metric") in reported:
            reported[event["metric"]].append((event["iter"], event["value"]))
events = EventAccumulator("logs").Reload()
for tag, points in reported.items():
    print(f"{tag}: in the event file {[(point.step, point.value) for point in events.Scalars(tag)]}, ClearML {points}")
steps = [step for step, _ in reported["restarted"]]
values = [value for _, value in reported["diverged"]]
sys.exit((steps, values) != ([4, 5, 11, 13, 14], [0.5, 0.0, 0.0, 0.25]))
PYTHON
