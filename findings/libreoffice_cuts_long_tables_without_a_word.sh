#!/usr/bin/env bash
# A conversion that cannot take all rows is expected to fail. A sheet of LibreOffice 7.4.7 has 1,048,576 rows, and
# soffice --convert-to drops those after them: no message on either stream, and the exit status is 0. docs/readers.md
# names the limit. Needs LibreOffice Calc.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT

rows=1048600
{ echo step; seq "$rows"; } >"$work/long.csv"
soffice "-env:UserInstallation=file://$work/profile" --headless --infilter=CSV:44,34,76,1 \
    --convert-to "csv:Text - txt - csv (StarCalc):44,34,76,1" --outdir "$work/out" "$work/long.csv" >"$work/printed" 2>&1
echo "exit status $?; printed:"
cat "$work/printed"
echo "rows before: $rows, after: $(($(wc -l <"$work/out/long.csv") - 1)), last: $(tail -n 1 "$work/out/long.csv")"
test "$(tail -n 1 "$work/out/long.csv")" = 1048575
if grep -qiE 'rows|truncate|limit' "$work/printed"; then exit 1; fi
