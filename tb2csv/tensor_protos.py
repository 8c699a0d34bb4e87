"""TensorProto to numpy: every dtype that TensorFlow and PyTorch write, no value changed.

The format is specified by tensorflow/core/framework/tensor.proto and types.proto: a tensor's elements are contiguous
little-endian bytes (``tensor_content``) or the entries of a repeated field (``float_val``, ``int_val``, …). A table has
the bytes, the fields, and the conversion to a numpy type for each dtype. Types that numpy lacks are widened exactly:
bfloat16 and the 8- and 4-bit floats to float32, the 4- and 2-bit integers to 8 bits.

If the shape has more elements than the fields, TensorFlow's readers (``Tensor::FromProto`` in C++ and
``tf.make_ndarray``, which agree) repeat the last value, or fill with zeros or empty strings if there is none. This
module does the same, within limits: a few bytes can leave any number of elements out. If they would drop or change a
stored value, it is decoded as the writer meant it, or refused.
"""

from __future__ import annotations

import math
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tb2csv.errors import RAISE_LIMIT, DecodeError, LimitError
from tb2csv.late_modules import np
from tb2csv.minifloats import SMALL_FLOATS, Minifloat, bfloat16_values, values_of_codes
from tb2csv.size_limits import EVENT_FILE_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import DTypeLike, NDArray
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    from tb2csv.size_limits import SizeLimits

    _Array: TypeAlias = NDArray[Any]
    _Entries: TypeAlias = Sequence[Any] | _Array
    _Widen: TypeAlias = Callable[[_Array], _Array]
    #: As ``reference.split_values``.
    SplitValues: TypeAlias = Callable[[bytes, Callable[[int, str], _Array]], tuple[dict[int, _Array], bytes] | None]

#: What a repeated element counts at least, in bytes: a number is a row of a table, and a string may become a file.
_LEAST_NUMBER: Final = 8
_LEAST_STRING: Final = 64
#: From this size on, strings and integers are read without protobuf, which takes much memory for each.
_LARGE: Final = 1 << 16
#: TensorFlow's own limits on the number of dimensions and of elements.
MAX_RANK: Final = 254
MAX_ELEMENTS: Final = 2**63 - 1


def _native(values: _Array) -> _Array:
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _bool(values: _Array) -> _Array:
    if values.max(initial=0) > 1:
        message = f"A bool tensor holds the byte {values.max()}; only 0 and 1 are valid."
        raise DecodeError(message)
    return values.view(np.bool_)


def _low_bits(bits: int) -> _Widen:
    """Return a function that reads integers from the low bits of bytes; C++ clears the high bits of negative ones."""
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    return lambda values: values & mask if values.dtype.kind == "u" else ((values & mask) ^ sign) - sign


def _small_float(layout: Minifloat) -> _Widen:
    """Return a function that widens floats of 8 bits or fewer."""
    return lambda codes: values_of_codes(layout)[codes]


def _numbers(entries: _Entries, dtype: DTypeLike) -> _Array:
    """Return the entries of a field as an array; the scanner's own array has the type of the field."""
    return entries if isinstance(entries, np.ndarray) else np.fromiter(entries, dtype, len(entries))


def _plain(entries: _Entries, dtype: _Dtype) -> _Array:
    """Return numbers unchanged; the real and imaginary parts of complex numbers alternate."""
    element = np.dtype(dtype.stored).newbyteorder("=")
    part = element.type().real.dtype
    if len(entries) * part.itemsize % element.itemsize:
        message = f"A tensor of {dtype.name} holds {len(entries)} real and imaginary parts, an odd number."
        raise DecodeError(message)
    return dtype.widen(_numbers(entries, part).view(element))


def _integers(entries: _Entries, dtype: _Dtype) -> _Array:
    """Narrow integers to the dtype; C++ would wrap an integer that does not fit."""
    values = _numbers(entries, np.int64)
    result = dtype.widen(values.astype(dtype.stored, copy=False))
    if not np.array_equal(result, values):
        message = f"A tensor of {dtype.name} holds values from {values.min()} to {values.max()}, beyond that type."
        raise DecodeError(message)
    return result


def _halves(entries: _Entries, dtype: _Dtype) -> _Array:
    """Decode half_val: 16-bit patterns from TensorFlow, but float32 patterns (as signed integers) from PyTorch.

    Among float16 and bfloat16 values, only 0 has a float32 pattern that fits in 16 bits. So a single larger entry means
    float32 patterns for the whole tensor; else the entries are 16-bit patterns, or zeros, which are equal in both.
    """
    patterns = _numbers(entries, np.int64).astype(np.uint32)
    if patterns.max(initial=0) < 1 << 16:
        return dtype.widen(patterns.astype("<u2").view(dtype.stored))
    floats = patterns.view(np.float32)
    with np.errstate(all="ignore"):
        halves = floats.astype(np.float16)
        fits = dtype.stored == "<f2" and np.array_equal(halves, floats, equal_nan=True)
    return halves if fits else floats


class _Dtype(NamedTuple):
    """The storage of one dtype, and its conversion to a numpy array."""

    name: str
    stored: str  # numpy's name for one element of tensor_content
    fields: tuple[str, ...]  # fields for single values; the first with any counts
    unpack: Callable[[_Entries, _Dtype], _Array] = _plain  # from the entries of such a field
    widen: _Widen = _native  # from tensor_content


def _float8(name: str) -> _Dtype:
    return _Dtype(name, "u1", ("float8_val",), widen=_small_float(SMALL_FLOATS[name]))


# PyTorch stores uint8 in uint32_val, which TensorFlow and TensorBoard do not read: they give zeros, or fail.
_INTS: Final = ("int_val", "uint32_val")
# By enum DataType of types.proto.
_NUMERIC: Final = {
    1: _Dtype("float32", "<f4", ("float_val",)),
    2: _Dtype("float64", "<f8", ("double_val",)),
    3: _Dtype("int32", "<i4", _INTS, _integers),
    4: _Dtype("uint8", "u1", _INTS, _integers),
    5: _Dtype("int16", "<i2", _INTS, _integers),
    6: _Dtype("int8", "i1", _INTS, _integers),
    8: _Dtype("complex64", "<c8", ("scomplex_val",)),
    9: _Dtype("int64", "<i8", ("int64_val",)),
    10: _Dtype("bool", "u1", ("bool_val",), widen=_bool),
    11: _Dtype("qint8", "i1", _INTS, _integers),
    12: _Dtype("quint8", "u1", _INTS, _integers),
    13: _Dtype("qint32", "<i4", _INTS, _integers),
    14: _Dtype("bfloat16", "<u2", ("half_val", "int_val"), _halves, bfloat16_values),  # int_val: the first TensorFlows
    15: _Dtype("qint16", "<i2", _INTS, _integers),
    16: _Dtype("quint16", "<u2", _INTS, _integers),
    17: _Dtype("uint16", "<u2", _INTS, _integers),
    18: _Dtype("complex128", "<c16", ("dcomplex_val",)),
    19: _Dtype("float16", "<f2", ("half_val",), _halves),
    22: _Dtype("uint32", "<u4", ("uint32_val",)),
    23: _Dtype("uint64", "<u8", ("uint64_val",)),
    24: _float8("float8_e5m2"),
    25: _float8("float8_e4m3fn"),
    26: _float8("float8_e4m3fnuz"),
    27: _float8("float8_e4m3b11fnuz"),
    28: _float8("float8_e5m2fnuz"),
    29: _Dtype("int4", "i1", _INTS, _integers, _low_bits(4)),
    30: _Dtype("uint4", "u1", _INTS, _integers, _low_bits(4)),
    31: _Dtype("int2", "i1", _INTS, _integers, _low_bits(2)),
    32: _Dtype("uint2", "u1", _INTS, _integers, _low_bits(2)),
    33: _Dtype("float4_e2m1fn", "u1", ("float8_val",), widen=_small_float(Minifloat(2, 1, 1))),
}
_STRING: Final = 7
_OTHER_NAMES: Final = {0: "invalid", _STRING: "string", 20: "resource", 21: "variant"}
#: The maximum number of bytes of a string's length, and how many lengths are read at once.
_LONGEST: Final = 5
_LENGTHS_AT_ONCE: Final = 1 << 16


def _base(dtype: int) -> int:
    return dtype - 100 if dtype > 100 else dtype


def is_numeric(dtype: int) -> bool:
    """Return whether the enum number ``dtype`` is a type of numbers or bools, not strings, resources or variants."""
    return _base(dtype) in _NUMERIC


def is_string(dtype: int) -> bool:
    """Return whether the enum number ``dtype`` is the type of byte strings."""
    return _base(dtype) == _STRING


def dtype_name(dtype: int) -> str:
    """Return TensorFlow's name for the enum number ``dtype`` (``float32``, ``string``), else ``dtype 99``."""
    return _NUMERIC[_base(dtype)].name if is_numeric(dtype) else _OTHER_NAMES.get(_base(dtype), f"dtype {dtype}")


def item_size(dtype: int) -> int | None:
    """Return the size of an element in ``tensor_content`` in bytes; None if the dtype is not numeric."""
    return np.dtype(_NUMERIC[_base(dtype)].stored).itemsize if is_numeric(dtype) else None


def most_elements(stored: float) -> float:
    """Return how many elements a tensor of ``stored`` bytes can have at most, with the default limits."""
    return 1 + stored + EVENT_FILE_LIMITS.repeated(math.ceil(stored)) / _LEAST_NUMBER


def decode_content(content: bytes | memoryview, dtype: int) -> _Array:
    """Decode the bytes of one ``tensor_content``, or of several concatenated.

    Args:
        content: elements of one dtype, contiguous and little-endian.
        dtype: the enum number of a numeric dtype.

    Returns:
        A 1-D array in native byte order: a read-only view of ``content`` if numpy has the dtype.

    Raises:
        DecodeError: The dtype is not numeric, or the size is not a multiple of its elements' size.
    """
    if not is_numeric(dtype):
        message = f"A tensor of {dtype_name(dtype)} does not hold numbers."
        raise DecodeError(message)
    known, size = _NUMERIC[_base(dtype)], memoryview(content).nbytes
    if size % np.dtype(known.stored).itemsize:
        message = f"The {size} bytes of a tensor of {known.name} are not a whole number of elements."
        raise DecodeError(message)
    return known.widen(np.frombuffer(content, known.stored))


def decode_tensor(
    proto: bytes, limits: SizeLimits = EVENT_FILE_LIMITS, split_values: SplitValues | None = None
) -> _Array:
    """Decode a serialized TensorProto.

    Args:
        proto: the message's bytes.
        limits: how many bytes the elements that it leaves out may take.
        split_values: reads the strings and integers of a large message in less memory than protobuf.

    Returns:
        An array of the tensor's shape in native byte order, possibly read-only. If all elements repeat one value, it
        is a view without memory of its own. Strings are an object array of ``bytes``. A tensor of unknown rank, or of
        several values without a shape field, is a 1-D array.

    Raises:
        DecodeError: The bytes are not a TensorProto, the dtype is unknown or has no values (resource, variant), the
            values do not fit dtype or shape.
        LimitError: Too many elements are left out.
    """
    from google.protobuf.message import DecodeError as ProtobufError
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    split = split_values(proto, np.empty) if split_values and len(proto) >= _LARGE else None
    found, others = split or ({}, proto)
    try:
        message = TensorProto.FromString(others)
    except (ProtobufError, ValueError) as error:  # ValueError: pure-Python protobuf, for text that is not UTF-8
        reason = f"The {len(proto)} bytes of a tensor are not in the format of a TensorProto ({error})."
        raise DecodeError(reason) from error
    content = message.tensor_content  # takes precedence over the fields, as in TensorFlow
    if is_string(message.dtype):
        strings = _entries(message, "string_val", found)
        values = _split(content, math.prod(_shape(message, 0))) if content else _numbers(strings, object)
    else:
        values = decode_content(content, message.dtype)  # raises DecodeError if not numeric
        if not content:
            known = _NUMERIC[_base(message.dtype)]
            filled = [entries for field in known.fields if len(entries := _entries(message, field, found))]
            values = known.unpack(filled[0] if filled else (), known)
    stray = {field.number: field.name for field, _ in message.ListFields() if field.name.endswith("_val")}
    stray |= {number: TensorProto.DESCRIPTOR.fields_by_number[number].name for number in found}
    if stray and not values.size:  # TensorFlow would read zeros
        name = stray[min(stray)]
        reason = f"A tensor of {dtype_name(message.dtype)} holds its values in {name}, a field of other types."
        raise DecodeError(reason)
    shape = _shape(message, values.size)
    if not content and values.size < math.prod(shape):
        _check_left_out(values, shape, len(proto), limits)
    return _in_shape(values, shape, repeat=not content)


def _entries(message: TensorProto, field: str, found: Mapping[int, _Array]) -> _Entries:
    """Return the entries of a field, which the scanner found or protobuf has."""
    entries: _Entries | None = found.get(message.DESCRIPTOR.fields_by_name[field].number)
    return getattr(message, field) if entries is None else entries


def _split(content: bytes, count: int) -> _Array:
    """Split strings in ``tensor_content`` as C++ writes them: all lengths as varints, then all bytes."""
    found = offset = size = 0
    for lengths, end in _lengths(content, count):
        found, offset, size = found + len(lengths), end, size + int(lengths.sum())
    if found < count or offset + size != len(content):
        message = f"The content of a tensor of string ({len(content)} bytes) is not a list of {count} strings."
        raise DecodeError(message)
    sizes = chain.from_iterable(lengths.tolist() for lengths, _ in _lengths(content, count))
    bounds = pairwise(accumulate(sizes, initial=offset))
    return np.fromiter((content[start:end] for start, end in bounds), object, count)


def _lengths(content: bytes, count: int) -> Iterator[tuple[_Array, int]]:
    """Yield the first ``count`` varints of a content, many at once, and the place after them; fewer if one is wrong."""
    data, offset = np.frombuffer(content, np.uint8), 0
    for begin in range(0, min(count, len(content)), _LENGTHS_AT_ONCE):
        wanted = min(_LENGTHS_AT_ONCE, count - begin)
        window = data[offset : offset + _LONGEST * wanted]
        ends = np.flatnonzero(window < 0x80)[:wanted]
        sizes = np.diff(ends, prepend=-1)
        if len(ends) < wanted or sizes.max() > _LONGEST:
            return
        starts = ends + 1 - sizes
        used = window[: ends[-1] + 1].astype(np.int64) & 0x7F
        places = np.arange(len(used)) - np.repeat(starts, sizes)
        offset += len(used)
        yield np.add.reduceat(used << 7 * places, starts), offset


def _shape(message: TensorProto, found: int) -> tuple[int, ...]:
    """Return the tensor's shape, or the shape of the ``found`` values if it has none."""
    if message.tensor_shape.unknown_rank or (found > 1 and not message.HasField("tensor_shape")):
        return (found,)
    shape = tuple(dim.size for dim in message.tensor_shape.dim)
    if len(shape) > MAX_RANK or min(shape, default=0) < 0 or math.prod(size or 1 for size in shape) > MAX_ELEMENTS:
        reason = f"A tensor's shape is not valid: it has {len(shape)} dimensions, from {min(shape)} to {max(shape)}."
        raise DecodeError(reason)
    return shape


def _check_left_out(values: _Array, shape: tuple[int, ...], stored: int, limits: SizeLimits) -> None:
    """Raise LimitError if a tensor of ``stored`` bytes leaves out too many elements."""
    left_out = math.prod(shape) - values.size
    if values.dtype == object:
        each = max(_LEAST_STRING, len(values[-1]) if values.size else 0)
    else:
        each = max(_LEAST_NUMBER, values.dtype.itemsize)
    most = limits.repeated(stored)
    if left_out * each > most:
        reason = (
            f"A tensor of shape {shape} and {stored:,} bytes leaves out {left_out:,} elements of {each:,} bytes, and "
            f"the limit is {most:,} bytes"
        )
        raise LimitError(reason, RAISE_LIMIT)


def _in_shape(values: _Array, shape: tuple[int, ...], *, repeat: bool) -> _Array:
    count = math.prod(shape)
    # One value may be repeated for any number of elements, even none.
    if values.size > max(count, 1) or (values.size != count and not repeat):
        message = f"A tensor of shape {shape} holds {values.size} values instead of {count}."
        raise DecodeError(message)
    if not values.size and count:
        values = np.full(1, b"" if values.dtype == object else 0, values.dtype)
    if 1 < values.size < count:
        values = np.concatenate([values, np.broadcast_to(values[-1:], count - values.size)])
    try:
        return values.reshape(shape) if values.size == count else np.broadcast_to(values, shape)
    except ValueError as error:
        message = f"A tensor of shape {shape} does not fit in an array ({error})."
        raise DecodeError(message) from error
