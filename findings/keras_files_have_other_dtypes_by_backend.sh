#!/usr/bin/env bash
# Expected: a .keras file does not depend on the backend that saved it, as any backend loads it.
# Happens: the step counter of an optimizer is int64 in a file that was saved on TensorFlow, and int32 on JAX. Loading
#   converts it silently.
# Seen: Keras 3.15.1, TensorFlow 2.21.0, JAX 0.10.2.
# For tb2csv: the dtype of a tensor is that of its dataset, not that of the model which Keras makes of the file.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cd "$work"
cat > save.py <<'PYTHON'
import keras
import numpy as np

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.compile("adam", "mean_squared_error")
model.fit(np.ones((8, 3)), np.ones((8, 2)), epochs=3, verbose=0)
model.save(f"{keras.backend.backend()}.keras")
PYTHON
cat > look.py <<'PYTHON'
import io
import sys
import zipfile

import h5py
import keras

found = {}
for name in ("tensorflow", "jax"):
    with h5py.File(io.BytesIO(zipfile.ZipFile(f"{name}.keras").read("model.weights.h5"))) as file:
        found[name] = file["optimizer/vars/0"].dtype.name
    steps = keras.models.load_model(f"{name}.keras").optimizer.iterations
    print(f"saved on {name}: {found[name]}; loaded on {keras.backend.backend()}: {steps.dtype}, {int(steps)}")
sys.exit(found != {"tensorflow": "int64", "jax": "int32"})
PYTHON
export TF_CPP_MIN_LOG_LEVEL=3
for backend in tensorflow jax; do
  env -u PYTHONPATH KERAS_BACKEND="$backend" "$work/venv/bin/python" save.py
done
env -u PYTHONPATH KERAS_BACKEND=tensorflow "$work/venv/bin/python" look.py
