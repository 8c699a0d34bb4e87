#!/usr/bin/env bash
# tbparse's SummaryReader(event_types={"text"}) returns the last text of a tag alone.
# One expects: a choice of event types leaves other types out and changes nothing else.
# What happens: texts are stored as tensors, whose limit stays at TensorBoard's default of 1 unless tensors are read too.
# Seen with: tbparse 0.0.9, tensorboard 2.21.0.
# Consequence: the same log has 5 texts or 1, by an argument that does not speak of numbers.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tbparse==0.0.9 tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

from tbparse import SummaryReader
from tensorboardX import SummaryWriter

writer = SummaryWriter("logs")
for step in range(5):
    writer.add_text("note", f"text {step}", step)
writer.close()
counts = len(SummaryReader("logs").text), len(SummaryReader("logs", event_types={"text"}).text)
print(f"texts read by default: {counts[0]}; with event_types={{'text'}}: {counts[1]}")
sys.exit(counts != (5, 1))
PYTHON
