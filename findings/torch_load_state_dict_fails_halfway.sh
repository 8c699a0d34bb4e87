#!/usr/bin/env bash
# Expected: Module.load_state_dict(strict=True) loads everything, or raises and changes nothing; and what it reports as
#   matched is afterwards what the state dict says.
# Happens: (1) An expanded buffer cannot be written to. load_state_dict raises RuntimeError, but the parameters of the
#   same module have their new values. (2) Two tied parameters and a state dict with two different values for them:
#   "<All keys matched successfully>", and the last value is in both.
# Seen: torch 2.13.0.
# For tb2csv: after loading, a state is read back and compared; on an error or a difference the old state goes back.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys
import torch
from torch import nn

class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("mask", torch.ones(1).expand(2))

model = Masked()
try:
    model.load_state_dict({"weight": torch.full((2,), 5.0), "mask": torch.ones(2)})
except RuntimeError as error:
    print("raised:", str(error).splitlines()[1].strip()[:90])
print("weight after the error:", model.weight.tolist())
halfway = model.weight.tolist() == [5, 5]

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.zeros(2))
        self.second = self.first

tied = Tied()
answer = tied.load_state_dict({"first": torch.full((2,), 1.0), "second": torch.full((2,), 2.0)})
print(answer, "first:", tied.first.tolist(), "second:", tied.second.tolist())
sys.exit(not (halfway and not answer.missing_keys and tied.first.tolist() == [2, 2]))
PYTHON
