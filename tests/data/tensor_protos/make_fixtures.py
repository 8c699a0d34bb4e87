"""Write tensor_protos.json: TensorProtos that TensorFlow and PyTorch serialized, and the values they were given.

Run with TensorFlow, PyTorch and ml_dtypes installed: ``python tests/data/tensor_protos/make_fixtures.py``.

The values are noted as they went in (or, for shorthand protos, as TensorFlow's C++ reads them), not as tb2csv decodes
them: floats as ``float.hex``, complex numbers as two of those, integers and bools in decimal, strings as hex of bytes.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf
import torch
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.python.framework import dtypes
from torch.utils.tensorboard import summary as torch_summary

TF, TORCH = f"TensorFlow {tf.__version__}", f"PyTorch {torch.__version__}"
#: What the dtypes that numpy does not have are widened to.
WIDENED = {
    **dict.fromkeys(("bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz"), "float32"),
    **dict.fromkeys(("float8_e4m3b11fnuz", "float8_e5m2fnuz", "float4_e2m1fn"), "float32"),
    **dict.fromkeys(("int4", "int2", "qint8"), "int8"),
    **dict.fromkeys(("uint4", "uint2", "quint8"), "uint8"),
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
    "string": "object",
}
#: tf.make_tensor_proto (2.21) can write these to tensor_content alone.
CONTENT_ONLY_IN_PYTHON = {"float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"}
FLOATS = [0.0, -0.0, 1.0, -1.5, 0.1, -3.25e-5, 65504.0, 6e-8, float("inf"), float("-inf"), float("nan"), 2.0]
STRINGS = [b"", b"a", "µ".encode(), b"\0\xff", b"x" * 127, b"y" * 128]


def sample(dtype: dtypes.DType) -> np.ndarray[Any, Any]:  # noqa: PLR0911 - one for each family
    """Return the values that are written for a dtype: every code of the small ones, else the extremes."""
    name, numpy_dtype = dtype.name, dtype.as_numpy_dtype
    if name == "string":
        return np.array(STRINGS, object).reshape(2, 3)
    if name == "bool":
        return np.array([[True, False, True], [False, False, True]])
    if name.startswith("float8"):
        return np.arange(256, dtype=np.uint8).view(numpy_dtype).reshape(16, 16)
    if name == "float4_e2m1fn":
        return np.arange(16, dtype=np.uint8).view(numpy_dtype).reshape(4, 4)
    if name.startswith(("int", "uint", "qint", "quint")):
        plain = np.dtype(WIDENED.get(name, name) if name[0] == "q" else numpy_dtype)
        limits = ml_dtypes.iinfo(plain)
        chosen = [int(limits.min), int(limits.min) + 1, 0, 1, int(limits.max) - 1, int(limits.max)]
        return np.array(chosen).astype(plain).reshape(2, 3) if limits.min else np.array(chosen, plain).reshape(3, 2)
    floats = np.array(FLOATS)
    if name.startswith("complex"):
        return (floats + 0j).astype(numpy_dtype).reshape(3, 4)
    with np.errstate(over="ignore"):
        return floats.astype(numpy_dtype).reshape(3, 4)


def short_hex(value: float) -> str:
    """Return ``float.hex`` without the zeros that say nothing."""
    mantissa, *exponent = value.hex().split("p")
    return "p".join([mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa, *exponent])


def noted(values: Any, decoded: str) -> list[Any]:
    """Note values, to be decoded to the named dtype, as text that loses nothing."""

    def note(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, complex):
            return [short_hex(value.real), short_hex(value.imag)]
        return short_hex(value) if isinstance(value, float) else str(int(value))

    array = np.asarray(values)
    if array.dtype != object:  # exact: the small types are ml_dtypes', and float64 holds all other floats
        array = array.astype("float64" if decoded.startswith("float") else decoded)
    return [note(value) for value in array.ravel().tolist()]


def case(writer: str, how: str, proto: bytes, name: str, shape: list[int], values: Any) -> dict[str, Any]:
    """Describe one TensorProto and what it holds."""
    decoded = WIDENED.get(name, name)
    told = {"writer": writer, "name": name, "dtype": types_pb2.DataType.Value(enum_name(name)), "shape": shape}
    return {**told, "decoded": decoded, "values": noted(values, decoded), "protos": {how: proto.hex()}}


def enum_name(name: str) -> str:
    """Return the enum's name for the dtype's name."""
    special = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF"}
    return special.get(name, f"DT_{name.upper()}")


def constant(array: np.ndarray[Any, Any], dtype: dtypes.DType) -> tf.Tensor:
    """Make a tensor of any dtype, the quantized ones too."""
    return tf.constant(array.astype(dtype.as_numpy_dtype), dtype)


def content_by_cpp(tensor: tf.Tensor) -> bytes:
    """Have ``Tensor::AsProtoTensorContent`` write the tensor: tf.data does, into the records of a saved dataset."""
    with tempfile.TemporaryDirectory() as folder:
        tf.data.Dataset.from_tensors(tensor).save(folder, compression=None)
        (snapshot,) = Path(folder).rglob("*.snapshot")
        (record,) = tf.data.TFRecordDataset(str(snapshot)).as_numpy_iterator()
    return bytes(record)


def fields_by_cpp(tensor: tf.Tensor) -> bytes:
    """Have ``Tensor::AsProtoField`` write the tensor: the serialized form of a list of tensors holds it so."""
    empty = tf.raw_ops.EmptyTensorList(
        element_shape=tf.constant(tensor.shape, tf.int32), max_num_elements=1, element_dtype=tensor.dtype
    )
    handle = tf.raw_ops.TensorListPushBack(input_handle=empty, tensor=tensor)
    content = tensor_pb2.TensorProto.FromString(tf.io.serialize_tensor(handle).numpy()).tensor_content
    start = next(index for index, byte in enumerate(content) if byte < 0x80) + 1  # after the varint of its length
    return tensor_pb2.VariantTensorDataProto.FromString(content[start:]).tensors[0].SerializeToString()


def tensorflow_cases() -> list[dict[str, Any]]:
    """Have TensorFlow write every dtype in each of its ways."""
    cases = []
    known = {value for value in vars(dtypes).values() if isinstance(value, dtypes.DType)}
    for dtype in sorted((dtype for dtype in known if dtype.as_datatype_enum < 100), key=lambda d: d.as_datatype_enum):
        name = dtype.name
        if name in ("resource", "variant"):
            continue
        array = sample(dtype)
        shape = list(array.shape)
        some = array.ravel()[1:4]

        def add(how: str, proto: bytes, shape: list[int], values: Any, name: str = name) -> None:
            cases.append(case(TF, how, proto, name, shape, values))

        def made(values: Any, shape: list[int], dtype: dtypes.DType = dtype) -> bytes:
            return tf.make_tensor_proto(values, dtype, shape).SerializeToString()

        add("tf.make_tensor_proto", made(array, shape), shape, array)
        if name in CONTENT_ONLY_IN_PYTHON:
            add("Tensor::AsProtoTensorContent", content_by_cpp(constant(array, dtype)), shape, array)
            add("Tensor::AsProtoField", fields_by_cpp(constant(array, dtype)), shape, array)
            continue
        add("tf.make_tensor_proto, rank 0", made(some[2:].reshape(()), []), [], some[2:])
        add("tf.make_tensor_proto, one value for all", made(some[2:], [2, 1, 2]), [2, 1, 2], np.repeat(some[2:], 4))
        add("tf.make_tensor_proto, no element", made(some[:0].reshape(0, 3), [0, 3]), [0, 3], [])
        if name != "string":
            add("tf.make_tensor_proto, fewer values", made(some, [5]), [5], [*some.tolist(), *[some.tolist()[-1]] * 2])
        if name != "float8_e5m2":  # TensorFlow 2.21 cannot export it to the graph that saves a dataset
            add("Tensor::AsProtoTensorContent", content_by_cpp(constant(array, dtype)), shape, array)
        add("Tensor::AsProtoField", fields_by_cpp(constant(array, dtype)), shape, array)
        if name in ("float32", "bfloat16", "int64", "string"):
            add("tf.io.serialize_tensor", tf.io.serialize_tensor(constant(array, dtype)).numpy(), shape, array)
    return cases


def shorthand_cases() -> list[dict[str, Any]]:
    """Make protos whose shape has room for more than they hold, and have TensorFlow's C++ say what they mean."""
    fields: dict[str, dict[str, Any]] = {
        "float32": {"float_val": [1.5, -2.0]},
        "float64": {"double_val": [0.1, 0.2]},
        "int32": {"int_val": [-7, 8]},
        "uint8": {"int_val": [7, 255]},
        "uint16": {"int_val": [7, 65535]},
        "int64": {"int64_val": [-(2**63), 5]},
        "uint32": {"uint32_val": [1, 2**32 - 1]},
        "uint64": {"uint64_val": [1, 2**64 - 1]},
        "bool": {"bool_val": [False, True]},
        "complex64": {"scomplex_val": [1.0, 2.0, 3.0, 4.0]},
        "complex128": {"dcomplex_val": [1.0, 2.0, 3.0, 4.0]},
        "float16": {"half_val": [0x3C00, 0xC000]},
        "bfloat16": {"half_val": [0x3F80, 0xC000]},
        "float8_e4m3fn": {"float8_val": b"\x38\x40"},
        "string": {"string_val": [b"a", b"bc"]},
    }
    cases = []
    for name, field in fields.items():
        for how, held in (("fewer values", field), ("no value", {})):
            proto = tensor_pb2.TensorProto(dtype=enum_name(name), **held)
            for size in (2, 3):
                proto.tensor_shape.dim.add(size=size)
            read = tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(name)).numpy()
            how_read = f"made by hand, read by tf.io.parse_tensor: {how}"
            cases.append(case(TF, how_read, proto.SerializeToString(), name, [2, 3], read))
    return cases


def torch_cases() -> list[dict[str, Any]]:
    """Have PyTorch write every dtype that it can."""
    cases = []
    floats = torch.tensor(FLOATS, dtype=torch.float64).reshape(3, 4)
    written = {
        "float16": floats.to(torch.float16),
        "bfloat16": floats.to(torch.bfloat16),
        "float32": floats.to(torch.float32),
        "float64": floats,
        "int8": torch.tensor([-128, 127, 0], dtype=torch.int8),
        "uint8": torch.tensor([[0, 1], [254, 255]], dtype=torch.uint8),
        "int16": torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16),
        "int32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
        "int64": torch.tensor([-(2**63), 2**63 - 1], dtype=torch.int64),
        "complex64": torch.tensor([1 + 2j, -3.5j], dtype=torch.complex64),
        "complex128": torch.tensor([0.1 + 0.2j, -3.5j], dtype=torch.complex128),
        "bool": torch.tensor([True, False]),
    }
    more = [
        *(("all zero", name, torch.zeros(2, 2).to(written[name].dtype)) for name in ("float16", "bfloat16")),
        *(("all negative", name, -torch.arange(1, 4).to(written[name].dtype)) for name in ("float16", "bfloat16")),
        *(("rank 0", name, tensor.flatten()[0]) for name, tensor in written.items()),
    ]
    for how, name, tensor in [*(("torch", name, tensor) for name, tensor in written.items()), *more]:
        proto = torch_summary.tensor_proto("tag", tensor).value[0].tensor.SerializeToString()
        how_written = f"torch.utils.tensorboard.summary.tensor_proto{'' if how == 'torch' else ', ' + how}"
        cases.append(case(TORCH, how_written, proto, name, list(tensor.shape), tensor.tolist()))
    for name, double in (("float32", False), ("float64", True)):
        proto = torch_summary.scalar("tag", 0.25, new_style=True, double_precision=double).value[0].tensor
        how_written = "torch.utils.tensorboard.summary.scalar, new_style, no shape"
        cases.append(case(TORCH, how_written, proto.SerializeToString(), name, [], [0.25]))
    return cases


def joined(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Note the values once if they were written in several ways."""
    by_values: dict[str, dict[str, Any]] = {}
    for one in cases:
        key = json.dumps({**one, "protos": None})
        by_values.setdefault(key, {**one, "protos": {}})["protos"].update(one["protos"])
    return list(by_values.values())


if __name__ == "__main__":
    every_case = joined([*tensorflow_cases(), *shorthand_cases(), *torch_cases()])
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in every_case)
    Path(__file__).with_name("tensor_protos.json").write_text(f"[\n{lines}\n]\n", encoding="ascii")
