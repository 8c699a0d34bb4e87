#!/usr/bin/env bash
# DVCLive drops a metric from metrics.json if another metric has the first part of its name.
# One expects: loss and loss/train are two metrics, as two tags in an event file, or one of them is refused.
# What happens: the summary is a tree of names, and a name that has metrics below it is replaced by the number of the
# later metric. loss/train is gone from metrics.json, which dvc metrics compares, without a message; its own table has it.
# In the other order, log_metric raises AttributeError: 'float' object has no attribute 'copy'.
# Seen with: dvclive 3.49.1, Python 3.11.
# Consequence: tags of TensorBoard are not paths of a tree, so a copy of a log into nested names loses values.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check dvclive==3.49.1 numpy==2.4.6
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import json
import sys
from pathlib import Path

from dvclive import Live

found = {}
for names in (["loss/train", "loss"], ["loss", "loss/train"]):
    folder = Path("-".join(names).replace("/", "."))
    refused = None
    with Live(folder, save_dvc_exp=False, dvcyaml=None) as live:
        for number, name in enumerate(names):
            try:
                live.log_metric(name, number + 0.5)
            except AttributeError as error:
                refused = str(error)
    tables = sorted(str(path.relative_to(folder / "plots/metrics")) for path in folder.rglob("*.tsv"))
    summary = json.loads((folder / "metrics.json").read_text())
    found[names[0]] = summary.get("loss"), tables, refused
    print(f"{names}: loss in metrics.json is {summary.get('loss')}, tables {tables}, error {refused}")
tables = ["loss.tsv", "loss/train.tsv"]
expected = (1.5, tables, None), (0.5, tables, "'float' object has no attribute 'copy'")
sys.exit(tuple(found.values()) != expected)
PYTHON
