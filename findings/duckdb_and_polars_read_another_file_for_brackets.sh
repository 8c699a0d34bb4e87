#!/usr/bin/env bash
# A path that exists is expected to be read. DuckDB 2.0.1 and polars 2.1.0 take brackets in it for a pattern without
# looking whether there is such a file: for layer[1].csv they read layer1.csv, and report nothing. Escaping is up to the
# caller: polars has glob=False, DuckDB needs layer[[]1].csv. Tags such as layer[1] therefore have escaped file names.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0
cd "$work"
echo 'value
1' >'layer[1].csv'
echo 'value
2' >'layer1.csv'
"$work/venv/bin/python" - <<'PYTHON'
import sys

import duckdb
import polars as pl

seen = {
    "duckdb": duckdb.sql("SELECT value FROM 'layer[1].csv'").fetchall()[0][0],
    "duckdb, escaped": duckdb.sql("SELECT value FROM 'layer[[]1].csv'").fetchall()[0][0],
    "polars": pl.read_csv("layer[1].csv")["value"][0],
    "polars, glob=False": pl.read_csv("layer[1].csv", glob=False)["value"][0],
}
print(seen)
sys.exit(list(seen.values()) != [2, 1, 2, 1])
PYTHON
