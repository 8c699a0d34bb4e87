"""The reference scanner: the contract of the compiled one in readable Python, through protobuf's own parser.

It is the oracle that the compiled scanner is tested against, what runs where none could be compiled, and what decides
about every record that the compiled one finds irregular.

An event is parsed down to its values, Event > Summary > Value, and of a tensor the dtype, the shape and where its
elements are. Messages below that are payload: they stay bytes, so that a broken image or a name that is no UTF-8 costs
one value at most, and not the other values of its event: see flat_messages.py.

A log has a million events, and of each microsecond in here comes a second. What costs most of it are the containers of
repeated fields: one slice, ``field[:]``, makes a list of them in a third of the time that it takes to iterate.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from tb2csv.errors import DecodeError
from tb2csv.event_files.event_messages import EVENT_ALONE, parse
from tb2csv.event_files.framing import FOOT_SIZE, HEAD_SIZE, MAX_PAYLOAD_SIZE, frame_length, masked_crc
from tb2csv.event_files.values import (
    ROW_SIZE,
    FormTable,
    ScanStatus,
    SessionMark,
    ValueColumns,
    ValueKind,
    ValueSchema,
    pack_content,
    pack_row,
)

if TYPE_CHECKING:
    import numpy.typing as npt

#: TensorBoard's own tag for a run's graph, and ours for a MetaGraphDef's.
RUN_GRAPH_TAG: Final = b"__run_graph__"
META_GRAPH_TAG: Final = b"__meta_graph__"

_DT_FLOAT: Final = 1
_DT_DOUBLE: Final = 2
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_NO_SCALAR: Final = float("nan")
_FOOT: Final = struct.Struct("<I")

_VERSION_PREFIX: Final = "brain.Event:"
_SESSION_START: Final = 1


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
    ``forms``; both scanners leave both the same. An event without values stops a scan, unless it is the file's first
    and tells the version: ``read_event`` makes a mark of it.
    """
    rows = _Rows(columns.size)
    status, position, records = _scan(buffer, start, base, forms, rows)
    rows.append_to(columns)
    return status, position, records


class _Rows:
    """Rows to be appended to columns at once, and the plugin contents that belong to them."""

    def __init__(self, first_row: int) -> None:
        """Start with no rows; the first one to come is number ``first_row`` of the columns."""
        self.packed = bytearray()
        self._contents = bytearray()
        self._first_row = first_row

    def add_content(self, offset: int, length: int) -> None:
        """Add the content of the row to come."""
        self._contents += pack_content(self._first_row + len(self.packed) // ROW_SIZE, offset, length)

    def append_to(self, columns: ValueColumns) -> None:
        """Append the rows and their contents."""
        columns.add_contents(self._contents)
        columns.extend(self.packed)


def _scan(buffer: memoryview, start: int, base: int, forms: FormTable, rows: _Rows) -> tuple[ScanStatus, int, int]:
    position = start
    records = 0
    size = len(buffer)
    while size - position >= HEAD_SIZE:
        payload = position + HEAD_SIZE
        length = frame_length(bytes(buffer[position:payload]))
        if length is None:
            return ScanStatus.BAD_LENGTH_CRC, position, records
        foot = payload + length
        if foot + FOOT_SIZE > size:
            break
        if length > MAX_PAYLOAD_SIZE:
            return ScanStatus.BAD_LENGTH_CRC, position, records
        event = bytes(buffer[payload:foot])
        if masked_crc(event) != _FOOT.unpack_from(buffer, foot)[0]:
            return ScanStatus.BAD_PAYLOAD_CRC, position, records
        try:
            is_filled = _add_rows(event, base + payload, forms, rows)
        except DecodeError:
            return ScanStatus.IRREGULAR, position, records
        if not is_filled and not _is_first_with_version(event, base + payload):
            return ScanStatus.IRREGULAR, position, records
        position = foot + FOOT_SIZE
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
        message = parse("SummaryMetadata", serialized)
        plugin = parse("PluginData", b"".join(message.plugin_data))
    except DecodeError:
        return None
    return plugin.plugin_name, plugin.content, message.display_name, message.summary_description


class EventHead(NamedTuple):
    """What an event says beside its values."""

    #: In seconds since the epoch; infinity where it is not known.
    wall_time: float
    step: int
    #: The number in ``brain.Event:2``: -1 where something else stands there, None where nothing does.
    version: float | None


def read_head(event: bytes) -> EventHead:
    """Return what a serialized Event says beside its values; what nests in it may be broken.

    Raises DecodeError where it is no Event.
    """
    message = parse(EVENT_ALONE, event)
    version = None
    if message.WhichOneof("what") == "file_version":
        _, _, number = message.file_version.decode("utf-8", "replace").rpartition(_VERSION_PREFIX)
        try:
            version = float(number)
        except ValueError:
            version = -1.0
    return EventHead(message.wall_time, message.step, version)


def _is_first_with_version(event: bytes, offset: int) -> bool:
    """Whether an event, which lies at ``offset`` in its file, is the one that a file begins with."""
    return offset == HEAD_SIZE and parse(EVENT_ALONE, event).WhichOneof("what") == "file_version"


def _mark(event: bytes, row: int) -> SessionMark:
    """Return the mark that an event without values leaves behind ``row`` rows."""
    message = parse(EVENT_ALONE, event)
    what = message.WhichOneof("what")
    is_start = False
    if what == "session_log":
        with contextlib.suppress(DecodeError):  # one that is broken starts nothing
            is_start = parse("SessionLog", message.session_log).status == _SESSION_START
    return SessionMark(row, message.step, is_start, what == "summary")


#: A form's key, the scalar or NaN, the payload, and the plugin content. A plain tuple: a million of them are made.
_Value: TypeAlias = tuple[bytes, float, bytes, bytes]


@functools.lru_cache(maxsize=4096)
def _key(
    tag: bytes, kind: ValueKind, dtype: int = 0, shape: tuple[int, ...] | None = (), metadata: bytes = b""
) -> bytes:
    """Return the key of a form; the same ones come again and again."""
    return ValueSchema(tag, kind, dtype, shape, metadata).to_key()


def read_event(event: bytes, offset: int, forms: FormTable, columns: ValueColumns) -> None:
    """Append the values of one serialized Event, which lies at ``offset`` in its file; a mark where it has none.

    Raises DecodeError where it is no Event, and then appends nothing.
    """
    rows = _Rows(columns.size)
    if not _add_rows(event, offset, forms, rows) and not _is_first_with_version(event, offset):
        columns.marks.append(_mark(event, columns.size))
    rows.append_to(columns)


def _add_rows(event: bytes, offset: int, forms: FormTable, rows: _Rows) -> bool:
    """Add the rows of an event's values, and return whether it has any; raise DecodeError if it is not an Event."""
    message = parse("Event", event)
    wall_time, step = message.wall_time, message.step
    values = _values(message)
    cursor = content_cursor = 0
    for key, scalar, payload, content in values:
        form_id = forms.intern(key)
        if content:
            content_cursor = _place(event, content, content_cursor)
            rows.add_content(offset + content_cursor, len(content))
        if not payload:
            rows.packed += pack_row(form_id, wall_time, step, scalar, 0, 0)
            continue
        cursor = _place(event, payload, cursor)
        rows.packed += pack_row(form_id, wall_time, step, scalar, offset + cursor, len(payload))
    return bool(values)


def _place(event: bytes, part: bytes, cursor: int) -> int:
    """Return where a part of an event is, from ``cursor`` on if it is there.

    Parts are in the event in the order of their values. Only if a writer put fields in odd order, the search starts
    over, and then equal bytes are as good.
    """
    place = event.find(part, cursor)
    return event.index(part) if place < 0 else place


def _values(event: Any) -> list[_Value]:
    values = [_value(value) for summary in event.summary[:] for value in summary.value[:]]
    if event.graph_def:
        values.append((_key(RUN_GRAPH_TAG, ValueKind.GRAPH_DEF), _NO_SCALAR, event.graph_def, b""))
    if event.meta_graph_def:
        values.append((_key(META_GRAPH_TAG, ValueKind.META_GRAPH_DEF), _NO_SCALAR, event.meta_graph_def, b""))
    values += [
        (_key(tagged.tag, ValueKind.RUN_METADATA), _NO_SCALAR, tagged.run_metadata, b"")
        for tagged in event.tagged_run_metadata[:]
    ]
    return values


#: The fields of Summary.Value's oneof whose payload is all we need to know here.
_PAYLOAD_KINDS: Final = {
    "histo": ValueKind.HISTO,
    "image": ValueKind.IMAGE,
    "audio": ValueKind.AUDIO,
    "obsolete_old_style_histogram": ValueKind.OBSOLETE_HISTOGRAM,
}


def _value(value: Any) -> _Value:
    tag = value.tag or value.node_name  # node_name is what the first logs had instead of a tag
    metadata, content = split_metadata(b"".join(value.metadata[:]))
    which = value.WhichOneof("value")
    if which is None:
        kind = ValueKind.PLUGIN_CONTENT if content else ValueKind.NONE
        return (_key(tag, kind, 0, (), metadata), _NO_SCALAR, content, b"")
    if which == "simple_value":
        return (_key(tag, ValueKind.SIMPLE_VALUE, 0, (), metadata), value.simple_value, b"", content)
    if which == "tensor":
        return (*_tensor_value(tag, metadata, value.tensor), content)
    return (_key(tag, _PAYLOAD_KINDS[which], 0, (), metadata), _NO_SCALAR, getattr(value, which), content)


#: Metadata of up to so many bytes is remembered, for it comes again and again.
_SMALL_METADATA: Final = 256


def split_metadata(metadata: bytes) -> tuple[bytes, bytes]:
    """Return a serialized SummaryMetadata without its plugin content, and the content.

    Metadata without content stays as it is, and so do bytes that are not a SummaryMetadata.
    """
    if not metadata:
        return b"", b""
    return _split_again(metadata) if len(metadata) <= _SMALL_METADATA else _split(metadata)


def _split(metadata: bytes) -> tuple[bytes, bytes]:
    try:
        message = parse("SummaryMetadata", metadata)
        plugin = parse("PluginData", b"".join(message.plugin_data))
    except DecodeError:
        return metadata, b""
    content: bytes = plugin.content
    if not content:
        return metadata, b""
    plugin.ClearField("content")
    message.plugin_data[:] = [plugin.SerializeToString()]
    return message.SerializeToString(), content


_split_again: Final = functools.lru_cache(maxsize=4096)(_split)


def _tensor_value(tag: bytes, metadata: bytes, serialized: bytes) -> tuple[bytes, float, bytes]:
    try:
        tensor = parse("TensorProto", serialized)
        shape = _shape(b"".join(tensor.tensor_shape[:]))
    except DecodeError:  # kept as it is: the decoder will say what is wrong with it
        return (_key(tag, ValueKind.TENSOR_PROTO, 0, None, metadata), _NO_SCALAR, serialized)
    dtype = tensor.dtype
    if shape == ():
        if dtype == _DT_FLOAT:
            elements = tensor.tensor_content or b"".join(tensor.float_val[:])
            if len(elements) == _FLOAT.size:
                key = _key(tag, ValueKind.SCALAR_TENSOR, dtype, shape, metadata)
                return (key, _FLOAT.unpack(elements)[0], b"")
        elif dtype == _DT_DOUBLE:
            elements = tensor.tensor_content or b"".join(tensor.double_val[:])
            if len(elements) == _DOUBLE.size:
                key = _key(tag, ValueKind.SCALAR_TENSOR, dtype, shape, metadata)
                return (key, _DOUBLE.unpack(elements)[0], b"")
    if tensor.tensor_content:
        key = _key(tag, ValueKind.TENSOR_CONTENT, dtype, shape, metadata)
        return (key, _NO_SCALAR, tensor.tensor_content)
    return (_key(tag, ValueKind.TENSOR_PROTO, dtype, shape, metadata), _NO_SCALAR, serialized)


@functools.lru_cache(maxsize=1024)
def _shape(serialized: bytes) -> tuple[int, ...] | None:
    shape = parse("TensorShapeProto", serialized)
    if shape.unknown_rank:
        return None
    return tuple(parse("Dim", dim).size for dim in shape.dim)
