#!/usr/bin/env bash
# A hook on a submodule that is registered after the first call of torch.compile's module is never called.
# One expects: the change of the module causes a recompilation, or a warning.
# What happens: the compiled module runs on without the hook. Registered before the first call, the hook is called.
# Seen with: torch 2.13.0, backend "eager", which compiles nothing and so shows that the tracing alone does it.
# Consequence: a recorder that is attached to a model in use records nothing, and nothing says so.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import torch

calls = {}
for moment in ("before", "after"):
    torch._dynamo.reset()
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    compiled = torch.compile(model, backend="eager")
    seen = []
    if moment == "after":
        compiled(torch.ones(1, 2))
    model[0].register_forward_hook(lambda *_, seen=seen: seen.append(1))
    for _ in range(2):
        compiled(torch.ones(1, 2))
    calls[moment] = len(seen)
    print(f"registered {moment} the first call: called {len(seen)} times in 2 runs")
sys.exit(calls != {"before": 2, "after": 0})
PYTHON
