#!/usr/bin/env bash
# NumPy prints a float32 as 7.038531e-26, and makes another float32 of this text.
# One expects: the digits that NumPy prints identify the number, so that np.float32, astype, loadtxt and genfromtxt bring
# it back.
# What happens: NumPy prints the fewest digits that identify the float32, but reads them as a float64, which it rounds
# again. This float64 is in the middle between two float32, and the even one is the neighbor. pyarrow, polars and DuckDB
# read a column of float32 without the detour and are right; pandas is not.
# Seen with: numpy 2.4.6, pandas 3.1.1, pyarrow 26.0.1, polars 2.1.0, DuckDB 2.0.1.
# Consequence: short texts of float32 must be read as float32, as tb2csv does when it restores a state. Texts with the digits
# of the float64 come back by both ways.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from pyarrow import csv

number = np.uint32(0x15AE43FD).view(np.float32)
text = str(number)
Path("short.csv").write_text(f"value\n{text}\n")
Path("long.csv").write_text(f"value\n{float(number)!r}\n")


def read(path):
    options = csv.ConvertOptions(column_types={"value": pa.float32()})
    return {
        "np.float32": np.float32(Path(path).read_text().split()[1]),
        "np.loadtxt": np.loadtxt(path, np.float32, skiprows=1),
        "np.genfromtxt": np.genfromtxt(path, np.float32, skip_header=1),
        "pandas": pd.read_csv(path, dtype=np.float32)["value"][0],
        "pyarrow": csv.read_csv(path, convert_options=options)["value"].to_numpy()[0],
        "polars": pl.read_csv(path, schema={"value": pl.Float32})["value"].to_numpy()[0],
        "DuckDB": duckdb.sql(f"FROM read_csv('{path}', columns={{'value': 'FLOAT'}})").fetchnumpy()["value"][0],
    }


right = {path: {name: bool(value == number) for name, value in read(path).items()} for path in ("short.csv", "long.csv")}
print(f"printed: {text}, as float64: {float(number)!r}")
for path, readers in right.items():
    print(f"{path}: brought back by {[name for name, same in readers.items() if same]}")
expected = dict.fromkeys(["np.float32", "np.loadtxt", "np.genfromtxt", "pandas"], False)
expected |= dict.fromkeys(["pyarrow", "polars", "DuckDB"], True)
sys.exit(right["short.csv"] != expected or not all(right["long.csv"].values()))
PYTHON
