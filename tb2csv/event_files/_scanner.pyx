# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: embedsignature=True, freethreading_compatible=True
"""The compiled scanner: TFRecord frames, their checksums and the protobuf wire format, as far as needed.

It makes one pass over a buffer, without the interpreter's lock. Each nested message is a cursor with an end, and every
read is checked against that end; lengths in the file are not trusted. Only regular records are read here. Any other one
(a group, a repeated field, a log message, plugin content among fields in an unusual order, a varint of eleven bytes, a
nested message that is too long) stops the scan with IRREGULAR, and the reference scanner reads that record. So both
scanners agree on unusual records by construction, and this file does not handle damage.

Formats: TFRecord in tensorflow/core/lib/io/record_writer.h, the messages in event.proto, summary.proto, tensor.proto.

    frame:   length u64 | masked CRC-32C of length u32 | payload | masked CRC-32C of payload u32      (little-endian)
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

import os

# ScanStatus and ValueKind of values.py.
cdef enum:
    MORE = 0
    FULL = 1
    BAD_LENGTH_CRC = 2
    BAD_PAYLOAD_CRC = 3
    IRREGULAR = 4
    OUT_OF_MEMORY = 5

cdef enum:
    NONE = 0
    SIMPLE_VALUE = 1
    SCALAR_TENSOR = 2
    TENSOR_CONTENT = 3
    TENSOR_PROTO = 4
    HISTO = 5
    IMAGE = 6
    AUDIO = 7
    OBSOLETE_HISTOGRAM = 8
    GRAPH_DEF = 9
    META_GRAPH_DEF = 10
    RUN_METADATA = 11
    PLUGIN_CONTENT = 12

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5

cdef enum:  # fields of Event, of which at most one is set from FILE_VERSION to META_GRAPH
    WALL_TIME = 1
    STEP = 2
    FILE_VERSION = 3
    GRAPH = 4
    SUMMARY = 5
    LOG_MESSAGE = 6
    SESSION_LOG = 7
    TAGGED_RUN_METADATA = 8
    META_GRAPH = 9
    SOURCE_METADATA = 10
    ALTERNATIVES = 0x3F8  # their bits

cdef enum:
    DT_FLOAT = 1
    DT_DOUBLE = 2
    MAX_RANK = 32  # more is irregular, not wrong
    UNKNOWN_RANK = -1
    HEAD = 12  # length and its checksum
    FOOT = 4  # the payload's checksum
    MAX_PAYLOAD = 0x7FFFFFFF  # protobuf parses no more, and lengths fit their column
    SESSION_START = 1

# The tags of ``reference``.
cdef const uint8_t *RUN_GRAPH_TAG = b"__run_graph__"
cdef const uint8_t *META_GRAPH_TAG = b"__meta_graph__"

include "_crc32c.pxi"
include "_wire.pxi"
include "_schemas.pxi"
include "_columns.pxi"
include "_metadata.pxi"
include "_values.pxi"
include "_events.pxi"


cdef int scan_frames(
    const uint8_t *origin, Py_ssize_t *position, Py_ssize_t end, int64_t base, SchemaTable schemas, Columns *columns,
    Py_ssize_t *records,
) noexcept nogil:
    cdef const uint8_t *frame
    cdef uint64_t length
    cdef int32_t known
    cdef int status
    while end - position[0] >= HEAD:
        frame = origin + position[0]
        if masked_crc(frame, 8) != load32(frame + 8):
            return BAD_LENGTH_CRC
        memcpy(&length, frame, 8)
        if end - position[0] < HEAD + FOOT or length > <uint64_t>(end - position[0] - HEAD - FOOT):
            return MORE
        if length > MAX_PAYLOAD:
            return BAD_LENGTH_CRC
        if masked_crc(frame + HEAD, length) != load32(frame + HEAD + length):
            return BAD_PAYLOAD_CRC
        known = schemas.count
        status = walk_event(Cursor(frame + HEAD, frame + HEAD + length), origin, base, schemas, columns)
        if status != MORE:
            schemas.forget_from(known)
            return status
        position[0] += HEAD + length + FOOT
        records[0] += 1
    return MORE


def group(
    const int32_t[::1] schema_id not None, const int32_t[::1] series_of_schema not None, int64_t[::1] order not None,
    int64_t[::1] bounds not None,
):
    """Sort rows by the series of their schemas with a counting sort; see ``reference.group`` for the contract."""
    cdef Py_ssize_t row, size = schema_id.shape[0], schemas = series_of_schema.shape[0], series = bounds.shape[0] - 1
    cdef int64_t total = 0, start
    if order.shape[0] != size or series < 0:
        raise ValueError("order and bounds do not fit the rows")
    for row in range(schemas):
        if not 0 <= series_of_schema[row] < series:
            raise IndexError(series_of_schema[row])
    with nogil:
        for row in range(series + 1):
            bounds[row] = 0
        for row in range(size):
            if not 0 <= schema_id[row] < schemas:
                with gil:
                    raise IndexError(schema_id[row])
            bounds[series_of_schema[schema_id[row]]] += 1
        for row in range(series + 1):
            start = total
            total += bounds[row]
            bounds[row] = start
        # Each bound moves on as its rows are placed, to where the next series starts.
        for row in range(size):
            order[bounds[series_of_schema[schema_id[row]]]] = row
            bounds[series_of_schema[schema_id[row]]] += 1
        for row in range(series, 0, -1):
            bounds[row] = bounds[row - 1]
        bounds[0] = 0


cdef bytes bytes_of(Cursor cursor):
    return PyBytes_FromStringAndSize(<const char *>cursor.at, cursor.end - cursor.at)


def read_head(const uint8_t[::1] event not None):
    """Return the time, step and version of an Event, or None if it is irregular; see ``reference.read_head``."""
    cdef EventFields fields
    cdef Cursor cursor = Cursor(NOTHING, NOTHING)
    if event.shape[0] > 0:
        cursor = Cursor(&event[0], &event[0] + event.shape[0])
    if not walk_fields(cursor, &fields):
        return None
    return fields.wall_time, fields.step, bytes_of(fields.part) if fields.seen >> FILE_VERSION & 1 else None


def read_metadata(const uint8_t[::1] serialized not None):
    """Return the parts of a SummaryMetadata, or None if it is irregular; see ``reference.read_metadata``."""
    cdef Cursor outer[4]
    cdef Cursor inner[3]
    if serialized.shape[0] == 0:
        return b"", b"", b"", b""
    if not walk_metadata(Cursor(&serialized[0], &serialized[0] + serialized.shape[0]), outer, inner):
        return None
    return bytes_of(inner[1]), bytes_of(inner[2]), bytes_of(outer[2]), bytes_of(outer[3])


include "_tensor_values.pxi"


def scan(const uint8_t[::1] buffer not None, Py_ssize_t start, int64_t base, SchemaTable schemas not None, columns):
    """Scan records from ``start`` until a record stops the scan; see ``reference.scan`` for the contract."""
    cdef int32_t[::1] schema_id = columns.schema_id
    cdef double[::1] wall_time = columns.wall_time, scalar = columns.scalar
    cdef int64_t[::1] step = columns.step, payload_offset = columns.payload_offset
    cdef int32_t[::1] payload_length = columns.payload_length
    cdef Columns pointers
    cdef Py_ssize_t records = 0, position = start, end = buffer.shape[0], number
    cdef int status
    if not 0 <= start <= end:
        raise IndexError(start)
    if end == 0:
        return MORE, start, 0
    memset(&pointers, 0, sizeof(Columns))
    pointers.size = columns.size
    pointers.capacity = schema_id.shape[0]
    if min(wall_time.shape[0], step.shape[0], scalar.shape[0], payload_offset.shape[0],
           payload_length.shape[0]) < pointers.capacity:
        raise ValueError("columns differ in length")
    if pointers.capacity == 0:
        return FULL, start, 0
    pointers.schema_id = &schema_id[0]
    pointers.wall_time = &wall_time[0]
    pointers.step = &step[0]
    pointers.scalar = &scalar[0]
    pointers.payload_offset = &payload_offset[0]
    pointers.payload_length = &payload_length[0]
    try:
        with nogil:
            status = scan_frames(&buffer[0], &position, end, base, schemas, &pointers, &records)
        if status == OUT_OF_MEMORY:
            raise MemoryError
        columns.size = pointers.size
        columns.without_row += pointers.without_row
        if pointers.contents.size:
            columns.add_contents(bytes_of(Cursor(
                <const uint8_t *>pointers.contents.items,
                <const uint8_t *>(pointers.contents.items + pointers.contents.size),
            )))
        for number in range(pointers.marks.size):
            columns.add_mark(
                pointers.marks.items[number].row, pointers.marks.items[number].step,
                is_start=pointers.marks.items[number].is_start, has_summary=pointers.marks.items[number].has_summary,
            )
    finally:
        free(pointers.contents.items)
        free(pointers.marks.items)
    return status, position, records
