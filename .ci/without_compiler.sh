#!/usr/bin/env bash
# Where there is no C compiler, tb2csv installs all the same and its tables are the same, byte for byte.
set -eu
. "$(dirname "$0")/apart.sh"
new_environment

CC=/bin/false "$venv/bin/python" -m pip install --quiet "$sources"

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
diff -r --exclude=.tb2csv "$work/tables-of-.venv" "$work/tables-of-$venv"
echo "without a compiler: the tables of sample_logs are the same"
rm -rf "$venv"
