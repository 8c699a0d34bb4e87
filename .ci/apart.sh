# shellcheck shell=bash
# Read by the other scripts here: an environment of its own, for tb2csv as it is installed from a copy of the sources.
#
# Gives $venv, where the environment is to be, $sources, the copy, and $work, a folder for what is written; the last two
# are removed at the end. These are scripts and no tests, because they fetch packages: the tests need no network.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.venv-$(basename "$0" .sh)
work=$(mktemp -d "$PWD/$venv.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PIP_CACHE_DIR="$PWD/.venv/pip-cache" PIP_DISABLE_PIP_VERSION_CHECK=1
# The first import compiles the modules that the tests need. pip would compile all of them, which takes twice as long.
export PIP_COMPILE=0 PYTHONDONTWRITEBYTECODE=

# What an earlier build left beside the sources would be taken for ours.
sources=$work/source
mkdir "$sources"
tar -cf - --exclude='*.so' --exclude='*.c' --exclude=__pycache__ pyproject.toml setup.py MANIFEST.in README.md LICENSE tb2csv |
    tar -xf - -C "$sources"

# new_environment [PYTHON]: makes $venv, empty, with the Python of the other tests if none is given.
new_environment() {
    "${1:-.venv/bin/python}" -m venv --clear "$venv"
}
