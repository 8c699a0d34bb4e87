"""The reference scanner: readable Python that uses protobuf's parser, and the contract of the compiled scanner.

The compiled scanner is tested against it. It runs alone if nothing could be compiled, and it reads every record that
the compiled scanner finds irregular.

It parses an event down to its values (Event > Summary > Value), and a tensor's dtype, shape and place of its elements.
Messages below that stay bytes, so that a broken image or a name that is not UTF-8 affects one value at most; see
flat_messages.py.

For a log of a million events, a microsecond here is a second in total. Most of the time goes to the containers of
repeated fields: a slice ``field[:]`` makes a list of them in a third of the time of a loop.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tb2csv.errors import DecodeError
from tb2csv.event_files.event_messages import SHALLOW_EVENT, parse
from tb2csv.event_files.framing import MAX_PAYLOAD_SIZE
from tb2csv.event_files.values import (
    ROW_SIZE,
    ScanStatus,
    SchemaTable,
    SessionMark,
    ValueColumns,
    ValueKind,
    ValueSchema,
    pack_content,
    pack_row,
)
from tb2csv.late_modules import np
from tb2csv.tfrecord import FOOT_SIZE, HEAD_SIZE, is_payload_sound, payload_length

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

#: TensorBoard's tag for a run's graph, and our tag for a MetaGraphDef.
RUN_GRAPH_TAG: Final = b"__run_graph__"
META_GRAPH_TAG: Final = b"__meta_graph__"

_DT_FLOAT: Final = 1
_DT_DOUBLE: Final = 2
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_NO_SCALAR: Final = float("nan")
#: The start of the key of an empty value.
_EMPTY_KEY: Final = struct.pack("<i", ValueKind.NONE)

_SESSION_START: Final = 1


class PythonSchemaTable:
    """The value schemas found so far in one run, numbered in the order of their first value."""

    def __init__(self) -> None:
        """Start with no schemas."""
        self._ids: dict[bytes, int] = {}
        self._keys: list[bytes] = []

    def intern(self, key: bytes) -> int:
        """Return the number of the schema with this key; a new key gets a new number."""
        schema_id = self._ids.get(key)
        if schema_id is None:
            schema_id = self._ids[key] = len(self._keys)
            self._keys.append(key)
        return schema_id

    def key(self, schema_id: int) -> bytes:
        """Return the key of a schema."""
        return self._keys[schema_id]

    def __len__(self) -> int:
        """Return the number of schemas."""
        return len(self._keys)


def scan(
    buffer: memoryview, start: int, base: int, schemas: SchemaTable, columns: ValueColumns
) -> tuple[ScanStatus, int, int]:
    """Scan records from ``start`` until a record stops the scan.

    ``buffer`` holds the bytes of the file from offset ``base``. Returns the reason for the stop, the position in the
    buffer of the record that stopped it, and the number of records before it. Values go into ``columns`` and their
    schemas into ``schemas``; both scanners fill them alike. An event without values becomes a mark, unless it is the
    file's first and has the version.
    """
    rows = _Rows(columns.size)
    status, position, records = _scan(buffer, start, base, schemas, rows)
    rows.append_to(columns)
    return status, position, records


class _Rows:
    """Rows that are appended to columns at once, with their plugin contents and marks."""

    def __init__(self, first_row: int) -> None:
        """Start with no rows; the first one added becomes row ``first_row`` of the columns."""
        self.packed, self.without_row = bytearray(), 0
        self.marks: list[SessionMark] = []
        self._contents = bytearray()
        self._first_row = first_row

    @property
    def next_row(self) -> int:
        """The number of the next row."""
        return self._first_row + len(self.packed) // ROW_SIZE

    def add_content(self, offset: int, length: int) -> None:
        """Add the content of the next row."""
        self._contents += pack_content(self.next_row, offset, length)

    @property
    def lengths(self) -> tuple[int, int]:
        """The lengths in bytes of the rows and of the contents, for ``cut``."""
        return len(self.packed), len(self._contents)

    def cut(self, lengths: tuple[int, int]) -> None:
        """Drop the rows and contents of an event that turned out to be damaged."""
        del self.packed[lengths[0] :]
        del self._contents[lengths[1] :]

    def append_to(self, columns: ValueColumns) -> None:
        """Append the rows, and what is beside them."""
        columns.add_contents(self._contents)
        columns.marks += self.marks
        columns.extend(self.packed)
        columns.without_row += self.without_row


def _scan(buffer: memoryview, start: int, base: int, schemas: SchemaTable, rows: _Rows) -> tuple[ScanStatus, int, int]:
    position = start
    records = 0
    size = len(buffer)
    while size - position >= HEAD_SIZE:
        payload = position + HEAD_SIZE
        length = payload_length(bytes(buffer[position:payload]))
        if length is None:
            return ScanStatus.BAD_LENGTH_CRC, position, records
        foot = payload + length
        if foot + FOOT_SIZE > size:
            break
        if length > MAX_PAYLOAD_SIZE:
            return ScanStatus.BAD_LENGTH_CRC, position, records
        event = bytes(buffer[payload:foot])
        if not is_payload_sound([event], buffer[foot : foot + FOOT_SIZE]):
            return ScanStatus.BAD_PAYLOAD_CRC, position, records
        complete = rows.lengths
        try:
            _add_rows(event, base + payload, schemas, rows)
        except DecodeError:
            rows.cut(complete)
            return ScanStatus.IRREGULAR, position, records
        position = foot + FOOT_SIZE
        records += 1
    return ScanStatus.MORE, position, records


def group(
    schema_id: npt.NDArray[np.int32],
    series_of_schema: npt.NDArray[np.int32],
    order: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
) -> None:
    """Sort rows by series: ``order[bounds[i]:bounds[i + 1]]`` becomes the rows of series i, in their order.

    ``schema_id`` has a schema number for each row, and ``series_of_schema`` a series number for each schema. The length
    of ``order`` is the number of rows, that of ``bounds`` the number of series plus one.
    """
    series = series_of_schema[schema_id]
    order[:] = np.argsort(series, kind="stable")
    bounds[:] = np.searchsorted(series[order], np.arange(len(bounds)))


def read_metadata(serialized: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Return the plugin name, plugin content, display name and description in a serialized SummaryMetadata.

    Returns None if the bytes are not a SummaryMetadata.
    """
    try:
        message = parse("SummaryMetadata", serialized)
        plugin = parse("PluginData", b"".join(message.plugin_data))
    except DecodeError:
        return None
    return plugin.plugin_name, plugin.content, message.display_name, message.summary_description


def read_head(event: bytes) -> tuple[float, int, bytes | None]:
    """Return an Event's time, step and version text, if it has one; its nested messages may be broken.

    Raises:
        DecodeError: the bytes are not an Event.
    """
    message = parse(SHALLOW_EVENT, event)
    version = message.file_version if message.WhichOneof("what") == "file_version" else None
    return message.wall_time, message.step, version


def _is_first_with_version(event: bytes, offset: int) -> bool:
    """Return whether an event at ``offset`` in its file is the first one, with the file's version."""
    return offset == HEAD_SIZE and parse(SHALLOW_EVENT, event).WhichOneof("what") == "file_version"


def _mark(event: bytes, row: int) -> SessionMark:
    """Return the mark for an event without values after ``row`` rows."""
    message = parse(SHALLOW_EVENT, event)
    what = message.WhichOneof("what")
    is_start = False
    if what == "session_log":
        with contextlib.suppress(DecodeError):  # one that is broken starts nothing
            is_start = parse("SessionLog", message.session_log).status == _SESSION_START
    return SessionMark(row, message.step, is_start, what == "summary")


#: A schema's key, the scalar or NaN, the payload, and the plugin content. A plain tuple, because logs have millions.
_Value: TypeAlias = tuple[bytes, float, bytes, bytes]


@functools.lru_cache(maxsize=4096)
def _key(
    tag: bytes, kind: ValueKind, dtype: int = 0, shape: tuple[int, ...] | None = (), metadata: bytes = b""
) -> bytes:
    """Return the key of a schema; most calls repeat an earlier one."""
    return ValueSchema(tag, kind, dtype, shape, metadata).to_key()


def read_event(event: bytes, offset: int, schemas: SchemaTable, columns: ValueColumns) -> None:
    """Append the values of the serialized Event at ``offset`` in its file, or a mark if it has no values.

    Raises:
        DecodeError: the bytes are not an Event. Nothing is appended.
    """
    rows = _Rows(columns.size)
    _add_rows(event, offset, schemas, rows)
    rows.append_to(columns)


def _add_rows(event: bytes, offset: int, schemas: SchemaTable, rows: _Rows) -> None:
    """Add the rows of an event's values, or a mark if it has none; raise DecodeError if it is not an Event."""
    message = parse("Event", event)
    wall_time, step = message.wall_time, message.step
    values = _values(message)
    cursor = content_cursor = 0
    joined = _joined_empty(values)
    for key, scalar, payload, content in joined:
        schema_id = schemas.intern(key)
        if content:
            place = _place(event, content, content_cursor)
            rows.add_content(offset + place, len(content))
            content_cursor = place + len(content)
        if not payload:
            rows.packed += pack_row(schema_id, wall_time, step, scalar, 0, 0)
            continue
        place = _place(event, payload, cursor)
        rows.packed += pack_row(schema_id, wall_time, step, scalar, offset + place, len(payload))
        cursor = place + len(payload)
    rows.without_row += len(values) - len(joined)
    if not values and not _is_first_with_version(event, offset):
        rows.marks.append(_mark(event, rows.next_row))


def _joined_empty(values: list[_Value]) -> list[_Value]:
    """Return values with one for several equal empty ones that follow one another; its scalar is their number."""
    joined: list[_Value] = []
    for value in values:
        if joined and joined[-1][0] == value[0] and value[0].startswith(_EMPTY_KEY):
            joined[-1] = (value[0], joined[-1][1] + 1, b"", b"")
        else:
            joined.append(value)
    return joined


def _place(event: bytes, part: bytes, cursor: int) -> int:
    """Return the offset of a part of an event, from ``cursor`` on if possible.

    The parts are in the order of the values. If a writer used an unusual order of fields, the search starts over;
    equal bytes elsewhere in the event are as good. Raises DecodeError if there are none: metadata in several fields are
    sound only if each of them is.
    """
    place = event.find(part, cursor)
    if place < 0:
        place = event.find(part)
    if place < 0:
        message = "a value's metadata are in several fields, and one of them is damaged"
        raise DecodeError(message)
    return place


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


#: The fields of Summary.Value's oneof that are kept as a payload.
_PAYLOAD_KINDS: Final = {
    "histo": ValueKind.HISTO,
    "image": ValueKind.IMAGE,
    "audio": ValueKind.AUDIO,
    "obsolete_old_style_histogram": ValueKind.OBSOLETE_HISTOGRAM,
}


def _value(value: Any) -> _Value:
    tag = value.tag or value.node_name  # the first logs had node_name instead of a tag
    metadata, content = split_metadata(b"".join(value.metadata[:]))
    which = value.WhichOneof("value")
    if which is None:
        kind, scalar = (ValueKind.PLUGIN_CONTENT, _NO_SCALAR) if content else (ValueKind.NONE, 1)
        return (_key(tag, kind, 0, (), metadata), scalar, content, b"")
    if which == "simple_value":
        return (_key(tag, ValueKind.SIMPLE_VALUE, 0, (), metadata), value.simple_value, b"", content)
    if which == "tensor":
        return (*_tensor_value(tag, metadata, value.tensor), content)
    return (_key(tag, _PAYLOAD_KINDS[which], 0, (), metadata), _NO_SCALAR, getattr(value, which), content)


#: The maximum size in bytes of metadata that is cached, because most values repeat it.
_SMALL_METADATA: Final = 256


def split_metadata(metadata: bytes) -> tuple[bytes, bytes]:
    """Return a serialized SummaryMetadata without its plugin content, and the content.

    Metadata without content is returned unchanged, and so are bytes that are not a SummaryMetadata.
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
    except DecodeError:  # kept as it is, so that the decoder reports what is wrong with it
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


def split_values(serialized: bytes, make: Callable[[int, str], npt.NDArray[Any]]) -> None:
    """Return the strings and integers of a TensorProto and its other fields, or None if protobuf has to read them.

    Here it always has to. The values are in the arrays that ``make`` returns for their number and numpy's name of their
    type, by the number of their field; a field without values is left out. protobuf takes 40 bytes for each string, in
    addition to the string itself, and holds integers of one byte in four or eight, in memory that doubles as it grows.
    """
