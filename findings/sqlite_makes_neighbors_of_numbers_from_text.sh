#!/usr/bin/env bash
# Text that becomes a REAL is expected to become the nearest float64, as in Python and C. SQLite 3.46.1 gives a neighbor
# for one in some thousands, at ordinary sizes too: 5244.358583097674 becomes 5244.3585830976735. SQLite 3.50.4 is right
# there, but not at the ends of the range; 3.54.1 is right in all that was tried. `.import` into a typed table therefore
# changes numbers, and docs/readers.md makes numbers of texts before SQLite gets them.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT

python3 -m venv "$work/venv"
count() {
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "apsw==$1"
    "$work/venv/bin/python" - <<'PYTHON'
import apsw

numbers = [5244.358583097674, 24368873.6958478, 7.654927133881691e-231, 2.2790121708605243e274]
database = apsw.Connection(":memory:")
database.execute("CREATE TABLE numbers (number REAL)")
database.executemany("INSERT INTO numbers VALUES (?)", [(repr(number),) for number in numbers])
read = [number for (number,) in database.execute("SELECT number FROM numbers ORDER BY rowid")]
print(apsw.sqlitelibversion(), [(text, got) for text, got in zip(numbers, read) if text != got])
PYTHON
}
for version in 3.46.1.0 3.50.4.0 3.54.1.0; do
    count "$version"
done | tee "$work/seen"
grep -q '^3.46.1 .*(5244.358583097674, 5244.3585830976735)' "$work/seen"
grep -q '^3.50.4 .*(7.654927133881691e-231, 7.654927133881692e-231)' "$work/seen"
grep -q '^3.54.1 \[\]$' "$work/seen"
