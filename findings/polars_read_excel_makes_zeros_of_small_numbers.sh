#!/usr/bin/env bash
# polars.read_excel makes "0" of numbers below 5e-10 if one cell of their column is the text "inf".
# One expects: numbers and infinity, as pandas.read_excel gives; or texts with all digits of the numbers.
# What happens: a text makes the column one of texts, and each number becomes a text with nine decimals: 1.5e-10 becomes
# "0". With the text "NaN" in its place the column has numbers, and NaN.
# Seen with: polars 2.1.0, fastexcel 0.21.0, pandas 3.1.1, openpyxl 3.1.5.
# Consequence: Excel has no infinity, so that writers of workbooks use this text. Learning rates and gradients of a run
# that diverged are lost when the column is converted to numbers. schema_overrides={"loss": polars.Float64} reads all.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 fastexcel==0.21.0 pandas==3.1.1 openpyxl==3.1.5
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import openpyxl
import pandas as pd
import polars as pl

found = {}
for text in ("NaN", "inf"):
    book = openpyxl.Workbook()
    for cell in ("loss", 0.25, 1.5e-7, 1.5e-10, text):
        book.active.append([cell])
    book.save("loss.xlsx")
    loss = pl.read_excel("loss.xlsx")["loss"]
    requested = pl.read_excel("loss.xlsx", schema_overrides={"loss": pl.Float64})["loss"]
    by_pandas = pd.read_excel("loss.xlsx", engine="openpyxl")["loss"]
    found[text] = [loss.to_list(), requested.to_list(), by_pandas.tolist()]
    print(f"{text}: polars {found[text][0]}, with a schema {found[text][1]}, pandas {found[text][2]}")
with_nan = [0.25, 1.5e-7, 1.5e-10, float("nan")]
with_infinity = [0.25, 1.5e-7, 1.5e-10, float("inf")]
expected = {"NaN": [with_nan] * 3, "inf": [["0.25", "0.00000015", "0", "inf"], with_infinity, with_infinity]}
sys.exit(str(found) != str(expected))
PYTHON
