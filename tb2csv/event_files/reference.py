"""The reference scanner: the contract of the compiled one in readable Python, through protobuf's own parser.

It is the oracle that the compiled scanner is tested against, what runs where none could be compiled, and what decides
about every record that the compiled one finds irregular.

An event is read at three levels, Event > Summary > Value, and of a tensor the dtype, the shape and where its elements
are. Nested messages below that are payload: they stay bytes, so that a broken image or a name that is no UTF-8 costs
one value at most, and not the other values of its event: see flat_messages.py.
"""

from __future__ import annotations

import functools
import math
import struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from tb2csv.errors import DecodeError
from tb2csv.event_files.flat_messages import flat_classes
from tb2csv.event_files.framing import FOOT_SIZE, HEAD_SIZE, MAX_PAYLOAD_SIZE, frame_length, masked_crc
from tb2csv.event_files.values import FormTable, ScanStatus, ValueColumns, ValueForm, ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

#: TensorBoard's own tag for a run's graph, and ours for a MetaGraphDef's.
RUN_GRAPH_TAG: Final = b"__run_graph__"
META_GRAPH_TAG: Final = b"__meta_graph__"

_DT_FLOAT: Final = 1
_DT_DOUBLE: Final = 2
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_NO_SCALAR: Final = float("nan")


class PythonFormTable:
    """The forms met so far in one run, numbered in the order of their first value."""

    def __init__(self) -> None:
        """Start with no forms."""
        self._ids: dict[bytes, int] = {}
        self._keys: list[bytes] = []

    def intern(self, key: bytes) -> int:
        """Return the number of the form with this key, a new one for a new key."""
        form_id = self._ids.get(key)
        if form_id is None:
            form_id = self._ids[key] = len(self._keys)
            self._keys.append(key)
        return form_id

    def key(self, form_id: int) -> bytes:
        """Return the key of a form."""
        return self._keys[form_id]

    def __len__(self) -> int:
        """Return how many forms there are."""
        return len(self._keys)


def scan(
    buffer: memoryview, start: int, base: int, forms: FormTable, columns: ValueColumns
) -> tuple[ScanStatus, int, int]:
    """Scan records from ``start`` until something stops it.

    ``buffer`` holds the bytes of the file from offset ``base`` on. Returns why it stopped, the position in the buffer
    of the record at which it did, and how many records it passed. Values go into ``columns``, their forms into
    ``forms``; both scanners leave both the same.
    """
    position = start
    records = 0
    while len(buffer) - position >= HEAD_SIZE:
        length = frame_length(bytes(buffer[position : position + HEAD_SIZE]))
        if length is None:
            return ScanStatus.BAD_LENGTH_CRC, position, records
        end = position + HEAD_SIZE + length + FOOT_SIZE
        if end > len(buffer):
            break
        if length > MAX_PAYLOAD_SIZE:
            return ScanStatus.BAD_LENGTH_CRC, position, records
        payload = position + HEAD_SIZE
        event = bytes(buffer[payload : end - FOOT_SIZE])
        if masked_crc(event) != int.from_bytes(buffer[end - FOOT_SIZE : end], "little"):
            return ScanStatus.BAD_PAYLOAD_CRC, position, records
        try:
            read_event(event, base + payload, forms, columns)
        except DecodeError:
            return ScanStatus.IRREGULAR, position, records
        position = end
        records += 1
    return ScanStatus.MORE, position, records


def group(
    form_id: npt.NDArray[np.int32],
    series_of_form: npt.NDArray[np.int32],
    order: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
) -> None:
    """Sort rows by series: ``order[bounds[i]:bounds[i + 1]]`` becomes the rows of series i, in their order.

    ``form_id`` has a form number for each row, ``series_of_form`` a series number for each form. ``order`` is as long
    as there are rows, ``bounds`` one longer than there are series.
    """
    series = series_of_form[form_id]
    order[:] = np.argsort(series, kind="stable")
    bounds[:] = np.searchsorted(series[order], np.arange(len(bounds)))


def read_metadata(serialized: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Return plugin name, plugin content, display name and description of a serialized SummaryMetadata.

    None where it is no SummaryMetadata.
    """
    try:
        message = _parse("SummaryMetadata", serialized)
        plugin = _parse("PluginData", b"".join(message.plugin_data))
    except DecodeError:
        return None
    return plugin.plugin_name, plugin.content, message.display_name, message.summary_description


def wall_time(event: bytes) -> float:
    """Return the wall time of a serialized Event, in seconds since the epoch; infinity where it is none."""
    try:
        return float(_parse("Event", event).wall_time)
    except DecodeError:
        return math.inf


#: A form's key, the scalar or NaN, and the payload. A plain tuple: a million of them are made.
_Row: TypeAlias = tuple[bytes, float, bytes]


@functools.lru_cache(maxsize=4096)
def _key(
    tag: bytes, kind: ValueKind, dtype: int = 0, shape: tuple[int, ...] | None = (), metadata: bytes = b""
) -> bytes:
    """Return the key of a form; the same ones come again and again."""
    return ValueForm(tag, kind, dtype, shape, metadata).to_key()


def read_event(event: bytes, offset: int, forms: FormTable, columns: ValueColumns) -> None:
    """Append the values of one serialized Event, which lies at ``offset`` in its file.

    Raises DecodeError where it is no Event, and then appends nothing.
    """
    message = _parse("Event", event)
    rows = list(_rows(message))
    cursor = 0
    for key, scalar, payload in rows:
        position = 0
        if payload:
            # Payloads stand in the event in the order of their values; only where a writer put fields in odd order
            # can the search have to start over, and then equal bytes are as good.
            position = event.find(payload, cursor)
            if position < 0:
                position = event.find(payload)
            if position < 0:
                raise DecodeError("a payload is stored in several pieces")  # noqa: EM101, TRY003 - see errors.py
            cursor = position
        columns.append(
            forms.intern(key),
            message.wall_time,
            message.step,
            scalar,
            offset + position if payload else 0,
            len(payload),
        )


def _rows(event: Any) -> Iterator[_Row]:
    for summary in event.summary:
        for serialized in _parse("Summary", summary).value:
            yield _value_row(_parse("Value", serialized))
    if event.graph_def:
        yield (_key(RUN_GRAPH_TAG, ValueKind.GRAPH_DEF), _NO_SCALAR, event.graph_def)
    if event.meta_graph_def:
        yield (_key(META_GRAPH_TAG, ValueKind.META_GRAPH_DEF), _NO_SCALAR, event.meta_graph_def)
    for serialized in event.tagged_run_metadata:
        tagged = _parse("TaggedRunMetadata", serialized)
        yield (_key(tagged.tag, ValueKind.RUN_METADATA), _NO_SCALAR, tagged.run_metadata)


#: The fields of Summary.Value's oneof whose payload is all we need to know here.
_PAYLOAD_KINDS: Final = {
    "histo": ValueKind.HISTO,
    "image": ValueKind.IMAGE,
    "audio": ValueKind.AUDIO,
    "obsolete_old_style_histogram": ValueKind.OBSOLETE_HISTOGRAM,
}


def _value_row(value: Any) -> _Row:
    tag = value.tag or value.node_name  # node_name is what the first logs had instead of a tag
    metadata = b"".join(value.metadata)
    which = value.WhichOneof("value")
    if which is None:
        return (_key(tag, ValueKind.NONE, metadata=metadata), _NO_SCALAR, b"")
    if which == "simple_value":
        return (_key(tag, ValueKind.SIMPLE_VALUE, metadata=metadata), value.simple_value, b"")
    if which == "tensor":
        return _tensor_row(tag, metadata, value.tensor)
    return (_key(tag, _PAYLOAD_KINDS[which], metadata=metadata), _NO_SCALAR, getattr(value, which))


def _tensor_row(tag: bytes, metadata: bytes, serialized: bytes) -> _Row:
    try:
        tensor = _parse("TensorProto", serialized)
        shape = _shape(b"".join(tensor.tensor_shape))
    except DecodeError:  # kept as it is: the decoder will say what is wrong with it
        return (_key(tag, ValueKind.TENSOR_PROTO, 0, None, metadata), _NO_SCALAR, serialized)
    dtype = tensor.dtype
    if shape == ():
        if dtype == _DT_FLOAT:
            elements = tensor.tensor_content or b"".join(tensor.float_val)
            if len(elements) == _FLOAT.size:
                key = _key(tag, ValueKind.SCALAR_TENSOR, dtype, shape, metadata)
                return (key, _FLOAT.unpack(elements)[0], b"")
        elif dtype == _DT_DOUBLE:
            elements = tensor.tensor_content or b"".join(tensor.double_val)
            if len(elements) == _DOUBLE.size:
                key = _key(tag, ValueKind.SCALAR_TENSOR, dtype, shape, metadata)
                return (key, _DOUBLE.unpack(elements)[0], b"")
    if tensor.tensor_content:
        key = _key(tag, ValueKind.TENSOR_CONTENT, dtype, shape, metadata)
        return (key, _NO_SCALAR, tensor.tensor_content)
    return (_key(tag, ValueKind.TENSOR_PROTO, dtype, shape, metadata), _NO_SCALAR, serialized)


@functools.lru_cache(maxsize=1024)
def _shape(serialized: bytes) -> tuple[int, ...] | None:
    shape = _parse("TensorShapeProto", serialized)
    if shape.unknown_rank:
        return None
    return tuple(_parse("Dim", dim).size for dim in shape.dim)


def _parse(name: str, serialized: bytes) -> Any:
    try:
        return _parser(name)(serialized)
    except _protobuf_error() as error:
        detail = f"the bytes are no {name} in the protobuf wire format"
        raise DecodeError(detail) from error


@functools.cache
def _parser(name: str) -> Callable[[bytes], Any]:
    parser: Callable[[bytes], Any] = _classes()[name].FromString
    return parser


@functools.cache
def _protobuf_error() -> type[Exception]:
    from google.protobuf.message import DecodeError as ProtobufError

    return ProtobufError


@functools.cache
def _classes() -> dict[str, Any]:
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2

    return flat_classes(
        event_pb2.Event,
        event_pb2.TaggedRunMetadata,
        summary_pb2.Summary,
        summary_pb2.Summary.Value,
        summary_pb2.SummaryMetadata,
        summary_pb2.SummaryMetadata.PluginData,
        tensor_pb2.TensorProto,
        tensor_shape_pb2.TensorShapeProto,
        tensor_shape_pb2.TensorShapeProto.Dim,
        # Not exclusive here: a summary beside a graph, or a second summary, is read and not overwritten.
        without_oneofs=("Event",),
    )
