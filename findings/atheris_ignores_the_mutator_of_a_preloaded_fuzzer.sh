#!/usr/bin/env bash
# One expects: atheris.Setup(…, custom_mutator=mutate) calls mutate, also when libFuzzer is preloaded with a sanitizer.
# What happens: with LD_PRELOAD=asan_with_fuzzer.so, as atheris' page on native extensions recommends, mutate is never
# called, and nothing says so. libFuzzer looks for a mutator when it is loaded, and atheris loads its own only later.
# Seen with: atheris 3.0.0, Python 3.11 on Linux.
# Consequence: inputs with checksums were mutated blindly, and stayed at the checksum. tests/fuzzing/sanitized_scanner.py
# preloads the module atheris.custom_mutator as well, which lets libFuzzer find the mutator.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet atheris==3.0.0

cat >"$work/count.py" <<'PYTHON'
import os
import sys

import atheris

calls = 0


def mutate(data, max_size, seed):
    global calls
    calls += 1
    return atheris.Mutate(data, max_size)


@atheris.instrument_func
def run(data):
    if data[:1] == b"a":
        return 1
    return 2


def count():
    print(calls, flush=True)
    os._exit(0)


executed = 0


def run_some(data):
    global executed
    executed += 1
    run(data)
    if executed == 2000:
        count()


atheris.Setup([sys.argv[0], "-detect_leaks=0"], run_some, custom_mutator=mutate)
atheris.Fuzz()
PYTHON

packages=$("$work/venv/bin/python" -c 'import pathlib, atheris; print(pathlib.Path(atheris.__file__).parents[1])')
fuzzer=$packages/asan_with_fuzzer.so
built_in=$("$work/venv/bin/python" "$work/count.py" 2>/dev/null)
preloaded=$(env LD_PRELOAD="$fuzzer" "$work/venv/bin/python" "$work/count.py" 2>/dev/null)
both=$(env LD_PRELOAD="$fuzzer $(echo "$packages"/atheris/custom_mutator.*.so)" "$work/venv/bin/python" "$work/count.py" 2>/dev/null)
echo "calls of the mutator in 2,000 executions: $built_in with the fuzzer of the package, $preloaded with a preloaded one,"
echo "$both if the module custom_mutator is preloaded as well"
test "$built_in" -gt 1000
test "$preloaded" -eq 0
test "$both" -gt 1000
