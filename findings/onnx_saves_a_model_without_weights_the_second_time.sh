#!/usr/bin/env bash
# onnx.save with external data takes the weights out of the model, and a second save writes a model without weights.
# One expects: saving leaves the model as it is, so that it can be saved to another folder, too.
# What happens: the first save moves the weights from the model in memory to the file. The second one, with the same
# arguments and another folder, writes a model that names a file of weights there, and writes no such file. It reports nothing;
# only loading fails. Without save_as_external_data the second save does the same.
# Seen with: onnx 1.23.2, numpy 2.4.6.
# Consequence: a save that succeeded may have written no weights; load the file again before the model is gone.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

weights = numpy_helper.from_array(np.arange(1000, dtype=np.float32), "weights")
node = helper.make_node("Identity", ["weights"], ["output"])
output = helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [1000])
model = helper.make_model(helper.make_graph([node], "graph", [], [output], [weights]))
files = {}
for folder, external in (("first", True), ("second", True), ("third", False)):
    os.mkdir(folder)
    options = {"save_as_external_data": True, "location": "weights.bin"} if external else {}
    onnx.save(model, f"{folder}/model.onnx", **options)
    files[folder] = sorted(os.listdir(folder))
    try:
        onnx.load(f"{folder}/model.onnx")
        loaded = "can be loaded"
    except onnx.checker.ValidationError:
        loaded = "cannot be loaded"
    print(f"{folder} save: {files[folder]}, {loaded}")
print(f"bytes of weights in memory: {len(model.graph.initializer[0].raw_data)}")
complete, bare = ["model.onnx", "weights.bin"], ["model.onnx"]
sys.exit(files != {"first": complete, "second": bare, "third": bare})
PYTHON
