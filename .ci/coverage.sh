#!/usr/bin/env bash
# The lines and branches that the tests reach, in one report of both environments: recorders and predictions are tested
# beside their frameworks alone. It costs a third more processor time than the tests, so .ci/run leaves it out, and
# test.yml has a job of its own.
set -eu
cd "$(dirname "$0")/.."
make .venv/installed-test .venv-training/installed browser shells
parallel="--numprocesses=auto --dist=worksteal"
.venv/bin/python -m coverage erase
# The report follows whether or not tests fail.
status=0
.venv/bin/python -m coverage run -m pytest --ignore=tests/training $parallel "$@" || status=$?
.venv-training/bin/python -m coverage run -m pytest tests/training $parallel "$@" || status=$?
.venv/bin/python -m coverage combine --quiet
.venv/bin/python -m coverage report || status=$?
exit "$status"
