#!/usr/bin/env bash
# A model that torch.export exported in training mode drops elements for ever, and cannot be put into evaluation mode.
# One expects: the module of a loaded program has eval(), as every module; or the export warns of the mode.
# What happens: torch.export.export says nothing, although a new module is in training mode. The program holds the mode as
# a constant: two calls give two results. eval() of its module raises NotImplementedError, and its attribute `training`
# is true even if the model was exported in evaluation mode.
# Seen with: torch 2.13.0.
# Consequence: predictions of such a file are random without a sign of it, and the attribute does not show it. tb2csv
# predict looks for the constant in the operators of the graph, and refuses the file.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
import warnings

import torch

found = {}
for mode in ("train", "eval"):
    model = getattr(torch.nn.Sequential(torch.nn.Dropout(0.5)), mode)()
    with warnings.catch_warnings(record=True) as caught:
        torch.export.save(torch.export.export(model, (torch.ones(64),)), f"{mode}.pt2")
    module = torch.export.load(f"{mode}.pt2").module()
    is_same = torch.equal(module(torch.ones(64)), module(torch.ones(64)))
    try:
        module.eval()
        result = "works"
    except NotImplementedError as error:
        result = type(error).__name__
    warned = [str(each.message) for each in caught if "train" in str(each.message).lower()]
    found[mode] = (is_same, module.training, result, warned)
    print(f"{mode}: equal results {is_same}, training {module.training}, eval() {result}, warnings {warned}")
expected = {"train": (False, True, "NotImplementedError", []), "eval": (True, True, "NotImplementedError", [])}
sys.exit(found != expected)
PYTHON
