#!/usr/bin/env bash
# model.load_weights of Keras puts the weights of one layer into another one, although the file has the names of both.
# One expects: the layer "encoder" gets the weights that were saved from the layer "encoder".
# What happens: the file names each group by the class of the layer and a number (dense, dense_1) and has the layer's own name
# as an attribute, which loading ignores. If the new program makes the layers in another order, and the shapes are equal, the
# weights are exchanged without a warning.
# Seen with: keras 3.15.1, jax 0.10.2, h5py 3.16.0. The documentation says that loading is based on the topology, which is
# the same here.
# Consequence: tensors of two .weights.h5 files are the same ones only if their layers' names are; tb2csv state export has
# these names in the column tensor_metadata.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 numpy==2.4.6 h5py==3.16.0
cd "$work"
env -u PYTHONPATH KERAS_BACKEND=jax "$work/venv/bin/python" - <<'PYTHON'
import sys

import h5py
import keras
import numpy as np


def model_of(*names):
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(4, name=name)(inputs) for name in names])


def kernel(model, name):
    return np.asarray(model.get_layer(name).kernel)


saved = model_of("encoder", "decoder")
saved.save_weights("model.weights.h5")
with h5py.File("model.weights.h5") as file:
    names = {group: file[f"layers/{group}/vars"].attrs["name"] for group in ("dense", "dense_1")}
print(f"names in the file: {names}")
loaded = model_of("decoder", "encoder")
loaded.load_weights("model.weights.h5")
same = np.array_equal(kernel(saved, "encoder"), kernel(loaded, "encoder"))
swapped = np.array_equal(kernel(saved, "encoder"), kernel(loaded, "decoder"))
print(f"encoder of the saved model is encoder of the loaded one: {same}; is its decoder: {swapped}")
sys.exit((names, same, swapped) != ({"dense": "encoder", "dense_1": "decoder"}, False, True))
PYTHON
