#!/usr/bin/env bash
# Ray Tune does not write a metric that is NaN into its event files.
# One expects: a loss that became NaN is NaN in TensorBoard, as it is in Ray's own result.json.
# What happens: the callback that writes event files leaves the value out, and writes the other metrics of the same step. The
# curve of a trial that diverged ends early, like that of a trial that was stopped, and its last value is a good one.
# Seen with: ray 2.60.0, tensorboardX 2.6.5, read with tensorboard 2.21.0.
# Consequence: no reader of the event files can find the NaN; fewer points than those of another tag are the only sign.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  'ray[tune]==2.60.0' tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import json
import os
import pathlib
import sys

os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

import ray
from ray import tune
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def train(config):
    for loss in (1.0, 0.5, float("nan"), float("nan")):
        tune.report({"loss": loss, "lr": config["lr"]})


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
where = tune.RunConfig(storage_path=os.path.abspath("results"), name="sweep", verbose=0)
tune.Tuner(train, param_space={"lr": 0.5}, run_config=where).fit()
ray.shutdown()
(trial,) = pathlib.Path("results/sweep").glob("train_*/")
events = EventAccumulator(str(trial)).Reload()
losses = [event.value for event in events.Scalars("ray/tune/loss")]
rates = [event.value for event in events.Scalars("ray/tune/lr")]
results = [json.loads(line)["loss"] for line in (trial / "result.json").read_text().splitlines()]
print(f"event file: losses {losses}, rates {rates}; result.json: losses {results}")
sys.exit((losses, rates, str(results)) != ([1.0, 0.5], [0.5] * 4, "[1.0, 0.5, nan, nan]"))
PYTHON
