#!/usr/bin/env bash
# flax.nnx.state(model) changes when the model is updated.
# One expects: the state is a copy, as a state dict that is used to undo a change should be; arrays of JAX cannot change.
# What happens: the state has the variables of the model itself, and nnx.update and training change them in place.
# Seen with: flax 0.12.8, jax 0.10.2.
# Consequence: "keep the state, try something, put the state back" keeps the new values without an error; copy the
# variables first, as jax.tree.map(lambda leaf: leaf, state) does.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check flax==0.12.8 jax==0.10.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
from flax import nnx

model = nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(0))
before = float(model.kernel[0, 0])
kept = nnx.state(model)
copied = jax.tree.map(lambda leaf: leaf, kept)
nnx.update(model, jax.tree.map(lambda leaf: leaf + 1, kept))
nnx.update(model, kept)
undone = float(model.kernel[0, 0])
nnx.update(model, copied)
undone_by_copy = float(model.kernel[0, 0])
print(f"before: {before}; after the state was put back: {undone}; after the copy was put back: {undone_by_copy}")
sys.exit((undone != before, undone_by_copy == before) != (True, True))
PYTHON
