#!/usr/bin/env bash
# The compiled modules work on a Python without a global lock: `free_threaded.sh [PYTHON]`, by default one of pyenv or of
# the PATH. All of tb2csv cannot be installed there yet: docs/decisions/0019-wheels.md. So this takes what reads event
# files, and of TensorBoard its messages.
set -eu
python=${1:-}
for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*t/bin/python $(compgen -c python3. | grep -E '^python3\.[0-9]+t$' | sort -u); do
    if [ -z "$python" ] && "$candidate" -c 'import venv' 2>/dev/null; then python=$candidate; fi
done
if [ -z "$python" ]; then
    echo "no Python without a global lock is installed; skipped"
    exit
fi
python=$(command -v "$python")
. "$(dirname "$0")/apart.sh"
here=$PWD
new_environment "$python"
"$venv/bin/python" -m pip install --quiet --only-binary=numpy Cython google-crc32c numpy protobuf setuptools
"$venv/bin/python" -m pip install --quiet --no-deps tensorboard
venv=$PWD/$venv
cd "$sources"
TB2CSV_REQUIRE_EXT=1 "$venv/bin/python" setup.py -q build_ext --inplace 2>/dev/null
# google-crc32c has no wheels for these Pythons, and warns that its code in Python is slow.
PYTHONPATH="$sources:$here/tests" "$venv/bin/python" -W ignore::RuntimeWarning "$here/.ci/free_threaded.py"
rm -rf "$venv"
