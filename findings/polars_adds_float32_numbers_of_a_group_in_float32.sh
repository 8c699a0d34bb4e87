#!/usr/bin/env bash
# polars adds the float32 numbers of a group one by one in float32, and without groups it does not.
# One expects: the sum of a group is the sum of the same rows without groups, which polars gets right, and the mean of the
# group times its length. DuckDB and pyarrow add float32 numbers in float64.
# What happens: the sum of a group of ones ends at 2**24 = 16,777,216, or at so much for each thread. That of a million
# times 0.1 is 1% too large with one thread, and 0.35% with two. The means are right. This concerns lazy frames and SQL;
# groups of an eager frame are added more exactly.
# Seen with: polars 2.1.0; DuckDB 2.0.1, pyarrow 26.0.1.
# Consequence: scalars are float32. tb2csv's SQL makes them float64 before it adds them.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 numpy==2.4.6
cd "$work"
POLARS_MAX_THREADS=1 venv/bin/python - <<'PYTHON'
import sys

import duckdb
import numpy as np
import polars as pl


def sums(numbers):
    frame = pl.DataFrame({"run": np.zeros(len(numbers), np.int64), "value": numbers})
    lazy = frame.lazy()
    table = frame.to_arrow()
    query = "select run, sum(value) as total from frame group by run"
    return {
        "group, lazy": lazy.group_by("run").agg(pl.col("value").sum()).collect()["value"][0],
        "group, SQL": pl.SQLContext(frame=lazy).execute(query, eager=True)["total"][0],
        "length times mean of group": lazy.group_by("run").agg(pl.len() * pl.col("value").mean()).collect()["len"][0],
        "no group": lazy.select(pl.col("value").sum()).collect()["value"][0],
        "group, DuckDB": duckdb.from_arrow(table).aggregate("sum(value) as total", "run").pl()["total"][0],
        "group, pyarrow": table.group_by("run").aggregate([("value", "sum")])["value_sum"][0].as_py(),
    }


ones = sums(np.ones(20_000_000, np.float32))
tenths = sums(np.full(1_000_000, 0.1, np.float32))
for name in ones:
    print(f"{name}: {ones[name]:,.1f} for twenty million ones, {tenths[name]:,.1f} for a million times 0.1")
is_off = {name: ones[name] != 20_000_000 or abs(tenths[name] - 100_000) > 1 for name in ones}
sys.exit(is_off != {name: name in ("group, lazy", "group, SQL") for name in ones} or ones["group, lazy"] != 2**24)
PYTHON
