#!/usr/bin/env bash
# Expected: model.save writes a file and leaves the model as it is, and load_model gives the model that was saved.
# Happens: model.save("a.h5") takes the optimizer out of the model's description. A .keras file that is saved afterwards
#   has the state of Adam and does not name it, so Keras loads it with RMSprop and new slots, with a warning about the
#   number of variables. The .h5 file keeps all slots, but Keras loads the step counter and the rate alone.
# Seen: Keras 3.15.1 on JAX.
# For tb2csv: an export of either file says so, and the optimizer of such a .keras file has numbers for names.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 h5py==3.16.0
cd "$work"
env -u PYTHONPATH KERAS_BACKEND=jax "$work/venv/bin/python" - <<'PYTHON'
import json
import sys
import zipfile

import h5py
import keras
import numpy as np

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.compile("adam", "mean_squared_error")
model.fit(np.ones((8, 3)), np.ones((8, 2)), epochs=3, verbose=0)
for name in ("before.keras", "model.h5", "after.keras"):
    model.save(name)


def stated(name):
    config = json.loads(zipfile.ZipFile(name).read("config.json"))
    return config["compile_config"].get("optimizer", {}).get("class_name")


def loaded(name):
    optimizer = keras.models.load_model(name).optimizer
    found = type(optimizer).__name__, len(optimizer.variables), int(optimizer.iterations)
    print(f"{name} is loaded with: {found[0]}, {found[1]} variables, step {found[2]}")
    return found


print(f"optimizer in the description: before {stated('before.keras')}, after {stated('after.keras')}")
with h5py.File("model.h5") as file:
    slots = len(file["optimizer_weights"].attrs["weight_names"])
print(f"optimizer variables in model.h5: {slots}")
before, within, after = map(loaded, ("before.keras", "model.h5", "after.keras"))
sys.exit(not (before == ("Adam", 6, 3) and slots == 6 and within[1:] == (2, 3) and after == ("RMSprop", 4, 0)))
PYTHON
