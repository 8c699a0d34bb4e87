#!/usr/bin/env bash
# CatBoost names every event file events.out.tfevents, so that the next fit replaces the log of the one before.
# One expects: a name with time, host and process, as every writer of TensorBoard makes, and a first event file_version.
# What happens: there is one name, the first event is a summary, and wall times are whole seconds. After a fit of 6
# iterations and one of 3 in the same train_dir, 3 points are left.
# Seen with: catboost 1.2.10, read with tensorboard 2.21.0.
# Consequence: a file that became shorter is another log; a reader must not insist on file_version.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check catboost==1.2.10 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import pathlib
import sys

import numpy as np
from catboost import CatBoostClassifier
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

data = np.random.RandomState(0).rand(50, 3)
labels = (data[:, 0] > 0.5).astype(int)
seen = []
for iterations in (6, 3):
    CatBoostClassifier(iterations=iterations, train_dir="logs", verbose=False).fit(data, labels)
    (path,) = pathlib.Path("logs/learn").glob("*tfevents*")
    events = [Event.FromString(record) for record in RawEventFileLoader(str(path)).Load()]
    seen.append((path.name, events[0].WhichOneof("what"), len(events), {event.wall_time % 1 for event in events}))
    print(f"fit of {iterations} iterations: {seen[-1]}")
sys.exit(seen != [("events.out.tfevents", "summary", count, {0.0}) for count in (6, 3)])
PYTHON
