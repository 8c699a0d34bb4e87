#!/usr/bin/env bash
# Orbax restores a dictionary with the keys 0, 1, 2, 10 as one with the keys "0", "1", "10", "2", in that order.
# One expects: the leaves of the restored tree match those of the saved tree one by one.
# What happens: without a target the keys become text, and JAX sorts them as text, so leaves 2 and 3 change places.
# Seen with: orbax-checkpoint 0.12.8, jax 0.10.2.
# Consequence: layers that are numbered by integers are exchanged without an error if leaves are matched by position;
# match by path, and compare integer keys as integers.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check orbax-checkpoint==0.12.8 jax==0.10.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import logging
import os
import pathlib
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
logging.disable(logging.CRITICAL)
import jax
import numpy as np
import orbax.checkpoint as ocp

saved = {number: np.float32(number) for number in (0, 1, 2, 10)}
with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(pathlib.Path("checkpoint").absolute(), saved)
    checkpointer.wait_until_finished()
    back = checkpointer.restore(pathlib.Path("checkpoint").absolute())
before, after = (list(map(float, jax.tree.leaves(tree))) for tree in (saved, back))
print(f"leaves saved: {before}; restored: {after}; keys: {list(back)}")
sys.exit((before, after) != ([0.0, 1.0, 2.0, 10.0], [0.0, 1.0, 10.0, 2.0]))
PYTHON
