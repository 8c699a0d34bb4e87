#!/usr/bin/env bash
# A text with a carriage return or with _x0041_ is another text after a workbook that openpyxl wrote or read.
# One expects: a cell has the text that was put in. Workbooks escape characters as _xHHHH_, and a text that looks like this
# has its own underscore escaped.
# What happens: openpyxl writes _x0041_ as it is, which other readers take for A, and a carriage return as a raw character,
# which XML makes a line feed of. Of a file of XlsxWriter, which escapes both, it returns a_x000D_b for the carriage return.
# Seen with: openpyxl 3.1.5, XlsxWriter 3.3.1, fastexcel 0.21.0, polars 2.1.0.
# Consequence: hyperparameters and logged texts with line ends of Windows change in one pair of writer and reader in two.
# XlsxWriter and the readers made with calamine agree.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  openpyxl==3.1.5 XlsxWriter==3.3.1 fastexcel==0.21.0 polars==2.1.0
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import openpyxl
import polars as pl
import xlsxwriter

texts = ["_x0041_", "line\r\nline"]
book = openpyxl.Workbook()
for row, text in enumerate(["text", *texts], 1):
    book.active.cell(row, 1, text)
book.save("openpyxl.xlsx")
with xlsxwriter.Workbook("XlsxWriter.xlsx") as workbook:
    workbook.add_worksheet().write_column(0, 0, ["text", *texts])
found = {}
for writer in ("openpyxl", "XlsxWriter"):
    path = f"{writer}.xlsx"
    of_openpyxl = [row[0].value for row in openpyxl.load_workbook(path).active.iter_rows(min_row=2)]
    found[writer] = of_openpyxl, pl.read_excel(path)["text"].to_list()
    print(f"written by {writer}: read by openpyxl {of_openpyxl}, by polars {found[writer][1]}")
expected = {
    "openpyxl": (["_x0041_", "line\nline"], ["A", "line\nline"]),
    "XlsxWriter": (["_x0041_", "line_x000D_\nline"], texts),
}
sys.exit(found != expected)
PYTHON
