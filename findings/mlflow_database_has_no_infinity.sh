#!/usr/bin/env bash
# MLflow gives 1.7976931348623157e+308 back for a metric that is infinite, if it stores metrics in a database.
# One expects: infinity, as from MLflow's store of files; NaN comes back from both.
# What happens: the store of a database replaces infinity by the largest float64, and logs nothing. Zero loses its sign as
# well: SQLite makes 0.0 of -0.0.
# Seen with: mlflow-skinny 3.17.2, sqlalchemy 2.1.9, Python 3.11.
# Consequence: a comparison with math.inf finds no run that diverged, and a mean over runs is a large number or overflows.
# A table that is made of event files has infinity there.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1 numpy==2.4.6
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import math
import os
import sys

from mlflow.tracking import MlflowClient

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
values = [0.5, math.inf, -math.inf, math.nan, -0.0]
found = {}
for store in ("sqlite:///runs.db", "file:./runs"):
    client = MlflowClient(store)
    run = client.create_run(client.create_experiment("training")).info.run_id
    for step, value in enumerate(values):
        client.log_metric(run, "loss", value, step=step)
    history = sorted(client.get_metric_history(run, "loss"), key=lambda metric: metric.step)
    found[store] = [metric.value for metric in history]
    print(f"{store}: {found[store]}")
largest = sys.float_info.max
expected = {"sqlite:///runs.db": [0.5, largest, -largest, math.nan, 0.0], "file:./runs": values}
sys.exit(str(found) != str(expected))
PYTHON
