#!/usr/bin/env bash
# Expected: tf.init_scope leaves the function that is being traced, so a variable that is created in it has nothing to do
#   with the function, whichever trace it is.
# Happens: the first trace accepts the variable. When the function is traced again, for another shape, it raises
#   ValueError ("only supports singleton tf.Variables created on the first call"), also for one in init_scope. A variable
#   that another thread creates during the same trace is accepted and can be assigned in the graph, because the rule
#   belongs to the thread.
# Seen: TensorFlow 2.21.0.
# For tb2csv: a recorder that meets a new output of a layer in a later trace would stop the training; it creates the
#   variables for its statistics in another thread.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tensorflow==2.21.0
cat > "$work/trace.py" <<'PYTHON'
import sys
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf


def in_init_scope():
    with tf.init_scope():
        return tf.Variable(0.0)


def in_another_thread():
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(tf.Variable, 0.0).result()


def outcome(create):
    kept = {}

    @tf.function(autograph=False)
    def total(values):
        size = values.shape[0]
        if size not in kept:
            kept[size] = create()
        kept[size].assign_add(tf.reduce_sum(values))
        return values

    found = []
    for size in (1, 2):
        try:
            total(tf.ones(size))
            found.append(float(kept[size]))
        except ValueError as error:
            found.append(str(error).strip().splitlines()[-1])
    return found


seen = {create.__name__: outcome(create) for create in (in_init_scope, in_another_thread)}
for name, found in seen.items():
    print(f"{name}: first trace {found[0]}, second trace {found[1]}")
refused = "only supports singleton tf.Variables created on the first call" in str(seen["in_init_scope"][1])
sys.exit(not (refused and seen["in_init_scope"][0] == 1 and seen["in_another_thread"] == [1, 2]))
PYTHON
env -u PYTHONPATH TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" "$work/trace.py"
