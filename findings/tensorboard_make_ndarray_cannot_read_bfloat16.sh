#!/usr/bin/env bash
# TensorBoard's make_ndarray cannot read a bfloat16 tensor whose content is bytes, as TensorFlow writes it.
# One expects: an array of float32 or of ml_dtypes.bfloat16, as tf.make_ndarray returns.
# What happens: TensorBoard's own table of dtypes has the number 0 instead of a NumPy type for bfloat16, and
# make_ndarray raises TypeError: Cannot interpret '0' as a data type, also if TensorFlow and ml_dtypes are installed.
# float16 in the same form is read.
# Seen with: tensorboard 2.21.0, ml_dtypes 0.6.0, numpy 2.4.6.
# Consequence: bfloat16 tensors are decoded without TensorBoard, and tests compare their bytes.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0 ml_dtypes==0.6.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import ml_dtypes
import numpy as np
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.util.tensor_util import make_ndarray

read = {}
for number, dtype in ((19, np.float16), (14, ml_dtypes.bfloat16)):  # DT_HALF, DT_BFLOAT16
    array = np.array([1.0, -2.5], dtype)
    proto = TensorProto(dtype=number, tensor_content=array.tobytes())
    proto.tensor_shape.dim.add(size=2)
    try:
        read[array.dtype.name] = make_ndarray(proto).tolist()
    except TypeError as error:
        read[array.dtype.name] = f"TypeError: {error}"
print(read)
sys.exit(read != {"float16": [1.0, -2.5], "bfloat16": "TypeError: Cannot interpret '0' as a data type"})
PYTHON
