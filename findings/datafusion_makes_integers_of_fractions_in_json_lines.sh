#!/usr/bin/env bash
# DataFusion cuts fractions off the numbers in JSON Lines if the first thousand rows have none.
# One expects: the numbers of the file, or an error, as DataFusion raises for a CSV file with the same numbers, and polars
# for the same JSON. pyarrow and DuckDB read them.
# What happens: the first 1000 rows decide that a column is int64, and a later 0.75 is 0, without a word.
# Seen with: datafusion 55.0.0, pyarrow 26.0.1, polars 2.1.0, DuckDB 2.0.1.
# Consequence: a rate that starts as 1, as JavaScript writes 1.0, becomes 0 after 1000 rows. In tb2csv's JSON Lines, floats
# have a point or an exponent.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  datafusion==55.0.0 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import duckdb
import polars as pl
import pyarrow.json
from datafusion import SessionContext

with open("log.jsonl", "w") as json_lines, open("log.csv", "w") as csv:
    print("step,rate", file=csv)
    for step in range(2000):
        rate = "1" if step < 1500 else "0.75"
        print(f'{{"step": {step}, "rate": {rate}}}', file=json_lines)
        print(f"{step},{rate}", file=csv)


def answer(read):
    try:
        return read()
    except Exception as error:
        return type(error).__name__


context = SessionContext()
context.register_json("json", "log.jsonl", file_extension=".jsonl")
context.register_csv("csv", "log.csv")
query = "select sum(rate) as total from"
found = {
    "DataFusion, JSON Lines": answer(lambda: context.sql(f"{query} json").to_pydict()["total"][0]),
    "DataFusion, CSV": answer(lambda: context.sql(f"{query} csv").to_pydict()["total"][0]),
    "DuckDB": answer(lambda: duckdb.sql(f"{query} 'log.jsonl'").pl()["total"][0]),
    "pyarrow": answer(lambda: pl.from_arrow(pyarrow.json.read_json("log.jsonl"))["rate"].sum()),
    "polars": answer(lambda: pl.read_ndjson("log.jsonl")["rate"].sum()),
}
print(f"sum of 1500 times 1 and 500 times 0.75: {found}")
right = 1875.0
sys.exit(list(found.values()) != [1500, "Exception", right, right, "ComputeError"])
PYTHON
