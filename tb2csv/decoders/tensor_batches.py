"""Tensor payloads as numpy arrays, many values of one schema at a time."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.decoders.protocol import PART_ROWS, Undecodable
from tb2csv.errors import DecodeError
from tb2csv.event_files.scanners import default_scanner
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np
from tb2csv.tensor_protos import decode_content, decode_tensor, dtype_name, is_numeric, item_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.decoders.protocol import Values
    from tb2csv.event_files.values import ValueSchema

    _Reader = Callable[[Values, int], npt.NDArray[Any]]


#: The maximum number of dimensions of a tensor: one fewer than in every numpy version, because a stack adds one.
_MAX_RANK: Final = 31


class Stack(NamedTuple):
    """The tensors of the values ``start`` to ``stop``, of one dtype and shape; axis 0 is the value."""

    start: int
    stop: int
    array: npt.NDArray[Any]


def stacks(values: Values, read: _Reader | None = None) -> Iterator[Stack | Undecodable]:
    """Yield the tensors of all values in order, stacked as far as they share a schema and fit into a part.

    Strings are ``bytes`` objects. An undecodable value is yielded as such, between two stacks. ``read`` reads a value
    that cannot be read with others, ``read_tensor`` by default.
    """
    changes = np.flatnonzero(np.diff(values.schema_id)) + 1
    bounds = [0, *changes.tolist(), len(values)]
    for start, stop in itertools.pairwise(bounds):
        schema = values.schema(start)
        step = max(1, PART_ROWS // max(1, math.prod(schema.shape or ())))
        for begin in range(start, stop, step):
            yield from _stack(values, schema, begin, min(begin + step, stop), read or read_tensor)


def group_stacks(stacked: Iterator[Stack | Undecodable]) -> Iterator[list[Stack] | Undecodable]:
    """Group consecutive stacks that differ only in shape, up to the rows of a part.

    In a series of changing shapes each value is a stack, and a frame per value would cost much more than the value.
    """
    group: list[Stack] = []
    rows = 0
    for stack in stacked:
        if group and (isinstance(stack, Undecodable) or not _fits(stack, group[-1], rows)):
            yield group
            group, rows = [], 0
        if isinstance(stack, Undecodable):
            yield stack
        else:
            group.append(stack)
            rows += stack.array.size
    if group:
        yield group


def _fits(stack: Stack, other: Stack, rows: int) -> bool:
    is_alike = stack.array.dtype == other.array.dtype and stack.array.ndim == other.array.ndim
    return is_alike and rows + stack.array.size <= PART_ROWS


def element_columns(values: Values, group: list[Stack], begin: int, end: int) -> dict[str, npt.NDArray[Any]]:
    """Return the times and the indices of the elements ``begin`` to ``end`` of all tensors, concatenated."""
    counts = element_counts(group, begin, end)
    indices: list[list[npt.NDArray[np.int64]]] = [[] for _ in range(group[0].array.ndim - 1)]
    for start, _, array in group:
        shape = array.shape[1:]
        elements = np.arange(begin, begin + counts[start - group[0].start])
        for axis, position in enumerate(np.unravel_index(elements, shape) if shape else ()):
            indices[axis].append(np.tile(position, len(array)))
    rows = slice(group[0].start, group[-1].stop)
    return {
        "wall_time": np.repeat(values.wall_time[rows], counts),
        "step": np.repeat(values.step[rows], counts),
        **{f"i{axis}": np.concatenate(positions) for axis, positions in enumerate(indices)},
    }


def element_counts(group: list[Stack], begin: int, end: int) -> npt.NDArray[np.int64]:
    """Return the number of the elements ``begin`` to ``end`` that each tensor has."""
    sizes = np.array([math.prod(stack.array.shape[1:]) for stack in group])
    stacked: npt.NDArray[np.int64] = np.clip(sizes, begin, end) - begin
    return np.repeat(stacked, [len(stack.array) for stack in group])


def _stack(values: Values, schema: ValueSchema, start: int, stop: int, read: _Reader) -> Iterator[Stack | Undecodable]:
    if schema.kind == ValueKind.SCALAR_TENSOR:
        yield Stack(start, stop, values.scalar[start:stop].astype(decode_content(b"", schema.dtype).dtype))
        return
    shape = schema.shape
    is_regular = schema.kind == ValueKind.TENSOR_CONTENT and is_numeric(schema.dtype)
    if is_regular and shape is not None and len(shape) <= _MAX_RANK and min(shape, default=0) >= 0:
        size = math.prod(shape) * (item_size(schema.dtype) or 0)
        if (values.payload_length[start:stop] == size).all():
            try:
                flat = decode_content(_joined_payloads(values, start, stop, size), schema.dtype)
            except DecodeError:  # one of the values is broken: read them one by one
                pass
            else:
                yield Stack(start, stop, flat.reshape(stop - start, *shape))
                return
    yield from _stack_one_by_one(values, start, stop, read)


def _joined_payloads(values: Values, start: int, stop: int, size: int) -> memoryview:
    """Return the payloads of the values ``start`` to ``stop``, of ``size`` bytes each, concatenated.

    No Python object is made for a payload: thousands of objects would start the garbage collector.
    """
    if not size:
        return memoryview(b"")
    buffer = values.block.buffer
    # Overlapping views: windows[i] is the bytes from i.
    windows = np.ndarray((len(buffer) - size + 1,), f"V{size}", buffer, 0, (1,))
    joined: memoryview = windows[values.payload_start[start:stop]].view(np.uint8).data
    return joined


def _stack_one_by_one(values: Values, start: int, stop: int, read: _Reader) -> Iterator[Stack | Undecodable]:
    alike: list[npt.NDArray[Any]] = []
    for row in range(start, stop):
        array = None
        try:
            array = read(values, row)
        except DecodeError as error:
            failure = Undecodable.of(row, error)
        if alike and (array is None or not _goes_with(array, alike)):
            yield Stack(row - len(alike), row, np.stack(alike))
            alike = []
        if array is None:
            yield failure
        else:
            alike.append(array)
    if alike:
        yield Stack(stop - len(alike), stop, np.stack(alike) if len(alike) > 1 else alike[0][np.newaxis])


def _goes_with(array: npt.NDArray[Any], alike: list[npt.NDArray[Any]]) -> bool:
    """Return whether a tensor can be stacked on others; if the schema lacks a shape, its size is known only here."""
    is_alike = array.shape == alike[0].shape and array.dtype == alike[0].dtype
    return is_alike and (len(alike) + 1) * array.size <= PART_ROWS


def read_tensor(values: Values, row: int) -> npt.NDArray[Any]:
    """Return the tensor of one value.

    Raises:
        DecodeError: the value does not hold a tensor, or the tensor does not match its schema, such as several elements
            without a shape, which means a single element.
    """
    schema = values.schema(row)
    payload = bytes(values.payload(row))
    rank = len(schema.shape or ())
    if rank > _MAX_RANK:
        detail = f"a tensor has {rank} dimensions, more than the {_MAX_RANK} that fit in an array"
        raise DecodeError(detail)
    if schema.kind == ValueKind.TENSOR_PROTO:
        array = decode_tensor(payload, values.limits, default_scanner().split_values)
    elif schema.kind == ValueKind.TENSOR_CONTENT:
        array = decode_tensor(_tensor_proto(schema, payload))
    else:
        detail = f"the value holds a {schema.kind.name.lower()}, not a tensor"
        raise DecodeError(detail)
    if schema.shape is not None and array.shape != schema.shape:
        detail = f"a tensor without a shape, which makes it a single value, holds {array.size}"
        raise DecodeError(detail)
    return array


def _tensor_proto(schema: ValueSchema, content: bytes) -> bytes:
    """Return the TensorProto of a schema and its content, so that unusual contents are read like any other."""
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    proto = TensorProto(dtype=schema.dtype, tensor_content=content)
    if schema.shape is None:
        proto.tensor_shape.unknown_rank = True
    else:
        for size in schema.shape:
            proto.tensor_shape.dim.add(size=size)
    serialized: bytes = proto.SerializeToString()
    return serialized


def is_real(dtype: int) -> bool:
    """Return whether one column can hold the values of a dtype; complex numbers take two."""
    return is_numeric(dtype) and not dtype_name(dtype).startswith("complex")


def storable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers in a type that tables support: float16 becomes float32, which changes no value."""
    return array.astype(np.float32) if array.dtype == np.float16 else array
