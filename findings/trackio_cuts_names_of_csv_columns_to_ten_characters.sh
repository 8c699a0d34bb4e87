#!/usr/bin/env bash
# trackio.import_csv keeps ten characters of the name of a metric, and numbers those that are then equal.
# One expects: a column is a metric of the same name, as for event files, whose tags trackio.import_tf_events keeps.
# What happens: validation/loss is "validation", validation/accuracy is "validation_1", and train/loss_ema is
# "train/loss_1", where train/loss is. Which is which depends on the order of the columns. A step beyond 2**53 is
# another one, because steps are read as float64.
# Seen with: trackio 0.43.0.
# Consequence: runs that are imported from tables with other columns are compared under wrong names. Import the event files,
# or call trackio.log for each row.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check trackio==0.43.0
cd "$work"
export TRACKIO_DIR="$work/trackio" HF_HUB_OFFLINE=1
cat >run.csv <<'CSV'
step,validation/loss,validation/accuracy,train/loss,train/loss_ema
0,0.5,0.25,1.5,2.5
9007199254740993,0.25,0.75,1.0,2.0
CSV
venv/bin/python - 2>/dev/null <<'PYTHON'
import json
import sqlite3
import sys
from pathlib import Path

import trackio

trackio.import_csv("run.csv", "project")
(database,) = Path("trackio").glob("*.db")
rows = sqlite3.connect(database).execute("SELECT step, metrics FROM metrics ORDER BY step").fetchall()
found = [(step, json.loads(metrics)) for step, metrics in rows]
print(Path("run.csv").read_text())
for step, metrics in found:
    print(f"in Trackio: step {step}, {metrics}")
names = ["validation", "validation_1", "train/loss", "train/loss_1"]
expected = [
    (0, dict(zip(names, [0.5, 0.25, 1.5, 2.5], strict=True))),
    (2**53, dict(zip(names, [0.25, 0.75, 1.0, 2.0], strict=True))),
]
sys.exit(found != expected)
PYTHON
