#!/usr/bin/env bash
# Exponential smoothing by pandas leaves no trace of an infinity.
# One expects: infinity there and no finite number afterwards, as polars gives, because each mean includes all numbers before.
# What happens: ewm() takes infinity for a missing number, and a missing number repeats the last mean. The smoothed curve of
# a loss that became infinite goes straight on at its last finite level. rolling() gives NaN for each window that has an
# infinity, instead of infinity, and with min_periods=1 the mean of the other numbers.
# Seen with: pandas 3.1.1, polars 2.1.0, numpy 2.4.6.
# Consequence: a run that diverged looks converged once its curve is smoothed. Look for infinities before smoothing.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 polars==2.1.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import math
import sys

import pandas as pd
import polars as pl

loss = [4.0, 2.0, 2.0, math.inf, math.inf]
found = {
    "pandas, ewm": pd.Series(loss).ewm(alpha=0.5, adjust=False).mean().tolist(),
    "polars, ewm": pl.Series(loss).ewm_mean(alpha=0.5, adjust=False).to_list(),
    "pandas, rolling": pd.Series(loss).rolling(2, min_periods=1).mean().tolist(),
    "polars, rolling": pl.Series(loss).rolling_mean(2, min_samples=1).to_list(),
}
for name, smoothed in found.items():
    print(f"{name}: {smoothed}")
expected = [
    [4.0, 3.0, 2.5, 2.5, 2.5],
    [4.0, 3.0, 2.5, math.inf, math.nan],
    [4.0, 3.0, 2.0, 2.0, math.nan],
    [4.0, 3.0, 2.0, math.inf, math.inf],
]
sys.exit(str(list(found.values())) != str(expected))
PYTHON
