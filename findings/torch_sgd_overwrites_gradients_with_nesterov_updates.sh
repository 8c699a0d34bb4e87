#!/usr/bin/env bash
# SGD with Nesterov momentum and foreach leaves the update in .grad, not the gradient.
# One expects: an optimizer reads .grad and changes the parameters alone, as it does with foreach=False.
# What happens: after step(), .grad holds gradient + momentum * velocity: 7.6 for a gradient of 4 in the first step.
# Seen with: torch 2.13.0.
# Consequence: gradients that are read after the step, in a post-hook or a callback, are not those of the loss.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import torch

left = {}
for foreach in (True, False):
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, nesterov=True, foreach=foreach)
    (4 * parameter).sum().backward()
    optimizer.step()
    left[foreach] = round(parameter.grad.item(), 4)
    print(f"foreach={foreach}: the gradient is 4, .grad after the step is {left[foreach]}")
sys.exit(left != {True: 7.6, False: 4.0})
PYTHON
