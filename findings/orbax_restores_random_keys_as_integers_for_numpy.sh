#!/usr/bin/env bash
# Orbax gives a key of a random generator back as plain integers if arrays of NumPy are requested.
# One expects: a typed key, or an error, since a key of one generator is nothing to another.
# What happens: jax.random.key(3, impl="rbg") and its bare integers come back alike, as uint32 of shape (4,). The
# metadata of the tree describe both alike as well; only a file below array_metadatas names the generator.
# Seen with: orbax-checkpoint 0.12.8, jax 0.10.2.
# Consequence: wrapped again with the default or with unsafe_rbg, the key gives other numbers or none; read the name of
# the generator from that file.
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

key = jax.random.key(3, impl="rbg")
folder = pathlib.Path("checkpoint").absolute()
with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
    checkpointer.save(folder, {"typed": key, "bare": jax.random.key_data(key)})
    tree = checkpointer.metadata(folder).item_metadata.tree
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    back = checkpointer.restore(folder, restore_args=as_numpy)
described = [(str(tree[name].dtype), tree[name].shape) for name in ("typed", "bare")]
restored = [(str(back[name].dtype), back[name].shape) for name in ("typed", "bare")]
named = "rbg" in (folder / "array_metadatas" / "process_0").read_text()
print(f"described: {described}; restored: {restored}; generator named in array_metadatas: {named}")
sys.exit((described, restored, named) != ([("uint32", (4,))] * 2, [("uint32", (4,))] * 2, True))
PYTHON
