#!/usr/bin/env bash
# Expected: select max(value) gives the same from the SQL of DuckDB and of polars, which both say that NaN is equal to
#           NaN and greater than every number: the order by value desc of both puts NaN first.
# Happens:  max of DuckDB follows that order and is NaN. max of polars skips NaN, so max(value) is not the first row of
#           order by value desc. min is the same in both, and so are where value > 1000 and avg, which have NaN.
# Versions: polars 2.1.0, DuckDB 2.0.1, Python 3.11.
# Hence:    a loss that became NaN is not seen in polars' max; docs/sql.md says so, and the tests that compare both
#           programs leave NaN out.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet polars==2.1.0 duckdb==2.0.1
"$work/venv/bin/python" - <<'PYTHON'
import math

import duckdb
import polars as pl

values = [0.5, math.nan, 2.0]
tables = pl.SQLContext(losses=pl.DataFrame({"value": values}))
connection = duckdb.connect()
connection.execute("create table losses as select unnest([0.5, 'nan'::double, 2.0]) as value")


def both(query):
    of_polars, of_duckdb = tables.execute(query).collect().rows(), connection.execute(query).fetchall()
    print(f"{query}: polars {of_polars}, DuckDB {of_duckdb}")
    return of_polars, of_duckdb


(highest,), (duck_highest,) = both("select max(value) as high from losses")
lowest, duck_lowest = both("select min(value) as low from losses")
ordered, duck_ordered = both("select value from losses order by value desc limit 1")
large, duck_large = both("select count(*) as n from losses where value > 1000")
as_seen = (
    highest == (2.0,)
    and math.isnan(duck_highest[0])
    and lowest == duck_lowest == [(0.5,)]
    and math.isnan(ordered[0][0])
    and math.isnan(duck_ordered[0][0])
    and large == duck_large == [(1,)]
)
raise SystemExit(not as_seen)
PYTHON
