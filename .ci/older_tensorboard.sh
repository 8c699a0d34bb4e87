#!/usr/bin/env bash
# The Export tab works in the oldest TensorBoard that tb2csv is for, as in the newest, which `make test` has.
#
# A script and no test, because it fetches packages: the tests need no network.
set -eu
cd "$(dirname "$0")/.."

venv=.venv-older-tensorboard
work=$(mktemp -d "$PWD/$venv.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PIP_CACHE_DIR="$PWD/.venv/pip-cache" PIP_DISABLE_PIP_VERSION_CHECK=1

# From a copy, as what an earlier build left beside the sources would be taken along.
mkdir "$work/source"
tar -cf - --exclude='*.so' --exclude='*.c' --exclude=__pycache__ pyproject.toml setup.py MANIFEST.in README.md LICENSE tb2csv |
    tar -xf - -C "$work/source"
.venv/bin/python -m venv --clear "$venv"
# What TensorBoard 2.12 works with: it asks for pkg_resources, numpy.string_ and six, and says so nowhere.
TB2CSV_SKIP_EXT=1 "$venv/bin/python" -m pip install --quiet "$work/source" hypothesis pytest \
    'tensorboard==2.12.*' 'numpy<2' 'protobuf<5' 'setuptools<81' six

# By its own command: `python -m pytest` would import tb2csv from here, and not what was installed.
"$venv/bin/pytest" tests/test_plugin_*.py "$@"
rm -rf "$venv"
