#!/usr/bin/env bash
# Where there is no C compiler, tb2csv installs all the same and its tables are the same, byte for byte.
#
# A script and no test, because it fetches packages: the tests need no network.
set -eu
cd "$(dirname "$0")/.."

venv=.venv-without-compiler
work=$(mktemp -d "$PWD/$venv.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PIP_CACHE_DIR="$PWD/.venv/pip-cache" PIP_DISABLE_PIP_VERSION_CHECK=1

# From a copy: what an earlier build left beside the sources would be taken for ours.
mkdir "$work/source"
tar -cf - --exclude='*.so' --exclude='*.c' --exclude=__pycache__ pyproject.toml setup.py MANIFEST.in README.md LICENSE tb2csv |
    tar -xf - -C "$work/source"
.venv/bin/python -m venv --clear "$venv"
CC=/bin/false "$venv/bin/python" -m pip install --quiet "$work/source"

version=$("$venv/bin/tb2csv" --version)
echo "without a compiler: $version"
case $version in
*"(reference scanner)"*) ;;
*)
    echo "A compiled scanner came from nowhere." >&2
    exit 1
    ;;
esac

# Status 3: some of the sample logs are damaged on purpose.
for one in .venv "$venv"; do
    "$one/bin/tb2csv" convert --quiet sample_logs "$work/tables-of-$one" || test $? -eq 3
done
diff -r "$work/tables-of-.venv" "$work/tables-of-$venv"
echo "without a compiler: the tables of sample_logs are the same"
rm -rf "$venv"
