#!/usr/bin/env bash
# In Keras on JAX, a callback that uses the model directly finds variables without values; one that uses self.model
# finds them.
# One expects: model.get_weights() within on_train_batch_end returns the weights, as on TensorFlow and PyTorch.
# What happens: fit takes the arrays out of the variables and gives them to the compiled step. Only the property
# Callback.model puts them back, so that LambdaCallback(on_train_batch_end=lambda batch, logs: model.get_weights())
# raises TypeError: 'NoneType' object is not callable. model.optimizer.iterations fails in the same way.
# Seen with: keras 3.15.1, jax 0.10.2, numpy 2.4.6.
# Consequence: a recorder calls model.jax_state_sync() before it counts batches or reads weights.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6
cd "$work"
KERAS_BACKEND=jax KERAS_HOME="$work" venv/bin/python - <<'PYTHON'
import sys

import keras
import numpy as np

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
seen = {}


def read(name, owner):
    try:
        seen[name] = f"{len(owner.get_weights())} weights"
    except TypeError as error:
        seen[name] = f"TypeError: {error}"


class OfCallback(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        read("self.model", self.model)


def fit(callback):
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[callback])


fit(keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: read("model", model)))
fit(OfCallback())
print(seen)
sys.exit(seen != {"model": "TypeError: 'NoneType' object is not callable", "self.model": "2 weights"})
PYTHON
