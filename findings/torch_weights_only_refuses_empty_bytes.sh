#!/usr/bin/env bash
# Expected: torch.load(weights_only=True) reads bytes of any length, as PyTorch's list of allowed names includes the
#   function (_codecs.encode) that a pickle of protocol 2 calls for bytes.
# Happens: b"x" is read, b"" is refused ("Unsupported global: GLOBAL bytes"). Protocol 2, which torch.save uses, writes
#   empty bytes as a call of the type `bytes`, which is not on the list. An empty NumPy array fails in the same way even
#   after all NumPy names are allowed.
# Seen: torch 2.13.0, numpy 2.4.6, Python 3.11.
# For tb2csv: a checkpoint may become unreadable only because a value in it is empty. tb2csv gives PyTorch a stand-in
#   for `bytes` that makes empty bytes and nothing else.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - "$work/file.pt" <<'PYTHON'
import pickle, sys
import numpy as np
import torch

path = sys.argv[1]
arrays = [np.ndarray, np.dtype, np._core.multiarray._reconstruct, type(np.dtype("float64"))]

def is_read(value):
    torch.save({"value": value}, path)
    try:
        with torch.serialization.safe_globals(arrays):
            torch.load(path, weights_only=True)
    except pickle.UnpicklingError as error:
        print("   ", next(line for line in str(error).splitlines() if "GLOBAL" in line)[:110])
        return False
    return True

seen = {}
for name, value in {"b'x'": b"x", "b''": b"", "3 numbers": np.ones(3), "no numbers": np.ones(0)}.items():
    seen[name] = is_read(value)
    print(name, "is read" if seen[name] else "is refused")
sys.exit(list(seen.values()) != [True, False, True, False])
PYTHON
