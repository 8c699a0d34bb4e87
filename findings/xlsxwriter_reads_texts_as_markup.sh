#!/usr/bin/env bash
# XlsxWriter writes some texts as markup of rich text.
# One expects: write_string writes any text as it is, with markup escaped.
# What happens: a text that starts with <r> and ends with </r> is written unescaped, with and without constant_memory. A
# reader sees only what is between the inner tags, and write_string returns 0.
# Seen with: XlsxWriter 3.3.1, read with openpyxl 3.1.5.
# Consequence: tb2csv writes such texts by write_rich_string in several fragments, which are escaped.
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

texts = ["<r><t>note</t></r>", "<p><t>note</t></p>"]
with xlsxwriter.Workbook("texts.xlsx") as book:
    print("write_column returns", book.add_worksheet().write_column(0, 0, texts))
read = [cell.value for cell in openpyxl.load_workbook("texts.xlsx").active["A"]]
for written, found in zip(texts, read):
    print(f"{written!r} was written, {found!r} was read")
sys.exit(read != ["note", texts[1]])
PYTHON
