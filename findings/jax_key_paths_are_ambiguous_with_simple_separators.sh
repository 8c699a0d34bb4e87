#!/usr/bin/env bash
# jax.tree_util.keystr(simple=True, separator="/") gives two leaves of one tree the same path.
# One expects: a path names one leaf, as the default spelling ['a']['b'] does, or a separator in a key is escaped.
# What happens: {"a/b": 1, "a": {"b": 2}} has the path a/b twice.
# Seen with: jax 0.10.2.
# Consequence: a table of parameters that is keyed by such paths loses rows; escape keys or refuse doubles.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
from jax.tree_util import keystr, tree_flatten_with_path

leaves, _ = tree_flatten_with_path({"a/b": 1, "a": {"b": 2}})
plain = [keystr(path) for path, _ in leaves]
simple = [keystr(path, simple=True, separator="/") for path, _ in leaves]
print(f"default: {plain}; simple: {simple}")
sys.exit((len(set(plain)), simple) != (2, ["a/b", "a/b"]))
PYTHON
