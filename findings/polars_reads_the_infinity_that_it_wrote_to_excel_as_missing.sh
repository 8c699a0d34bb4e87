#!/usr/bin/env bash
# polars writes infinity and NaN to Excel as formulas, and reads them back as missing.
# One expects: texts, as pandas writes inf, or numbers, or a refusal, as XlsxWriter's own default; at least a difference
# between a number that is infinite and one that is not there.
# What happens: inf is the formula =1/0 with the error #DIV/0!, -inf is =-1/0 with the same error, and NaN is =#NUM!.
# pl.read_excel gives null for all of them, and pandas NaN. pandas' own file gives inf back.
# Seen with: polars 2.1.0, XlsxWriter 3.3.1, fastexcel 0.21.0, pandas 3.1.1, openpyxl 3.1.5.
# Consequence: a loss that overflowed is a step without a loss after a round trip through a workbook. tb2csv writes the
# words.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  polars==2.1.0 XlsxWriter==3.3.1 fastexcel==0.21.0 pandas==3.1.1 openpyxl==3.1.5 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
import math
import sys

import openpyxl
import pandas as pd
import polars as pl

values = [0.5, math.inf, -math.inf, math.nan]
columns = {"step": [0, 1, 2, 3], "loss": values}
pl.DataFrame(columns).write_excel("polars.xlsx")
pd.DataFrame(columns).to_excel("pandas.xlsx", index=False)
found = {}
for writer in ("polars", "pandas"):
    path = f"{writer}.xlsx"
    cells = [row[1].value for row in openpyxl.load_workbook(path).active.iter_rows(min_row=2)]
    found[writer] = cells, pl.read_excel(path)["loss"].to_list(), pd.read_excel(path)["loss"].tolist()
    print(f"written by {writer}: cells {cells}, read by polars {found[writer][1]}, by pandas {found[writer][2]}")
cells, of_polars, of_pandas = found["polars"]
sys.exit(
    cells != [0.5, "=1/0", "=-1/0", "=#NUM!"]
    or of_polars != [0.5, None, None, None]
    or of_pandas[0] != 0.5
    or not all(map(math.isnan, of_pandas[1:]))
    or found["pandas"][2][:3] != [0.5, math.inf, -math.inf]
)
PYTHON
