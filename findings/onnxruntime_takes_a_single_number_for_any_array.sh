#!/usr/bin/env bash
# onnxruntime does not distinguish an input that is a single number from one of any rank.
# One expects: an array of 2 x 3 is refused for an input that is declared as a single number, as it is for one of 4 numbers
# ("Invalid rank for input"). get_inputs()[0].shape is [] for it, and something else if the rank is not declared.
# What happens: the shape is [] for both, and both take the array. The model computes with it; only a warning is logged.
# Seen with: onnxruntime 1.32.0, onnx 1.23.2.
# Consequence: the session neither shows nor checks that an input has no samples. tb2csv predict takes the shapes from the
# file, in which the one has a shape without dimensions and the other has no shape.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def session(shape):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


found = {}
for name, shape in {"any rank": None, "a single number": [], "4 numbers": [4]}.items():
    model = session(shape)
    try:
        result = str(model.run(None, {"x": np.zeros((2, 3), np.float32)})[0].shape)
    except Exception as error:
        result = type(error).__name__
    found[name] = (model.get_inputs()[0].shape, result)
    print(f"{name}: shape {found[name][0]}, and an array of 2 x 3 gives {result}")
expected = {"any rank": ([], "(2, 3)"), "a single number": ([], "(2, 3)"), "4 numbers": ([4], "InvalidArgument")}
sys.exit(found != expected)
PYTHON
