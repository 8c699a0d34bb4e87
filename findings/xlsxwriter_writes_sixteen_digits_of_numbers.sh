#!/usr/bin/env bash
# XlsxWriter writes numbers with 16 digits, one too few for some of them.
# One expects: a float64 comes back, because cells of a workbook are float64 and files can have 17 digits.
# What happens: sums of decimals, and times in seconds since 1970, come back as another number, without a warning.
# Seen with: XlsxWriter 3.3.1, read with openpyxl 3.1.5.
# Consequence: tb2csv passes numbers of a subclass of float whose __format__ gives all digits.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xlsxwriter==3.3.1 openpyxl==3.1.5
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import openpyxl
import xlsxwriter

numbers = [0.1 + 0.2, 1795262886.9495573]
with xlsxwriter.Workbook("numbers.xlsx") as book:
    book.add_worksheet().write_column(0, 0, numbers)
read = [cell.value for cell in openpyxl.load_workbook("numbers.xlsx").active["A"]]
for written, found in zip(numbers, read):
    print(f"{written!r} was written, {found!r} was read")
sys.exit(not all(written != found for written, found in zip(numbers, read)))
PYTHON
