#!/usr/bin/env bash
# safetensors.numpy saves bfloat16 and float8, load_file reads bfloat16 alone, and load neither.
# One expects: load(path.read_bytes()) and load_file(path) give the same, and read what save writes.
# What happens: save accepts the types of ml_dtypes. load has a table of types without them and raises KeyError. load_file
# has bfloat16, and looks for float8 in NumPy itself, where no import of ml_dtypes puts it. One such tensor makes all others
# of the file unreadable.
# Seen with: safetensors 0.8.0, ml_dtypes 0.6.0, numpy 2.4.6.
# Consequence: weights that come from an object store as bytes must be written to a file first, or read by safetensors.torch
# or safetensors.flax; get_tensor of safe_open still reads the other tensors one by one.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 ml_dtypes==0.6.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load, load_file, save



def attempt(read):
    try:
        return str(read()["weight"].dtype)
    except (AttributeError, KeyError) as error:
        return type(error).__name__


found = {}
for name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"):
    content = save({"weight": np.array([0.5, 2.0]).astype(getattr(ml_dtypes, name, name)), "bias": np.ones(2, np.float32)})
    Path("model.safetensors").write_bytes(content)
    found[name] = attempt(lambda: load_file("model.safetensors")), attempt(lambda content=content: load(content))
    print(f"{name}: load_file {found[name][0]}, load {found[name][1]}")
with safe_open("model.safetensors", "np") as file:
    bias = file.get_tensor("bias").tolist()
expected = {"float16": ("float16", "float16"), "bfloat16": ("bfloat16", "KeyError")}
expected |= dict.fromkeys(["float8_e4m3fn", "float8_e5m2"], ("AttributeError", "KeyError"))
sys.exit(found != expected or bias != [1.0, 1.0])
PYTHON
