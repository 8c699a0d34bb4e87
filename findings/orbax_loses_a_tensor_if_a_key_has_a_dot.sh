#!/usr/bin/env bash
# Orbax saves {"a.b": x, "a": {"b": y}} without an error and restores y for both.
# One expects: two tensors with different keys are two tensors, or the second is refused.
# What happens: the keys are joined by dots, both become a.b in the checkpoint, and the later one wins.
# Seen with: orbax-checkpoint 0.12.8, jax 0.10.2.
# Consequence: names with dots (every PyTorch parameter has some) must not be mixed with nested dictionaries.
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
import numpy as np
import orbax.checkpoint as ocp

saved = {"a.b": np.float32(1), "a": {"b": np.float32(2)}}
with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(pathlib.Path("checkpoint").absolute(), saved)
    checkpointer.wait_until_finished()
    back = checkpointer.restore(pathlib.Path("checkpoint").absolute())
values = float(back["a.b"]), float(back["a"]["b"])
print(f"saved a.b = 1 and a/b = 2; restored {values}")
sys.exit(values != (2.0, 2.0))
PYTHON
