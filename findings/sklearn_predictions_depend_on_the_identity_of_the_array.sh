#!/usr/bin/env bash
# Expected: predict depends on the numbers that it is given.
# Happens: a kernel estimator keeps the very array that it was fitted on, and its kernel takes a symmetric way if both
#   arguments are one object. predict(X) and predict(X.copy()) then differ in their last bits.
# Seen: scikit-learn 1.9.1, KernelRidge with the kernels linear and cosine.
# For tb2csv: a restored model has an array of its own, so two models are compared on data that neither was fitted on.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
env -u PYTHONPATH "$work/venv/bin/python" - <<'PYTHON'
import sys
import numpy as np
from sklearn.kernel_ridge import KernelRidge

random = np.random.RandomState(0)
data = random.rand(60, 4)
found = []
for kernel in ("linear", "cosine"):
    model = KernelRidge(kernel=kernel).fit(data, data.sum(1))
    differ = int((model.predict(data) != model.predict(data.copy())).sum())
    print(f"{kernel}: X_fit_ is the array itself: {model.X_fit_ is data}; predictions that differ: {differ} of 60")
    found.append(model.X_fit_ is data and differ > 0)
sys.exit(not any(found))
PYTHON
