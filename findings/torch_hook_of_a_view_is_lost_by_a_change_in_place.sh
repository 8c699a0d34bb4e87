#!/usr/bin/env bash
# A hook on a tensor is never called if the tensor is a view and is changed in place afterwards.
# One expects: what happens for a tensor of its own. Its hook gets the gradient with respect to the tensor as it was when
# the hook was set: 2 if it is doubled afterwards.
# What happens: for view_as, reshape and a slice, the change gives the base a new history without the hook. backward()
# calls nothing, and there is neither an error nor a warning.
# Seen with: torch 2.13.0.
# Consequence: hooks on the outputs of Identity, Flatten, or Dropout in evaluation miss networks with ReLU(inplace=True)
# behind them, and their layers look as if the loss did not depend on them.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import torch

MAKERS = {
    "x + 0": lambda x: x + 0,
    "x.view_as(x)": lambda x: x.view_as(x),
    "x.reshape(2, 1)": lambda x: x.reshape(2, 1),
    "x[:1]": lambda x: x[:1],
}
found = {}
for name, make in MAKERS.items():
    calls = []
    tensor = make(torch.ones(2, requires_grad=True) * 1.0)
    tensor.register_hook(lambda gradient, calls=calls: calls.append(gradient.flatten()[0].item()))
    tensor.mul_(2)
    tensor.sum().backward()
    found[name] = calls
    print(f"hook on {name}, doubled in place: called with {calls or 'nothing'}")
sys.exit(found != {"x + 0": [2.0], "x.view_as(x)": [], "x.reshape(2, 1)": [], "x[:1]": []})
PYTHON
