#!/usr/bin/env bash
# joblib.dump makes two arrays of one that an object has twice.
# One expects: what pickle does, and what joblib does for lists: after loading, both names are the same array.
# What happens: joblib writes each occurrence of an array as an array of its own, so the file is twice as large, and a change
# of one array no longer changes the other.
# Seen with: joblib 1.6.0, numpy 2.4.6; skops 0.16.0 for comparison, which keeps it.
# Consequence: weights that were tied train apart after a model was saved by joblib and loaded. A table of its state has the
# same numbers as before and cannot show it.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  joblib==1.6.0 numpy==2.4.6 skops==0.16.0 scikit-learn==1.9.1
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import pickle
import sys

import joblib
import numpy as np
import skops.io

array, plain = np.arange(1000.0), [1.0]
state = {"embedding": array, "output": array, "list": plain, "same list": plain}
joblib.dump(state, "state.joblib")
loaded = {
    "joblib": joblib.load("state.joblib"),
    "pickle": pickle.loads(pickle.dumps(state)),
    "skops": skops.io.loads(skops.io.dumps(state)),
}
seen = {}
for name, back in loaded.items():
    seen[name] = back["embedding"] is back["output"], back["list"] is back["same list"]
    print(f"{name}: one array {seen[name][0]}, one list {seen[name][1]}")
print(f"the file has {os.path.getsize('state.joblib')} bytes for {array.nbytes} bytes of numbers")
sys.exit((seen["joblib"], seen["pickle"], seen["skops"][0]) != ((False, True), (True, True), True))
PYTHON
