#!/usr/bin/env bash
# rustpy-xlsxwriter writes datetimes without their fraction of a second.
# One expects: milliseconds at least, which Excel can hold and XlsxWriter for Python writes.
# What happens: 03:04:05.678901 becomes 03:04:05, without a warning.
# Seen with: rustpy-xlsxwriter 0.8.0, read with openpyxl 3.1.5; XlsxWriter 3.3.1 for comparison.
# Consequence: wall times of steps that are less than a second apart become equal.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rustpy-xlsxwriter==0.8.0 openpyxl==3.1.5 xlsxwriter==3.3.1
cd "$work"
venv/bin/python - <<'PYTHON'
import datetime
import sys

import openpyxl
import rustpy_xlsxwriter
import xlsxwriter

moment = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
rustpy_xlsxwriter.write_worksheet([{"t": moment}], "rust.xlsx")
book = xlsxwriter.Workbook("python.xlsx")
book.add_worksheet().write_datetime(1, 0, moment, book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}))
book.close()
found = {}
for name in ("rust", "python"):
    cell = openpyxl.load_workbook(f"{name}.xlsx").active["A2"].value
    found[name] = cell.microsecond // 1000
    print(f"{name}: {cell}")
sys.exit(found["rust"] != 0 or found["python"] not in {678, 679})
PYTHON
