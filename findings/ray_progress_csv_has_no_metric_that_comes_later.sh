#!/usr/bin/env bash
# progress.csv of Ray Tune has the metrics of the first result alone.
# One expects: a column for each metric, with empty cells in the rows that lack it.
# What happens: the first result makes the columns. A validation accuracy that is reported every second time is in the event
# file and in result.json, but not in progress.csv, and nothing says so.
# Seen with: ray 2.60.0, tensorboardX 2.6.5, tensorboard 2.21.0.
# Consequence: a table that is compared with progress.csv may have more columns and be right.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  'ray[tune]==2.60.0' tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import csv
import os
import pathlib
import sys

os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

import ray
from ray import tune
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def train(config):
    for epoch in range(4):
        accuracy = {"val_accuracy": 0.5} if epoch % 2 else {}
        tune.report({"loss": 1.0} | accuracy)


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
where = tune.RunConfig(storage_path=os.path.abspath("results"), name="sweep", verbose=0)
tune.Tuner(train, run_config=where).fit()
ray.shutdown()
(trial,) = pathlib.Path("results/sweep").glob("train_*/")
with open(trial / "progress.csv", newline="") as file:
    rows = list(csv.DictReader(file))
events = EventAccumulator(str(trial)).Reload()
points = {
    "progress.csv": sum("val_accuracy" in row for row in rows),
    "result.json": (trial / "result.json").read_text().count('"val_accuracy"'),
    "event file": len(events.Scalars("ray/tune/val_accuracy")),
}
print(f"rows of progress.csv: {len(rows)}, of them with loss: {sum('loss' in row for row in rows)}")
print(f"points of val_accuracy: {points}")
sys.exit((len(rows), list(points.values())) != (4, [0, 2, 2]))
PYTHON
