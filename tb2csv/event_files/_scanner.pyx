# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: embedsignature=True, freethreading_compatible=True
"""The compiled scanner: TFRecord frames, their checksums and the protobuf wire format, as far as it must.

Strategy: one pass over a buffer, without the interpreter's lock. Each nested message is a cursor with an end, and every
read is checked against that end; no length in the file is believed. Only what is regular is read here. Whatever is not
(a group, a field twice, a graph, a varint of eleven bytes, a nested message that runs over) stops the scan with
IRREGULAR, and the reference scanner decides about that one record. So the two agree by construction on everything odd,
and this file never has to know what damage is.

Formats: TFRecord in tensorflow/core/lib/io/record_writer.h, the messages in event.proto, summary.proto, tensor.proto.

    frame:   length u64 | masked CRC-32C of length u32 | payload | masked CRC-32C of payload u32      (little-endian)
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
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


# ---------------------------------------------------------------------------------------------------------------------
# CRC-32C (Castagnoli), eight bytes at a time by tables, or by the processor's own instruction where it has one.

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    #define TB2CSV_HAS_CRC_INSTRUCTION 1
    static int tb2csv_cpu_has_crc(void) { __builtin_cpu_init(); return __builtin_cpu_supports("sse4.2"); }
    __attribute__((target("sse4.2")))
    static uint32_t tb2csv_crc_by_instruction(const uint8_t *data, size_t size) {
        uint64_t crc = 0xFFFFFFFFu, word;
        for (; size >= 8; data += 8, size -= 8) {
            memcpy(&word, data, 8);
            crc = __builtin_ia32_crc32di(crc, word);
        }
        for (; size; data++, size--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *data);
        return (uint32_t)crc ^ 0xFFFFFFFFu;
    }
    #else
    static int tb2csv_cpu_has_crc(void) { return 0; }
    static uint32_t tb2csv_crc_by_instruction(const uint8_t *data, size_t size) { return 0; }
    #endif
    """
    int tb2csv_cpu_has_crc() noexcept nogil
    uint32_t tb2csv_crc_by_instruction(const uint8_t *data, size_t size) noexcept nogil

cdef uint32_t CRC_TABLES[8][256]
cdef bint CRC_INSTRUCTION = tb2csv_cpu_has_crc()


cdef void fill_crc_tables() noexcept nogil:
    cdef uint32_t crc
    cdef int i, j
    for i in range(256):
        crc = i
        for j in range(8):
            crc = (crc >> 1) ^ (0x82F63B78u if crc & 1 else 0)
        CRC_TABLES[0][i] = crc
    for i in range(256):
        for j in range(1, 8):
            CRC_TABLES[j][i] = (CRC_TABLES[j - 1][i] >> 8) ^ CRC_TABLES[0][CRC_TABLES[j - 1][i] & 0xFF]


fill_crc_tables()


cdef uint32_t crc_by_tables(const uint8_t *data, size_t size) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFFu, high
    cdef uint64_t word
    while size >= 8:
        memcpy(&word, data, 8)
        crc ^= <uint32_t>word
        high = <uint32_t>(word >> 32)
        crc = (CRC_TABLES[7][crc & 0xFF] ^ CRC_TABLES[6][(crc >> 8) & 0xFF]
               ^ CRC_TABLES[5][(crc >> 16) & 0xFF] ^ CRC_TABLES[4][crc >> 24]
               ^ CRC_TABLES[3][high & 0xFF] ^ CRC_TABLES[2][(high >> 8) & 0xFF]
               ^ CRC_TABLES[1][(high >> 16) & 0xFF] ^ CRC_TABLES[0][high >> 24])
        data += 8
        size -= 8
    while size:
        crc = (crc >> 8) ^ CRC_TABLES[0][(crc ^ data[0]) & 0xFF]
        data += 1
        size -= 1
    return crc ^ 0xFFFFFFFFu


cdef inline uint32_t masked_crc(const uint8_t *data, size_t size) noexcept nogil:
    cdef uint32_t crc = tb2csv_crc_by_instruction(data, size) if CRC_INSTRUCTION else crc_by_tables(data, size)
    return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u


cdef inline uint32_t load32(const uint8_t *data) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, data, 4)
    return word


def crc32c(const uint8_t[::1] data not None, bint by_tables=False):
    """Return the CRC-32C of ``data`` (unmasked), for tests: ``by_tables`` leaves the processor's instruction out."""
    if data.shape[0] == 0:
        return 0
    if by_tables or not CRC_INSTRUCTION:
        return crc_by_tables(&data[0], data.shape[0])
    return tb2csv_crc_by_instruction(&data[0], data.shape[0])


# ---------------------------------------------------------------------------------------------------------------------
# The protobuf wire format. Every reader returns False where the bytes are not regular.

cdef struct Cursor:
    const uint8_t *at
    const uint8_t *end


cdef inline bint read_varint(Cursor *cursor, uint64_t *result) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint8_t byte
    cdef int shift = 0
    while cursor.at < cursor.end and shift < 64:
        byte = cursor.at[0]
        cursor.at += 1
        if shift == 63 and byte > 1:
            return False
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            result[0] = value
            return True
        shift += 7
    return False


cdef inline bint read_field(Cursor *cursor, uint32_t *field, uint32_t *wire) noexcept nogil:
    cdef uint64_t key
    if not read_varint(cursor, &key) or key < 8 or key > 0xFFFFFFFFu:
        return False
    field[0] = <uint32_t>(key >> 3)
    wire[0] = <uint32_t>(key & 7)
    return True


cdef inline bint read_bytes(Cursor *cursor, Cursor *inner) noexcept nogil:
    cdef uint64_t size
    if not read_varint(cursor, &size) or size > <uint64_t>(cursor.end - cursor.at):
        return False
    inner.at = cursor.at
    cursor.at += size
    inner.end = cursor.at
    return True


cdef inline bint skip(Cursor *cursor, uint32_t wire) noexcept nogil:
    cdef uint64_t ignored
    cdef Cursor inner
    if wire == VARINT:
        return read_varint(cursor, &ignored)
    if wire == BYTES:
        return read_bytes(cursor, &inner)
    cdef Py_ssize_t size = 8 if wire == FIXED64 else 4 if wire == FIXED32 else -1
    if size < 0 or cursor.end - cursor.at < size:
        return False
    cursor.at += size
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Forms: tag, metadata, kind, dtype and shape, stored once.

cdef struct Value:
    int32_t kind
    int32_t dtype
    int32_t rank
    int64_t dims[MAX_RANK]
    Cursor tag
    Cursor metadata
    Cursor payload
    double scalar


cdef struct KeyHead:
    int32_t kind
    int32_t dtype
    int32_t rank
    uint32_t tag_size


cdef struct Entry:
    size_t start  # of the key in the arena
    size_t size
    uint64_t hash
    int32_t successor  # the form that came after this one the last time


cdef class FormTable:
    """The forms met so far in one run, numbered in the order of their first value."""

    cdef uint8_t *arena
    cdef size_t arena_size, arena_capacity
    cdef Entry *entries
    cdef int32_t count, capacity
    cdef int32_t *slots  # open addressing; -1 is empty; a power of two, at most half full
    cdef uint64_t slot_count
    cdef uint64_t seed  # so that no log can be made to collide
    cdef int32_t last

    def __cinit__(self):
        self.last = -1
        self.seed = int.from_bytes(os.urandom(8), "little")
        self.slot_count = 32
        self.slots = <int32_t *>malloc(self.slot_count * sizeof(int32_t))
        if self.slots is NULL:
            raise MemoryError
        memset(self.slots, 0xFF, self.slot_count * sizeof(int32_t))

    def __dealloc__(self):
        free(self.arena)
        free(self.entries)
        free(self.slots)

    def __len__(self):
        return self.count

    def key(self, int form_id):
        """Return the key of a form."""
        if not 0 <= form_id < self.count:
            raise IndexError(form_id)
        return PyBytes_FromStringAndSize(
            <char *>self.arena + self.entries[form_id].start, self.entries[form_id].size
        )

    def intern(self, bytes key not None):
        """Return the number of the form with this key, a new one for a new key."""
        cdef uint8_t *room = self.reserve(len(key))
        if room is NULL:
            raise MemoryError
        memcpy(room, <const char *>key, len(key))
        cdef int32_t form_id = self.intern_reserved(len(key))
        if form_id < 0:
            raise MemoryError
        return form_id

    cdef uint8_t *reserve(self, size_t size) noexcept nogil:
        """Return room for a key at the arena's end, or NULL."""
        cdef size_t capacity
        cdef void *arena
        if self.arena_capacity - self.arena_size < size:
            capacity = 2 * self.arena_capacity + size + 256
            arena = realloc(self.arena, capacity)
            if arena is NULL:
                return NULL
            self.arena = <uint8_t *>arena
            self.arena_capacity = capacity
        return self.arena + self.arena_size

    cdef int32_t intern_reserved(self, size_t size) noexcept nogil:
        """Return the number of the form whose key lies in the room reserved, or -1."""
        cdef const uint8_t *key = self.arena + self.arena_size
        cdef uint64_t hash = self.hash(key, size), slot
        cdef int32_t form_id
        cdef void *entries
        slot = hash & (self.slot_count - 1)
        while self.slots[slot] >= 0:
            form_id = self.slots[slot]
            if (self.entries[form_id].hash == hash and self.entries[form_id].size == size
                    and memcmp(self.arena + self.entries[form_id].start, key, size) == 0):
                return form_id
            slot = (slot + 1) & (self.slot_count - 1)
        if self.count == self.capacity:
            entries = realloc(self.entries, (2 * self.capacity + 16) * sizeof(Entry))
            if entries is NULL:
                return -1
            self.entries = <Entry *>entries
            self.capacity = 2 * self.capacity + 16
        form_id = self.count
        self.entries[form_id] = Entry(self.arena_size, size, hash, form_id)
        self.arena_size += size
        self.count += 1
        self.slots[slot] = form_id
        if 2 * <uint64_t>self.count > self.slot_count and not self.grow_slots():
            return -1
        return form_id

    cdef bint grow_slots(self) noexcept nogil:
        cdef uint64_t slot_count = 2 * self.slot_count, slot
        cdef int32_t *slots = <int32_t *>malloc(slot_count * sizeof(int32_t))
        cdef int32_t form_id
        if slots is NULL:
            return False
        memset(slots, 0xFF, slot_count * sizeof(int32_t))
        for form_id in range(self.count):
            slot = self.entries[form_id].hash & (slot_count - 1)
            while slots[slot] >= 0:
                slot = (slot + 1) & (slot_count - 1)
            slots[slot] = form_id
        free(self.slots)
        self.slots = slots
        self.slot_count = slot_count
        return True

    cdef uint64_t hash(self, const uint8_t *key, size_t size) noexcept nogil:
        cdef uint64_t state = self.seed ^ size, word
        while size >= 8:
            memcpy(&word, key, 8)
            state = (state ^ word) * 0x9E3779B97F4A7C15u
            state ^= state >> 29
            key += 8
            size -= 8
        word = 0
        memcpy(&word, key, size)
        state = (state ^ word) * 0x9E3779B97F4A7C15u
        return state ^ (state >> 32)

    cdef bint matches(self, int32_t form_id, const Value *value) noexcept nogil:
        """Say whether a form is the one of this value."""
        cdef const uint8_t *key = self.arena + self.entries[form_id].start
        cdef size_t dims_size = 8 * value.rank if value.rank > 0 else 0
        cdef size_t tag_size = value.tag.end - value.tag.at
        cdef size_t metadata_size = value.metadata.end - value.metadata.at
        cdef KeyHead head = KeyHead(value.kind, value.dtype, value.rank, <uint32_t>tag_size)
        if self.entries[form_id].size != sizeof(KeyHead) + dims_size + tag_size + metadata_size:
            return False
        if memcmp(key, &head, sizeof(KeyHead)) != 0:
            return False
        key += sizeof(KeyHead)
        return (memcmp(key, value.dims, dims_size) == 0
                and memcmp(key + dims_size, value.tag.at, tag_size) == 0
                and memcmp(key + dims_size + tag_size, value.metadata.at, metadata_size) == 0)

    cdef int32_t form_of(self, const Value *value) noexcept nogil:
        """Return the number of a value's form, or -1 where memory ran out.

        Training loops write the same tags in the same order again and again, so the form that followed the last one
        is tried first: one comparison instead of a look-up.
        """
        cdef int32_t guess = self.entries[self.last].successor if self.last >= 0 else -1
        if guess >= 0 and self.matches(guess, value):
            self.last = guess
            return guess
        cdef size_t dims_size = 8 * value.rank if value.rank > 0 else 0
        cdef size_t tag_size = value.tag.end - value.tag.at
        cdef size_t metadata_size = value.metadata.end - value.metadata.at
        cdef KeyHead head = KeyHead(value.kind, value.dtype, value.rank, <uint32_t>tag_size)
        cdef size_t size = sizeof(KeyHead) + dims_size + tag_size + metadata_size
        cdef uint8_t *key = self.reserve(size)
        if key is NULL:
            return -1
        memcpy(key, &head, sizeof(KeyHead))
        key += sizeof(KeyHead)
        memcpy(key, value.dims, dims_size)
        memcpy(key + dims_size, value.tag.at, tag_size)
        memcpy(key + dims_size + tag_size, value.metadata.at, metadata_size)
        cdef int32_t form_id = self.intern_reserved(size)
        if form_id >= 0:
            if self.last >= 0:
                self.entries[self.last].successor = form_id
            self.last = form_id
        return form_id


# ---------------------------------------------------------------------------------------------------------------------
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
    value.tag = value.metadata = value.payload = Cursor(NULL, NULL)
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire):
            return False
        if field > 9:
            if not skip(&cursor, wire):
                return False
            continue
        # node_name (7) stands for the tag in logs older than tags: irregular.
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


cdef struct Columns:
    int32_t *form_id
    double *wall_time
    int64_t *step
    double *scalar
    int64_t *payload_offset
    int32_t *payload_length
    Py_ssize_t size, capacity


cdef int walk_event(
    Cursor cursor, const uint8_t *origin, int64_t base, FormTable forms, Columns *columns
) noexcept nogil:
    cdef uint32_t field, wire, seen = 0
    cdef uint64_t number
    cdef double wall_time = 0
    cdef int64_t step = 0
    cdef Cursor summary = Cursor(NULL, NULL), inner
    cdef Value value
    cdef int32_t form_id
    cdef Py_ssize_t row
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
        if row == columns.capacity:
            return FULL
        form_id = forms.form_of(&value)
        if form_id < 0:
            return OUT_OF_MEMORY
        columns.form_id[row] = form_id
        columns.wall_time[row] = wall_time
        columns.step[row] = step
        columns.scalar[row] = value.scalar
        if value.payload.at is NULL:
            columns.payload_offset[row] = 0
            columns.payload_length[row] = 0
        else:
            columns.payload_offset[row] = base + (value.payload.at - origin)
            columns.payload_length[row] = <int32_t>(value.payload.end - value.payload.at)
        row += 1
    columns.size = row
    return MORE


cdef int scan_frames(
    const uint8_t *origin, Py_ssize_t *position, Py_ssize_t end, int64_t base, FormTable forms, Columns *columns,
    Py_ssize_t *records,
) noexcept nogil:
    cdef const uint8_t *frame
    cdef uint64_t length
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
        status = walk_event(Cursor(frame + HEAD, frame + HEAD + length), origin, base, forms, columns)
        if status != MORE:
            return status
        position[0] += HEAD + length + FOOT
        records[0] += 1
    return MORE


def scan(const uint8_t[::1] buffer not None, Py_ssize_t start, int64_t base, FormTable forms not None, columns):
    """Scan records from ``start`` until something stops it; see ``reference.scan`` for the contract."""
    cdef int32_t[::1] form_id = columns.form_id
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
    pointers.capacity = form_id.shape[0]
    if min(wall_time.shape[0], step.shape[0], scalar.shape[0], payload_offset.shape[0],
           payload_length.shape[0]) < pointers.capacity:
        raise ValueError("columns differ in length")
    if pointers.capacity == 0:
        return FULL, start, 0
    pointers.form_id = &form_id[0]
    pointers.wall_time = &wall_time[0]
    pointers.step = &step[0]
    pointers.scalar = &scalar[0]
    pointers.payload_offset = &payload_offset[0]
    pointers.payload_length = &payload_length[0]
    with nogil:
        status = scan_frames(&buffer[0], &position, end, base, forms, &pointers, &records)
    if status == OUT_OF_MEMORY:
        raise MemoryError
    columns.size = pointers.size
    return status, position, records
