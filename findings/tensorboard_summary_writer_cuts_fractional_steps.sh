#!/usr/bin/env bash
# tensorboard.summary.Writer.add_scalar accepts the step 1.5 and stores 1.
# One expects: an error for a step that is not an integer, as TensorFlow's tf.summary raises for a Python float.
# What happens: the step is cut, and two points at 1.25 and 1.75 share the step 1.
# Seen with: tensorboard 2.21.0 without TensorFlow.
# Consequence: several values of a tag at one step may be a writer's rounding, not a restart.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary import Writer

writer = Writer("logs")
for step in (1.25, 1.75):
    writer.add_scalar("x", 0.5, step)
writer.flush()
writer.close()
events = EventAccumulator("logs", size_guidance={"tensors": 0}).Reload()
steps = [event.step for event in events.Tensors("x")]
print(f"steps given: [1.25, 1.75], stored: {steps}")
sys.exit(steps != [1, 1])
PYTHON
