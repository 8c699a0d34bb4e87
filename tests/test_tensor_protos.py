"""TensorProto to numpy: against what TensorFlow, PyTorch and TensorBoard write and read, and against broken bytes."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest
from google.protobuf.message import DecodeError as ProtobufError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType
from tensorboard.util import tensor_util

from tb2csv import tensor_protos
from tb2csv.errors import DecodeError, LimitError
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.size_limits import SizeLimits
from tb2csv.tensor_protos import decode_content, decode_tensor, dtype_name, is_numeric, item_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tb2csv.tensor_protos import SplitValues

CASES = json.loads(Path(__file__).with_name("data").joinpath("tensor_protos", "tensor_protos.json").read_text("ascii"))
#: Every stored TensorProto: the bytes, and the case that says what they hold.
WRITTEN = {
    f"{case['writer']}: {how} of {case['name']} {case['shape']}": (bytes.fromhex(proto), case)
    for case in CASES
    for how, proto in case["protos"].items()
}
WRITTEN_BYTES = sorted({proto for proto, _ in WRITTEN.values()})
CONTENTS = {
    label: (TensorProto.FromString(proto).tensor_content, case)
    for label, (proto, case) in WRITTEN.items()
    if TensorProto.FromString(proto).tensor_content and case["name"] != "string"
}
#: What both numpy and TensorBoard can write.
NUMPY_NAMES = (
    *("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "complex64", "complex128"),
)
#: The enum's names for the dtypes that have other names elsewhere.
ENUM_NAMES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}


def proto_of(dtype: int, shape: Iterable[int] | None = (), **fields: object) -> bytes:
    """Serialize a TensorProto; ``None`` leaves the shape field out."""
    message = TensorProto(dtype=dtype, **fields)
    if shape is not None:
        message.tensor_shape.SetInParent()
        for size in shape:
            message.tensor_shape.dim.add(size=size)
    return bytes(message.SerializeToString())


def varint(number: int) -> bytes:
    """Encode as protobuf's own encoder does."""
    return bytes(TensorProto(version_number=number).SerializeToString()[1:]) or b"\0"


def delimited(number: int, payload: bytes) -> bytes:
    """Encode a field that holds a message, a string or bytes."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def noted(values: NDArray[Any]) -> list[Any]:
    """Bring an array's elements into the form of the stored values."""

    def note(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, complex):
            return [value.real.hex(), value.imag.hex()]
        return value.hex() if isinstance(value, float) else str(int(value))

    return [note(value) for value in values.ravel().tolist()]


def stored(case: dict[str, Any]) -> list[Any]:
    """Return a case's values in the form of ``noted``."""
    if case["decoded"].startswith("complex"):
        return [[float.fromhex(part).hex() for part in pair] for pair in case["values"]]
    if case["decoded"].startswith("float"):
        return [float.fromhex(value).hex() for value in case["values"]]
    return list(case["values"])


def assert_same(decoded: NDArray[Any], expected: NDArray[Any]) -> None:
    """Compare dtype, shape and values; NaN equals NaN, and -0.0 is not 0.0."""
    assert decoded.dtype == expected.dtype
    assert decoded.dtype.isnative
    assert decoded.shape == expected.shape
    assert noted(decoded) == noted(expected)


def with_numpy_dtype(name: str) -> st.SearchStrategy[NDArray[Any]]:
    return hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))


@pytest.mark.parametrize("label", WRITTEN)
def test_tensors_of_real_writers_are_decoded(label: str) -> None:
    proto, case = WRITTEN[label]
    decoded = decode_tensor(proto)
    assert decoded.dtype == np.dtype(case["decoded"])
    assert decoded.dtype.isnative
    assert decoded.shape == tuple(case["shape"])
    assert noted(decoded) == stored(case)


@pytest.mark.parametrize("label", CONTENTS)
def test_contents_can_be_joined(label: str) -> None:
    content, case = CONTENTS[label]
    decoded = decode_content(memoryview(content * 3), case["dtype"])
    assert decoded.dtype == np.dtype(case["decoded"])
    assert decoded.ndim == 1
    assert noted(decoded) == stored(case) * 3
    assert item_size(case["dtype"]) == len(content) / len(case["values"])
    assert decode_content(b"", case["dtype"]).shape == (0,)


def test_fixtures_cover_every_dtype() -> None:
    """Whatever TensorBoard's enum can name is in the fixtures, except what holds no values of its own."""
    named = {number for number in DataType.values() if 0 < number < 100}
    assert named - {case["dtype"] for case in CASES} == {DataType.Value("DT_RESOURCE"), DataType.Value("DT_VARIANT")}


@pytest.mark.parametrize("name", NUMPY_NAMES)
@given(data=st.data())
@pytest.mark.slow
def test_tensors_equal_those_of_tensorboard(name: str, data: st.DataObject) -> None:
    """What TensorBoard's writer makes of an array comes back as that array, and as TensorBoard's reader reads it."""
    array = data.draw(with_numpy_dtype(name))
    message = tensor_util.make_tensor_proto(array)
    decoded = decode_tensor(message.SerializeToString())
    assert_same(decoded, array)
    # TensorBoard's reader knows uint32 and uint64 in tensor_content alone.
    if name not in ("uint32", "uint64") or message.tensor_content:
        assert_same(decoded, tensor_util.make_ndarray(message))


@given(
    hnp.arrays(np.dtype(object), hnp.array_shapes(min_dims=0, min_side=0, max_side=4), elements=st.binary(max_size=9))
)
def test_strings_equal_those_of_tensorboard(array: NDArray[Any]) -> None:
    decoded = decode_tensor(tensor_util.make_tensor_proto(array, DataType.Value("DT_STRING")).SerializeToString())
    assert_same(decoded, array)


@given(array=with_numpy_dtype("float32"), shape=hnp.array_shapes(min_dims=0, max_dims=3))
def test_one_repeated_value_equals_that_of_tensorboard(array: NDArray[Any], shape: tuple[int, ...]) -> None:
    for value in array.ravel()[:2]:
        message = tensor_util.make_tensor_proto(value, shape=shape)
        assert_same(decode_tensor(message.SerializeToString()), tensor_util.make_ndarray(message))


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 21))
def test_strings_in_content_are_decoded(strings: list[bytes], at_once: int) -> None:
    """The layout that C++ gives to strings, here written by protobuf's encoder of varints."""
    content = b"".join(map(varint, map(len, strings))) + b"".join(strings)
    with mock.patch.object(tensor_protos, "_LENGTHS_AT_ONCE", at_once):
        assert decode_tensor(proto_of(7, [len(strings)], tensor_content=content)).tolist() == strings


@pytest.mark.slow
def test_bfloat16_is_the_upper_half_of_float32() -> None:
    """Every bfloat16, from tensor_content, as TensorFlow's half_val and as PyTorch's."""
    codes = range(1 << 16)
    content = struct.pack("<65536H", *codes)
    expected = np.array(struct.unpack("<65536f", b"".join(struct.pack("<2H", 0, code) for code in codes)), np.float32)
    patterns = [struct.unpack("<i", struct.pack("<2H", 0, code))[0] for code in codes]
    assert_same(decode_content(content, 14), expected)
    assert_same(decode_tensor(proto_of(14, [1 << 16], half_val=codes)), expected)
    assert_same(decode_tensor(proto_of(14, [1 << 16], half_val=patterns)), expected)
    assert_same(decode_tensor(proto_of(14, [1 << 16], int_val=codes)), expected)
    for code in (0, 1, 0x8000):
        assert_same(decode_tensor(proto_of(14, half_val=[patterns[code]])), expected[code].reshape(()))


def test_every_float16_is_decoded() -> None:
    codes = range(1 << 16)
    expected = np.array(struct.unpack("<65536e", struct.pack("<65536H", *codes)), np.float16)
    patterns = struct.unpack("<65536i", struct.pack("<65536f", *expected.tolist()))
    assert_same(decode_tensor(proto_of(19, [256, 256], half_val=codes)), expected.reshape(256, 256))
    assert_same(decode_tensor(proto_of(19, [256, 256], half_val=patterns)), expected.reshape(256, 256))


def test_half_val_beyond_float16_stays_float32() -> None:
    """A writer that follows PyTorch with values that were no float16 loses nothing, and no NaN makes a noise."""
    values = np.array([0.1, 1e30, -2.0, np.nan], np.float32)
    signalling = [0x7F800001, -0x007FFFFF]
    decoded = decode_tensor(proto_of(19, [6], half_val=[*values.view(np.int32).tolist(), *signalling]))
    assert_same(decoded, np.array([*values, np.nan, np.nan], np.float32))


def test_float8_e5m2_is_the_upper_half_of_float16() -> None:
    expected = np.array([struct.unpack("<e", bytes([0, code]))[0] for code in range(256)], np.float32)
    assert_same(decode_content(bytes(range(256)), 24), expected)
    assert_same(decode_tensor(proto_of(24, [256], float8_val=bytes(range(256)))), expected)


def test_sub_byte_types_ignore_the_high_bits() -> None:
    """What a byte holds above a 4- or 2-bit element has no meaning, whichever way a writer extends the sign."""
    assert decode_content(b"\x0e\xfe\x1e", 29).tolist() == [-2, -2, -2]
    assert decode_content(b"\x0e\xfe\x1e", 30).tolist() == [14, 14, 14]
    assert decode_content(b"\x02\xfe\x16", 31).tolist() == [-2, -2, -2]
    assert decode_content(b"\x02\xfe\x16", 32).tolist() == [2, 2, 2]
    assert decode_content(b"\x0d\xfd", 33).tolist() == [-3.0, -3.0]


def test_content_is_not_copied() -> None:
    content = bytes([0, 1] * 32)
    for dtype in (*range(1, 7), *range(8, 14), *range(15, 20), 22, 23):
        assert np.shares_memory(decode_content(content, dtype), np.frombuffer(content, np.uint8))


def test_reference_dtypes_count_as_their_base() -> None:
    assert_same(decode_tensor(proto_of(101, [2], float_val=[1.5, 2.5])), np.array([1.5, 2.5], np.float32))
    assert decode_tensor(proto_of(107, [2], string_val=[b"a", b"b"])).tolist() == [b"a", b"b"]
    assert decode_content(b"\1\0", 110).tolist() == [True, False]
    assert (is_numeric(101), dtype_name(101), item_size(101)) == (True, "float32", 4)


def test_dtype_names_equal_tensorboards_enum() -> None:
    for enum_name, number in DataType.items():
        name = ENUM_NAMES.get(
            enum_name.removesuffix("_REF"), enum_name.removeprefix("DT_").removesuffix("_REF").lower()
        )
        assert dtype_name(number) == name
        assert is_numeric(number) == (name not in ("invalid", "string", "resource", "variant"))
        assert (item_size(number) is None) != is_numeric(number)
    for number in (-1, 34, 99, 100, 134, 2**31 - 1):
        assert (dtype_name(number), is_numeric(number), item_size(number)) == (f"dtype {number}", False, None)


def test_without_a_shape_all_values_are_decoded() -> None:
    assert_same(decode_tensor(proto_of(1, None, float_val=[2.5])), np.array(2.5, np.float32))
    assert_same(decode_tensor(proto_of(1, None, float_val=[1, 2, 3])), np.array([1, 2, 3], np.float32))
    assert_same(decode_tensor(proto_of(3, None, tensor_content=bytes(8))), np.zeros(2, np.int32))
    assert_same(decode_tensor(proto_of(2, None)), np.array(0.0))
    assert decode_tensor(proto_of(7, None, string_val=[b"a", b"b"])).tolist() == [b"a", b"b"]
    message = TensorProto(dtype=1, float_val=[1, 2, 3])
    message.tensor_shape.unknown_rank = True
    assert_same(decode_tensor(message.SerializeToString()), np.array([1, 2, 3], np.float32))
    message.ClearField("float_val")
    assert_same(decode_tensor(message.SerializeToString()), np.zeros(0, np.float32))


def test_content_counts_before_fields() -> None:
    proto = proto_of(1, [1], tensor_content=struct.pack("<f", 1.5), float_val=[9.0])
    assert_same(decode_tensor(proto), np.array([1.5], np.float32))


def test_one_value_may_mean_no_element() -> None:
    assert_same(decode_tensor(proto_of(1, [0, 3], float_val=[1.0])), np.zeros((0, 3), np.float32))
    assert_same(decode_tensor(proto_of(1, [2, 0])), np.zeros((2, 0), np.float32))


REFUSED = {
    "no protobuf": (b"\xff", "not in the format"),
    "cut": (proto_of(1, [2], float_val=[1, 2])[:-1], "not in the format"),
    "name of a dimension that is not UTF-8": (b"\x08\x01\x12\x05\x12\x03\x12\x01\xff", "not in the format"),
    "dtype not set": (proto_of(0, [1], float_val=[1]), "of invalid"),
    "empty": (b"", "of invalid"),
    "resource": (proto_of(20, [1]), "of resource"),
    "variant": (proto_of(21, [1]), "of variant"),
    "unknown dtype": (proto_of(99, [1], tensor_content=b"1234"), "of dtype 99"),
    "negative dtype": (b"\x08" + b"\xff" * 9 + b"\x01", "of dtype -1"),
    "dimension -1": (proto_of(1, [-1], float_val=[1]), "not valid"),
    "too many dimensions": (proto_of(1, [1] * 255, float_val=[1]), "255 dimensions"),
    "more dimensions than numpy has": (proto_of(1, [1] * 254, float_val=[1]), "does not fit in an array"),
    "2**15748 elements": (proto_of(1, [2**62] * 254, float_val=[1]), "not valid"),
    "2**124 elements but for a 0": (proto_of(1, [0, 2**62, 2**62]), "not valid"),
    "2**63 bytes but for a 0": (proto_of(2, [0, 2**61]), "does not fit in an array"),
    "2**40 elements from one value": (proto_of(1, [2**40], float_val=[1]), "leaves out"),
    "2**40 elements from two values": (proto_of(1, [2**20, 2**20], float_val=[1, 2]), "leaves out"),
    "2**40 elements from nothing": (proto_of(1, [2**40]), "leaves out"),
    "2**40 strings from one": (proto_of(7, [2**40], string_val=[b"a"]), "leaves out"),
    "2**40 strings in content": (proto_of(7, [2**40], tensor_content=bytes(9)), "not a list"),
    "more values than elements": (proto_of(1, [2], float_val=[1, 2, 3]), "holds 3 values instead of 2"),
    "more values than none": (proto_of(1, [0], float_val=[1, 2]), "instead of 0"),
    "content too short": (proto_of(1, [2], tensor_content=bytes(4)), "holds 1 values"),
    "content too long": (proto_of(1, [2], tensor_content=bytes(12)), "holds 3 values"),
    "content for no element": (proto_of(1, [0], tensor_content=bytes(4)), "holds 1 values"),
    "content of half an element": (proto_of(1, [2], tensor_content=bytes(7)), "not a whole number"),
    "bool that is 2": (proto_of(10, [2], tensor_content=b"\1\2"), "the byte 2"),
    "int8 of 300": (proto_of(6, [1], int_val=[300]), "beyond that type"),
    "uint8 of -1": (proto_of(4, [1], int_val=[-1]), "beyond that type"),
    "uint8 of 256 as PyTorch": (proto_of(4, [1], uint32_val=[256]), "beyond that type"),
    "int32 of 2**31 as PyTorch": (proto_of(3, [1], uint32_val=[2**31]), "beyond that type"),
    "int4 of 8": (proto_of(29, [1], int_val=[8]), "beyond that type"),
    "uint2 of 4": (proto_of(32, [1], int_val=[4]), "beyond that type"),
    "complex without imaginary part": (proto_of(8, [1], scomplex_val=[1, 2, 3]), "an odd number"),
    "complex128 without imaginary part": (proto_of(18, [1], dcomplex_val=[1]), "an odd number"),
    "values in another dtype's field": (proto_of(1, [2], double_val=[1, 2]), "in double_val"),
    "strings in another dtype's field": (proto_of(7, [2], float_val=[1, 2]), "in float_val"),
    "strings: content too short": (proto_of(7, [2], tensor_content=b"\1\2ab"), "not a list"),
    "strings: content too long": (proto_of(7, [2], tensor_content=b"\1\1abc"), "not a list"),
    "strings: lengths cut": (proto_of(7, [2], tensor_content=b"\0"), "not a list"),
    "strings: length without end": (proto_of(7, [1], tensor_content=b"\x80" * 40), "not a list"),
    "strings: length of 6 bytes": (proto_of(7, [1], tensor_content=b"\x80" * 5 + b"\0"), "not a list"),
    "strings: content without a shape": (proto_of(7, None, tensor_content=b"\1\1ab"), "not a list"),
}


@pytest.mark.parametrize("label", REFUSED)
def test_invalid_tensors_are_refused(label: str) -> None:
    """What cannot be decoded is refused in one sentence, at once and without memory for it."""
    proto, reason = REFUSED[label]
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match=reason) as caught:
            decode_tensor(proto)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_invalid_content_is_refused() -> None:
    for dtype in (0, 7, 20, 21, 99, -5):
        with pytest.raises(DecodeError, match="does not hold numbers"):
            decode_content(b"12345678", dtype)
    with pytest.raises(DecodeError, match="7 bytes of a tensor of float64"):
        decode_content(b"1234567", 2)


def test_nested_variants_are_refused() -> None:
    """Tensors may hold variants that hold tensors: neither a few nor very many levels of it get through."""
    proto = proto_of(21, [1])
    for _ in range(300):
        # dtype, and the field variant_val of TensorProto with the field tensors of VariantTensorDataProto
        proto = b"\x08\x15" + delimited(15, delimited(3, proto))
        with pytest.raises(DecodeError):
            decode_tensor(proto)


def test_repeated_value_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        decoded = decode_tensor(proto_of(2, [1 << 20], double_val=[2.5]), SizeLimits(1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoded.shape == (1 << 20,)
    assert decoded[0] == decoded[-1] == 2.5
    assert peak < 1 << 20


#: Tensors of a vector shape that leave elements out: dtype, what is stored, and the bytes that each element counts.
SHORTHANDS: dict[str, tuple[int, dict[str, list[Any]], int]] = {
    "float64 of one value": (2, {"double_val": [2.5]}, 8),
    "float32 of two values": (1, {"float_val": [1.5, 2.5]}, 8),
    "bool of no value": (10, {}, 8),
    "complex128": (18, {"dcomplex_val": [1.0, 2.0]}, 16),
    "empty strings": (7, {}, 64),
    "a short string": (7, {"string_val": [b"a"]}, 64),
    "a long string after a short one": (7, {"string_val": [b"a", b"b" * 1000]}, 1000),
}


@pytest.mark.parametrize("name", SHORTHANDS)
@pytest.mark.parametrize("factor", [300, 1100])
def test_few_bytes_do_not_become_many(name: str, factor: int) -> None:
    """What a tensor leaves out takes at most so many times the bytes of the tensor, whatever it leaves out."""
    dtype, stored, each = SHORTHANDS[name]
    held = {"dcomplex_val": 1}.get(next(iter(stored), ""), len(next(iter(stored.values()), [])))
    about = factor * len(proto_of(dtype, [100_000], **stored)) // each
    refused = []
    for left_out in range(about // 2, 2 * about, 17):
        proto = proto_of(dtype, [held + left_out], **stored)
        if left_out * each <= factor * len(proto):
            assert decode_tensor(proto, SizeLimits(factor)).shape == (held + left_out,)
        else:
            refused.append(proto)
            with pytest.raises(LimitError, match=rf"leaves out {left_out:,} elements of {each:,} bytes"):
                decode_tensor(proto, SizeLimits(factor))
    assert 0 < len(refused) < len(range(about // 2, 2 * about, 17))
    assert decode_tensor(refused[-1], SizeLimits(3 * factor)).size > held


@pytest.mark.parametrize("dtype", ["DT_FLOAT", "DT_DOUBLE", "DT_BOOL", "DT_INT64", "DT_HALF", "DT_COMPLEX128"])
def test_a_thousand_elements_may_be_left_out(dtype: str) -> None:
    """As TensorBoard's and TensorFlow's ``make_tensor_proto`` write a value with a shape, by default."""
    zero = False if dtype == "DT_BOOL" else 0
    message = tensor_util.make_tensor_proto(zero, DataType.Value(dtype), shape=[1000])
    assert message.ByteSize() < 40
    assert_same(decode_tensor(message.SerializeToString()), tensor_util.make_ndarray(message))


def decode_or_refuse(proto: bytes) -> None:
    """Decode; any exception but DecodeError, and any array that the bytes do not account for, fails the test."""
    try:
        decoded = decode_tensor(proto, SizeLimits(100))
    except DecodeError:
        return
    assert decoded.nbytes <= (100 + 16) * len(proto)


def outcome(proto: bytes, split_values: SplitValues | None) -> object:
    try:
        decoded = decode_tensor(proto, split_values=split_values)
    except DecodeError as error:
        return str(error)
    return decoded.dtype, decoded.shape, decoded.tolist() if decoded.dtype == object else decoded.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("scanner", SCANNERS)
def test_large_tensors_are_those_of_protobuf(scanner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, cut or changed: a scanner that reads strings itself gives what protobuf gives."""
    monkeypatch.setattr(tensor_protos, "_LARGE", 0)
    split_values = SCANNERS[scanner].split_values
    several = proto_of(7, [4], string_val=[b"", b"a", b"\xff" * 200, b"a\0b"])
    for proto in (*WRITTEN_BYTES, several, several[::-1], several + several, proto_of(1, [2], string_val=[b"a", b""])):
        for position in range(len(proto[:80]) + 1):
            cut, byte = proto[:position], proto[position : position + 1]
            changed = [cut, *(cut + bytes([other]) + proto[position + 1 :] for other in (0x42, 0x43, 8, 0xFF) if byte)]
            for each in changed:
                assert outcome(each, split_values) == outcome(each, None)


#: Fields of varints, each with its name.
INTEGERS = {7: "int_val", 10: "int64_val", 11: "bool_val", 13: "half_val", 16: "uint32_val", 17: "uint64_val"}


@st.composite
def any_varint(draw: st.DrawFn) -> bytes:
    """Return a varint: the shortest, or a longer one with the same bits, of up to eleven bytes."""
    number = draw(st.integers(0, 300) | st.integers(0, 2**64 - 1) | st.integers(2**64 - 300, 2**64 - 1))
    shortest = b""
    while number > 0x7F:
        shortest, number = shortest + bytes([number & 0x7F | 0x80]), number >> 7
    if longer := draw(st.integers(0, 11 - len(shortest) - 1)):
        return shortest + bytes([number | 0x80]) + b"\x80" * (longer - 1) + b"\0"
    return shortest + bytes([number])


@st.composite
def any_field(draw: st.DrawFn) -> bytes:
    """Return a field of a TensorProto: single or several varints, strings, other fields, or another wire type."""
    number = draw(st.sampled_from([*INTEGERS, *INTEGERS, 8, 1, 2, 5, 99]))
    kind = draw(st.sampled_from(["packed", "packed", "single", "bytes", "wide", "group"]))
    if kind == "packed":
        return delimited(number, b"".join(draw(st.lists(any_varint(), max_size=5))))
    if kind == "single":
        return varint(number << 3) + draw(any_varint())
    if kind == "bytes":
        return delimited(number, draw(st.binary(max_size=12)))
    if kind == "wide":
        size, wire = draw(st.sampled_from([(8, 1), (4, 5)]))
        return varint(number << 3 | wire) + draw(st.binary(min_size=size, max_size=size))
    return varint(number << 3 | 3) + varint(number << 3 | 4)


def parsed(serialized: bytes) -> TensorProto | None:
    try:
        return TensorProto.FromString(serialized)
    except ProtobufError:
        return None


@pytest.mark.slow
@settings(max_examples=1000)
@pytest.mark.skipif("compiled" not in SCANNERS, reason="the reference leaves all of it to protobuf")
@given(fields=st.lists(any_field(), max_size=6), cut=st.integers(0, 3))
def test_split_values_are_those_of_protobuf(fields: list[bytes], cut: int) -> None:
    serialized = b"".join(fields)
    serialized = serialized[: len(serialized) - cut]
    split = SCANNERS["compiled"].split_values(serialized, np.empty)
    if split is None:
        return
    found, others = split
    whole, rest = parsed(serialized), parsed(others)
    if whole is None or rest is None:
        assert whole is rest
        return
    for number, values in found.items():
        name = TensorProto.DESCRIPTOR.fields_by_number[number].name
        assert values.tolist() == list(getattr(whole, name))
        whole.ClearField(name)
    assert not rest.string_val
    assert not any(len(getattr(rest, name)) for name in INTEGERS.values())
    assert whole.SerializeToString() == rest.SerializeToString()


@pytest.mark.skipif("compiled" not in SCANNERS, reason="the reference leaves all of it to protobuf")
@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            name: st.lists(st.integers(low, high), min_size=1)
            for name, low, high in [
                ("int_val", -(2**31), 2**31 - 1),
                ("int64_val", -(2**63), 2**63 - 1),
                ("bool_val", 0, 1),
                ("half_val", -(2**31), 2**31 - 1),
                ("uint32_val", 0, 2**32 - 1),
                ("uint64_val", 0, 2**64 - 1),
            ]
        },
    )
)
def test_written_integers_are_read_without_protobuf(values: dict[str, list[int]]) -> None:
    split = SCANNERS["compiled"].split_values(TensorProto(dtype=3, **values).SerializeToString(), np.empty)
    assert split is not None
    found, others = split
    assert {INTEGERS[number]: array.tolist() for number, array in found.items()} == values
    assert others == TensorProto(dtype=3).SerializeToString()


def test_every_cut_and_every_changed_byte_is_decoded_or_refused() -> None:
    for proto in WRITTEN_BYTES:
        for position, byte in enumerate(proto[:80]):
            decode_or_refuse(proto[:position])
            for other in (byte ^ 1, byte ^ 0x80, 0xFF, byte + 1 & 0xFF):
                decode_or_refuse(proto[:position] + bytes([other]) + proto[position + 1 :])


@given(proto=st.sampled_from(WRITTEN_BYTES), data=st.data())
def test_mutated_bytes_are_decoded_or_refused(proto: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(proto)))
        end = start + data.draw(st.integers(0, 4))
        proto = proto[:start] + data.draw(st.binary(max_size=4)) + proto[end:]
    decode_or_refuse(proto)


@given(
    dtype=st.sampled_from([*range(-1, 36), 101, 107, 133]),
    shape=st.one_of(st.none(), st.lists(st.integers(-2, 2**63 - 1) | st.integers(0, 5), max_size=5)),
    fields=st.fixed_dictionaries(
        {},
        optional={
            "tensor_content": st.binary(max_size=40),
            "half_val": st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 2**16), max_size=9),
            "float_val": st.lists(st.floats(width=32), max_size=9),
            "double_val": st.lists(st.floats(), max_size=9),
            "int_val": st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-9, 300), max_size=9),
            "uint32_val": st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 300), max_size=9),
            "scomplex_val": st.lists(st.floats(width=32), max_size=9),
            "bool_val": st.lists(st.booleans(), max_size=9),
            "string_val": st.lists(st.binary(max_size=9), max_size=9),
            "float8_val": st.binary(max_size=9),
        },
    ),
)
@pytest.mark.slow
def test_any_tensor_proto_is_decoded_or_refused(dtype: int, shape: list[int] | None, fields: dict[str, Any]) -> None:
    """Whatever the fields say together, it is decoded or refused."""
    decode_or_refuse(proto_of(dtype, shape, **fields))


def test_module_imports_numpy_and_the_standard_library_alone() -> None:
    """Starting must not wait for TensorBoard; the package itself is left out, so that this is about the module."""
    package = str(Path(tensor_protos.__file__).parent)
    program = (
        "import sys, types\n"
        "package = sys.modules['tb2csv'] = types.ModuleType('tb2csv')\n"
        f"package.__path__ = [{package!r}]\n"
        "import tb2csv.tensor_protos\n"
        "roots = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
        "print(*sorted(roots & {'google', 'tensorboard', 'tensorflow', 'polars', 'pandas', 'ml_dtypes', 'torch'}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
