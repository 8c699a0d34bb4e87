#!/usr/bin/env bash
# A column of type REAL is expected to keep every float64. SQLite 3.54.1 stores whole numbers of such a column as
# integers to save space, and so makes 0.0 of -0.0; a column without a type keeps it. pandas.to_sql and sqlite-utils
# declare float columns, so a copy of a table by way of SQLite is not the same bit for bit. NaN cannot be stored at all:
# SQLite makes NULL of it. docs/readers.md therefore reads the cells into columns without a type.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check apsw==3.54.1.0
"$work/venv/bin/python" - <<'PYTHON'
import math
import sys

import apsw

database = apsw.Connection(":memory:")
database.execute("CREATE TABLE numbers (typed REAL, untyped)")
database.execute("INSERT INTO numbers VALUES (?, ?)", (-0.0, -0.0))
signs = [math.copysign(1, number) for number in next(database.execute("SELECT typed, untyped FROM numbers"))]
print(f"SQLite {apsw.sqlitelibversion()}: the sign of -0.0 is {signs[0]:+.0f} in a REAL column, {signs[1]:+.0f} without a type")
sys.exit(signs != [1, -1])
PYTHON
