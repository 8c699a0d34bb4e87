#!/usr/bin/env bash
# pandas.read_json loses digits by default, and precise_float=True is expected to mend it. In pandas 3.1.1 it does, but a
# valid JSON number below 2.2e-308, such as 5e-324, is then an error, "Range error when decoding numeric as double", for
# the whole file. Python's json module reads both. docs/readers.md therefore parses JSON Lines with it.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check pandas==3.1.1
"$work/venv/bin/python" - <<'PYTHON'
import io
import json
import sys

import pandas as pd

large, small = "3.4028235e+38", "5e-324"


def read(number, **options):
    try:
        return float(pd.read_json(io.StringIO(f'{{"x":{number}}}\n'), lines=True, dtype=False, **options)["x"][0])
    except ValueError as error:
        return str(error).split(" at ")[0]


seen = {"default": read(large), "precise": read(large, precise_float=True), "precise, small": read(small, precise_float=True)}
print(seen, "json:", json.loads(large), json.loads(small))
expected = seen["default"] != float(large) and seen["precise"] == float(large) and "Range error" in str(seen["precise, small"])
sys.exit(not expected)
PYTHON
