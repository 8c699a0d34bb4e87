#!/usr/bin/env bash
# safetensors.torch.save_file writes the conjugate of a complex tensor without its sign.
# One expects: the tensor comes back equal, as from torch.save.
# What happens: PyTorch does not compute a conjugate; it marks a tensor that shares the memory of the first. safetensors
# writes the memory and not the mark, so 1-2j comes back as 1+2j. The imaginary part of a conjugate, which is a tensor
# of real numbers with such a mark, comes back with the other sign. There is neither an error nor a warning.
# Seen with: safetensors 0.8.0, torch 2.13.0, numpy 2.4.6.
# Consequence: weights of a layer in the frequency domain can be mirrored in the file, and no reader can notice. Call
# resolve_conj() or resolve_neg() before saving.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import torch
from safetensors.torch import load_file, save_file

conjugate = torch.tensor([1 + 2j]).conj()
state = {"conjugate": conjugate, "imaginary": torch.tensor([3 + 4j]).conj().imag}
torch.save(state, "state.pt")
save_file(state, "state.safetensors")
found = {
    "in memory": [tensor.tolist() for tensor in state.values()],
    "torch.save": [tensor.tolist() for tensor in torch.load("state.pt").values()],
    "safetensors": [load_file("state.safetensors")[name].tolist() for name in state],
}
print(found)
right = [[1 - 2j], [-4.0]]
sys.exit(list(found.values()) != [right, right, [[1 + 2j], [4.0]]])
PYTHON
