# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: embedsignature=True, freethreading_compatible=True
"""The compiled scanner: TFRecord frames, their checksums and the protobuf wire format, as far as needed.

It makes one pass over a buffer, without the interpreter's lock. Each nested message is a cursor with an end, and every
read is checked against that end; lengths in the file are not trusted. Only regular records are read here. Any other one
(a group, a repeated field, a graph, plugin content, an event without values, a varint of eleven bytes, a nested message
that is too long) stops the scan with IRREGULAR, and the reference scanner reads that record. So both scanners agree on
unusual records by construction, and this file does not handle damage.

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

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5

cdef enum:
    DT_FLOAT = 1
    DT_DOUBLE = 2
    MAX_RANK = 32  # more is irregular, not wrong
    UNKNOWN_RANK = -1
    HEAD = 12  # length and its checksum
    FOOT = 4  # the payload's checksum
    MAX_PAYLOAD = 0x7FFFFFFF  # protobuf parses no more, and lengths fit their column

include "_crc32c.pxi"
include "_wire.pxi"
include "_schemas.pxi"


# Event > Summary > Value > TensorProto.

cdef bint walk_shape(Cursor cursor, Value *value) noexcept nogil:
    cdef uint32_t field, wire
    cdef uint64_t number
    cdef Cursor dim
    cdef bint unknown = False
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire):
            return False
        if field == 2 and wire == BYTES:
            if value.rank == MAX_RANK or not read_bytes(&cursor, &dim):
                return False
            value.dims[value.rank] = 0
            while dim.at < dim.end:
                if not read_field(&dim, &field, &wire):
                    return False
                if field == 1 and wire == VARINT:
                    if not read_varint(&dim, &number):
                        return False
                    value.dims[value.rank] = <int64_t>number
                elif field == 1 or not skip(&dim, wire):
                    return False
            value.rank += 1
        elif field == 3 and wire == VARINT:
            if not read_varint(&cursor, &number):
                return False
            unknown = number != 0
        elif field == 2 or field == 3 or not skip(&cursor, wire):
            return False
    if unknown:
        value.rank = UNKNOWN_RANK
    return True


cdef bint walk_tensor(Cursor cursor, Value *value) noexcept nogil:
    cdef uint32_t field, wire, seen = 0
    cdef uint64_t number
    cdef float single
    cdef Cursor whole = cursor, inner
    cdef Cursor content = Cursor(NULL, NULL), floats = Cursor(NULL, NULL), doubles = Cursor(NULL, NULL)
    cdef Py_ssize_t size
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire):
            return False
        if field > 6:  # another *_val field: the decoder's business
            if not skip(&cursor, wire):
                return False
            continue
        if seen >> field & 1 or wire != (VARINT if field == 1 or field == 3 else BYTES):
            return False
        seen |= 1u << field
        if field == 1 or field == 3:
            if not read_varint(&cursor, &number):
                return False
            if field == 1:
                value.dtype = <int32_t>number
            continue
        if not read_bytes(&cursor, &inner):
            return False
        if field == 2:
            if not walk_shape(inner, value):
                return False
        elif field == 4:
            content = inner
        elif field == 5:
            floats = inner
        else:
            doubles = inner
    if content.at < content.end:  # it goes before any *_val, as in TensorFlow
        value.kind = TENSOR_CONTENT
        value.payload = floats = doubles = content
    else:
        value.kind = TENSOR_PROTO
        value.payload = whole
    if value.rank == 0 and value.dtype == DT_FLOAT and floats.end - floats.at == 4:
        memcpy(&single, floats.at, 4)
        value.scalar = single
    elif value.rank == 0 and value.dtype == DT_DOUBLE and doubles.end - doubles.at == 8:
        memcpy(&value.scalar, doubles.at, 8)
    else:
        return True
    value.kind = SCALAR_TENSOR
    value.payload = Cursor(NULL, NULL)
    return True


cdef bint walk_value(Cursor cursor, Value *value) noexcept nogil:
    cdef uint32_t field, wire, seen = 0
    cdef float single
    value.kind = NONE
    value.dtype = 0
    value.rank = 0
    value.scalar = NAN
    value.tag = value.metadata = Cursor(NOTHING, NOTHING)
    value.payload = Cursor(NULL, NULL)
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire):
            return False
        if field > 9:
            if not skip(&cursor, wire):
                return False
            continue
        # node_name (7) is the tag in logs older than tags: irregular.
        if field == 7 or seen >> field & 1 or wire != (FIXED32 if field == 2 else BYTES):
            return False
        seen |= 1u << field
        if field == 1:
            if not read_bytes(&cursor, &value.tag):
                return False
        elif field == 9:
            if not read_bytes(&cursor, &value.metadata):
                return False
        elif value.kind != NONE:
            return False
        elif field == 2:
            if cursor.end - cursor.at < 4:
                return False
            memcpy(&single, cursor.at, 4)
            cursor.at += 4
            value.scalar = single
            value.kind = SIMPLE_VALUE
        else:
            if not read_bytes(&cursor, &value.payload):
                return False
            if field == 8:
                if not walk_tensor(value.payload, value):
                    return False
            else:
                value.kind = OBSOLETE_HISTOGRAM if field == 3 else IMAGE if field == 4 else HISTO if field == 5 else AUDIO
    return value.tag.end - value.tag.at < 0x7FFFFFFF


cdef bint walk_strings(Cursor cursor, uint32_t last, Cursor *found) noexcept nogil:
    """Find the fields 1 to ``last``, all of them strings or messages, each at most once."""
    cdef uint32_t field, wire, seen = 0
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire):
            return False
        if field > last:
            if not skip(&cursor, wire):
                return False
        elif seen >> field & 1 or wire != BYTES or not read_bytes(&cursor, &found[field]):
            return False
        else:
            seen |= 1u << field
    return True


cdef bint has_content(Cursor metadata) noexcept nogil:
    """Return whether a SummaryMetadata has plugin content, which is not in a schema, or is irregular."""
    cdef Cursor outer[4]
    cdef Cursor inner[3]
    outer[1] = inner[2] = Cursor(NOTHING, NOTHING)
    return (not walk_strings(metadata, 3, outer) or not walk_strings(outer[1], 2, inner)
            or inner[2].at < inner[2].end)


cdef struct Columns:
    int32_t *schema_id
    double *wall_time
    int64_t *step
    double *scalar
    int64_t *payload_offset
    int32_t *payload_length
    Py_ssize_t size, capacity, without_row


cdef int walk_event(
    Cursor cursor, const uint8_t *origin, int64_t base, SchemaTable schemas, Columns *columns
) noexcept nogil:
    cdef uint32_t field, wire, seen = 0
    cdef uint64_t number
    cdef double wall_time = 0
    cdef int64_t step = 0
    cdef Cursor summary = Cursor(NULL, NULL), inner
    cdef Value value
    cdef int32_t schema_id
    cdef Py_ssize_t row, without_row = 0
    cdef int64_t offset = base + (cursor.at - origin)
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire):
            return IRREGULAR
        if field <= 10:
            if seen >> field & 1:
                return IRREGULAR
            seen |= 1u << field
        if field == 1 and wire == FIXED64 and cursor.end - cursor.at >= 8:
            memcpy(&wall_time, cursor.at, 8)
            cursor.at += 8
        elif field == 2 and wire == VARINT:
            if not read_varint(&cursor, &number):
                return IRREGULAR
            step = <int64_t>number
        elif field == 5 and wire == BYTES:
            if not read_bytes(&cursor, &summary):
                return IRREGULAR
        elif (field == 3 or field == 10) and wire == BYTES:  # file_version, source_metadata
            if not read_bytes(&cursor, &inner):
                return IRREGULAR
        elif field <= 10 or not skip(&cursor, wire):
            return IRREGULAR
    row = columns.size
    while summary.at < summary.end:
        if not read_field(&summary, &field, &wire):
            return IRREGULAR
        if field != 1:
            if not skip(&summary, wire):
                return IRREGULAR
            continue
        if wire != BYTES or not read_bytes(&summary, &inner) or not walk_value(inner, &value):
            return IRREGULAR
        schema_id = schemas.guessed(&value)
        if schema_id < 0:
            if has_content(value.metadata):
                return IRREGULAR
            schema_id = schemas.schema_of(&value)
            if schema_id < 0:
                return OUT_OF_MEMORY
        if value.kind == NONE:
            if row > columns.size and columns.schema_id[row - 1] == schema_id:
                columns.scalar[row - 1] += 1
                without_row += 1
                continue
            value.scalar = 1
        if row == columns.capacity:
            return FULL
        columns.schema_id[row] = schema_id
        columns.wall_time[row] = wall_time
        columns.step[row] = step
        columns.scalar[row] = value.scalar
        if value.payload.at is NULL or value.payload.at == value.payload.end:
            columns.payload_offset[row] = 0
            columns.payload_length[row] = 0
        else:
            columns.payload_offset[row] = base + (value.payload.at - origin)
            columns.payload_length[row] = <int32_t>(value.payload.end - value.payload.at)
        row += 1
    # An event without values leaves a mark, except a file's first with its version, which is read elsewhere.
    if row == columns.size and (offset != HEAD or not seen >> 3 & 1 or seen >> 5 & 1):
        return IRREGULAR
    columns.size = row
    columns.without_row += without_row
    return MORE


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


def read_metadata(const uint8_t[::1] serialized not None):
    """Return the parts of a SummaryMetadata, or None if it is irregular; see ``reference.read_metadata``."""
    cdef Cursor outer[4]
    cdef Cursor inner[3]
    cdef int i
    for i in range(4):
        outer[i] = Cursor(NOTHING, NOTHING)
    for i in range(3):
        inner[i] = Cursor(NOTHING, NOTHING)
    if serialized.shape[0] == 0:
        return b"", b"", b"", b""
    if not walk_strings(Cursor(&serialized[0], &serialized[0] + serialized.shape[0]), 3, outer):
        return None
    if not walk_strings(outer[1], 2, inner):
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
    cdef Py_ssize_t records = 0, position = start, end = buffer.shape[0]
    cdef int status
    if not 0 <= start <= end:
        raise IndexError(start)
    if end == 0:
        return MORE, start, 0
    pointers.size = columns.size
    pointers.without_row = 0
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
    with nogil:
        status = scan_frames(&buffer[0], &position, end, base, schemas, &pointers, &records)
    if status == OUT_OF_MEMORY:
        raise MemoryError
    columns.size = pointers.size
    columns.without_row += pointers.without_row
    return status, position, records
