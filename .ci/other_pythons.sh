#!/usr/bin/env bash
# tb2csv works on an older and on a newer Python than the one of .venv, if they are installed: with pyenv, or as
# python3.N on the PATH. The oldest that pyproject.toml admits is taken, and the newest. The tests are the quick ones
# that need neither a browser nor pictures: pixels depend on the version of matplotlib, and Python 3.10 has an older one.
# Their order is another one each time.
#
# What is tested is what wheels.sh left in dist: the older one builds the source distribution, the newer one takes the
# wheel that another Python built, and the tests are those of the source distribution, in the folder that it unpacks to.
set -eu
. "$(dirname "$0")/apart.sh"
test -e dist || .ci/wheels.sh
dist=$PWD/dist venv=$PWD/$venv
mkdir "$work/unpacked"
tar -xzf "$dist"/*.tar.gz --strip-components=1 -C "$work/unpacked"

minor_of() {
    # A Python without a lock is left out: few packages have wheels for it. A shim of pyenv may start nothing.
    "$1" -c 'import sys, sysconfig, venv, ensurepip
if not sysconfig.get_config_var("Py_GIL_DISABLED"): print(sys.version_info.minor)' 2>/dev/null || true
}

own=$(minor_of .venv/bin/python)
oldest=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\)"$/\1/p' pyproject.toml)
test -n "$own" && test -n "$oldest"

# By minor version, the first that was found.
declare -A found
for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python $(compgen -c python3. | grep -E "^python3\.[0-9]+$" | sort -u); do
    minor=$(minor_of "$candidate")
    if [ -n "$minor" ] && [ "$minor" -ge "$oldest" ] && [ -z "${found[$minor]:-}" ]; then
        found[$minor]=$candidate
    fi
done
older=$(printf '%s\n' "${!found[@]}" | awk -v own="$own" '$1 < own' | sort -n | head -n 1)
newer=$(printf '%s\n' "${!found[@]}" | awk -v own="$own" '$1 > own' | sort -n | tail -n 1)
test -n "$older" || echo "other Pythons: none older than 3.$own is installed; skipped"
test -n "$newer" || echo "other Pythons: none newer than 3.$own is installed; skipped"

# Their packages are today's, which may warn of a Python that is older or newer than theirs.
for minor in $older $newer; do
    python=${found[$minor]}
    echo "other Pythons: $("$python" --version)"
    new_environment "$python"
    built=$(echo "$dist"/*-abi3-*.whl)
    if [ "$minor" -lt 11 ]; then built=$work/unpacked; fi
    TB2CSV_REQUIRE_EXT=1 "$venv/bin/python" -m pip install --quiet "$built[pandas]" \
        hypothesis jinja2 pytest pytest-random-order pytest-xdist tensorboardX
    case $("$venv/bin/tb2csv" --version) in *"(compiled scanner)"*) ;; *) echo "The scanner is not compiled." >&2; exit 1 ;; esac
    order=$RANDOM
    echo "other Pythons: the order of the tests is that of --random-order-seed=$order"
    (cd "$work/unpacked" && "$venv/bin/pytest" -q --random-order-seed=$order -m 'not slow' -W ignore::DeprecationWarning --numprocesses=auto --dist=worksteal \
        tests/event_files/test_{damage,framing,scanner}.py \
        tests/runs/test_{against_event_accumulator,hparams_table,restarts,row_selection,subruns}.py \
        tests/tensorboard_plugin/test_*.py tests/cli/test_cli.py tests/layouts/test_layouts.py \
        tests/sinks/test_formats.py tests/sinks/test_output_folder.py tests/test_against_protos.py \
        tests/test_dataframes.py tests/test_growing_logs.py tests/test_logdir.py tests/test_tensor_protos.py "$@")
    rm -rf "$venv"
done
