#!/usr/bin/env bash
# onnx and onnxruntime disagree on weights that are a link to another file in the folder of the model.
# One expects: a model that one of them loads can be loaded by the other.
# What happens: onnxruntime follows a symbolic link that stays in the folder, and takes a file with two names. onnx.load
# refuses both, and onnx.checker with the path of the model as well.
# Seen with: onnxruntime 1.32.0, onnx 1.23.2.
# Consequence: a check by onnx.checker before onnxruntime runs the model refuses models that work, such as those that a
# deduplicating file store has linked. tb2csv predict resolves the path of each weight itself: it must be in the folder.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

np.arange(4, dtype=np.float32).tofile("weights.bin")
os.symlink("weights.bin", "link.bin")
np.arange(4, dtype=np.float32).tofile("first_name.bin")
os.link("first_name.bin", "second_name.bin")


def works(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except Exception as error:
        return type(error).__name__
    return "works"


found = {}
for location in ("weights.bin", "link.bin", "second_name.bin"):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "graph", ends[:1], ends[1:], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with open("model.onnx", "wb") as file:
        file.write(model.SerializeToString())
    found[location] = (
        works(onnxruntime.InferenceSession, "model.onnx", providers=["CPUExecutionProvider"]),
        works(onnx.load, "model.onnx"),
        works(onnx.checker.check_model, "model.onnx"),
    )
    print(f"{location}: onnxruntime {found[location][0]}, onnx.load and checker {found[location][1:]}")
refused = ("works", "ValidationError", "ValidationError")
expected = {"weights.bin": ("works",) * 3, "link.bin": refused, "second_name.bin": refused}
sys.exit(found != expected)
PYTHON
