#!/usr/bin/env bash
# tensorboardX writes the metric "val loss" as the tag "val_loss" but announces it as "val loss" to the HParams plugin.
# One expects: the name in the experiment is the tag of the scalar, as the plugin looks it up.
# What happens: add_scalar replaces characters outside [-/\w.], the experiment keeps the name as given.
# Seen with: tensorboardX 2.6.5, tensorboard 2.21.0 (Ray Tune writes its trials with it).
# Consequence: TensorBoard's table of trials has an empty column; a reader must look for the cleaned name too.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboardX import SummaryWriter

writer = SummaryWriter("logs")
writer.add_hparams({"lr": 0.1}, {"val loss": 1.0}, name="trial")
writer.close()
events = EventAccumulator("logs/trial").Reload()
content = events.summary_metadata["_hparams_/experiment"].plugin_data.content
metrics = [metric.name.tag for metric in HParamsPluginData.FromString(content).experiment.metric_infos]
print(f"tags of scalars: {events.Tags()['scalars']}; metrics of the experiment: {metrics}")
sys.exit((events.Tags()["scalars"], metrics) != (["val_loss"], ["val loss"]))
PYTHON
