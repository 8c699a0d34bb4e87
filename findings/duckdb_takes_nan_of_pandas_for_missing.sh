#!/usr/bin/env bash
# DuckDB takes NaN in a pandas DataFrame or a NumPy array for NULL, and NaN in a frame of polars or pyarrow for NaN.
# One expects: one query over the same numbers has one answer, whichever library holds them. pandas 3 has columns with a
# mask for missing numbers, and a plain float64 column none.
# What happens: avg, max and count leave the NaN out if the numbers come from pandas or NumPy, so the mean of a loss that
# became NaN is finite. From polars, pyarrow and CSV files the mean is NaN.
# Seen with: duckdb 2.0.1, pandas 3.1.1, polars 2.1.0, pyarrow 26.0.1, numpy 2.4.6.
# Consequence: give DuckDB the frames of polars that tb2csv returns, not their to_pandas().
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  duckdb==2.0.1 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import math
import sys

import duckdb
import numpy as np
import pandas as pd
import polars as pl

array = np.array([1.0, math.nan, 3.0])
frame = pl.DataFrame({"loss": array})
frame.write_csv("loss.csv")
holders = {
    "polars": frame,
    "pyarrow": frame.to_arrow(),
    "CSV": duckdb.read_csv("loss.csv"),
    "pandas": pd.DataFrame({"loss": array}),
    "NumPy": {"loss": array},
}
seen = {}
for name, holder in holders.items():
    mean, count = duckdb.sql("SELECT avg(loss), count(loss) FROM holder").fetchall()[0]
    seen[name] = str(mean), count
    print(f"{name}: mean {mean} of {count} numbers")
sys.exit(list(seen.values()) != 3 * [("nan", 3)] + 2 * [("2.0", 2)])
PYTHON
