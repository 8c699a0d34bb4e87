#!/usr/bin/env bash
# CSVLogger(append=True) of Keras writes rows for other metrics under the header that is in the file.
# One expects: a column has one metric; new metrics get new columns, or the call is refused.
# What happens: the callback sorts the names of the metrics and writes their values in this order. It looks whether the file
# has a header, not which. After a fit with mae and one with accuracy, the second fit's accuracies are in the column loss, and
# its losses in the column mae.
# Seen with: keras 3.15.1, jax 0.10.2.
# Consequence: the number of columns is right, so no reader of the table can notice. Convert the event files instead.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 numpy==2.4.6
cd "$work"
env -u PYTHONPATH KERAS_BACKEND=jax "$work/venv/bin/python" - <<'PYTHON'
import csv
import sys

import keras
import numpy as np

inputs = np.linspace(0, 1, 30, dtype="float32").reshape(10, 3)
targets = np.arange(10) % 2
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
for metric in ("mae", "accuracy"):
    model.compile("sgd", "binary_crossentropy", metrics=[metric])
    logger = keras.callbacks.CSVLogger("log.csv", append=True)
    history = model.fit(inputs, targets, epochs=2, verbose=0, callbacks=[logger]).history
with open("log.csv", newline="") as file:
    rows = list(csv.DictReader(file))
print(*(",".join(row) for row in csv.reader(open("log.csv", newline=""))), sep="\n")
print(f"second fit: {history}")
second = [(float(row["loss"]), float(row["mae"])) for row in rows[2:]]
sys.exit(second != list(zip(history["accuracy"], history["loss"])) or set(map(len, rows)) != {5})
PYTHON
