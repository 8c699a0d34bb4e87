#!/usr/bin/env bash
# tb2csv works with the oldest packages that pyproject.toml admits, and in the oldest TensorBoard, as with the newest,
# which `make test` has. The compiled scanner is left out here, so that the reference works in TensorBoard as well.
set -eu
. "$(dirname "$0")/apart.sh"
new_environment

# `name>=1.2` becomes `name==1.2.*`, as some of them never had a bare 1.2.
sed -n '/^dependencies = \[/,/^\]/p; /^pandas = /p' pyproject.toml | grep -o '"[A-Za-z0-9-]*>=[0-9.]*' |
    sed 's/"\(.*\)>=\(.*\)/\1==\2.*/' >"$work/oldest.txt"
test "$(wc -l <"$work/oldest.txt")" -gt 8
# What TensorBoard 2.12 needs and does not ask for: pkg_resources and six.
TB2CSV_SKIP_EXT=1 "$venv/bin/python" -m pip install --quiet -c "$work/oldest.txt" "$sources[pandas]" \
    hypothesis pytest pytest-xdist 'setuptools<81' six
sort "$work/oldest.txt"

# The command pytest, because `python -m pytest` would import tb2csv from here and not what was installed. Packages of
# today beside old ones warn of each other. SQL needs a later polars, and tests/test_sql.py has what older ones say. Of
# the slow tests, those of the tab are run, because they start the oldest TensorBoard; the others spend their time on
# data and processes, whatever the packages.
run_tests() {
    "$venv/bin/pytest" -q -W ignore::DeprecationWarning --numprocesses=auto --dist=worksteal "$@"
}
run_tests tests/tensorboard_plugin/test_*.py "$@"
run_tests -m 'not slow' tests/cli/test_cli.py tests/runs/test_subruns.py tests/sinks/test_formats.py \
    tests/sinks/test_output_folder.py tests/test_dataframes.py tests/test_lazy_frames.py tests/test_logdir.py "$@"
rm -rf "$venv"
