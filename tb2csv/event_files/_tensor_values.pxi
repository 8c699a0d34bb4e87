# The strings and integers of a TensorProto, which protobuf would hold in many times the memory.

# The fields of TensorProto.
cdef enum:
    INT_VAL = 7
    STRING_VAL = 8
    INT64_VAL = 10
    BOOL_VAL = 11
    HALF_VAL = 13
    UINT32_VAL = 16
    UINT64_VAL = 17

# numpy's names for the entries of each field.
TYPES = {INT_VAL: "i4", STRING_VAL: "O", INT64_VAL: "i8", BOOL_VAL: "u1", HALF_VAL: "i4", UINT32_VAL: "u4",
         UINT64_VAL: "u8"}


cdef inline int width_of(uint32_t field) noexcept nogil:
    """Return the size of an entry of a field of varints; 0 for other fields."""
    if field == INT_VAL or field == HALF_VAL or field == UINT32_VAL:
        return 4
    if field == INT64_VAL or field == UINT64_VAL:
        return 8
    return 1 if field == BOOL_VAL else 0


cdef inline bint read_entries(Cursor *cursor, uint32_t wire, Cursor *entries) noexcept nogil:
    """Read the varints of a field: several together, or a single one."""
    if wire == BYTES:
        return read_bytes(cursor, entries)
    entries.at = cursor.at
    if not skip(cursor, wire):
        return False
    entries.end = cursor.at
    return True


cdef inline Py_ssize_t count_varints(Cursor cursor) noexcept nogil:
    """Return the number of varints; -1 if one is irregular."""
    cdef uint64_t number
    cdef Py_ssize_t count = 0
    while cursor.at < cursor.end:
        if not read_varint(&cursor, &number):
            return -1
        count += 1
    return count


cdef inline void store_varints(Cursor cursor, int width, uint8_t **room) noexcept nogil:
    """Store varints as protobuf does: the low bits, or whether any bit is set."""
    cdef uint64_t number
    cdef uint32_t low
    while cursor.at < cursor.end and read_varint(&cursor, &number):
        if width == 8:
            memcpy(room[0], &number, 8)
        elif width == 4:
            low = <uint32_t>number
            memcpy(room[0], &low, 4)
        else:
            room[0][0] = number != 0
        room[0] += width


def split_values(bytes serialized not None, make):
    """Return the strings and integers of a TensorProto and its other fields; see ``reference.split_values``."""
    cdef Cursor cursor, inner
    cdef const uint8_t *begin
    cdef uint8_t *rest
    cdef uint32_t field, wire
    cdef Py_ssize_t others = 0, string = 0, count
    cdef Py_ssize_t counts[UINT64_VAL + 1]
    cdef uint8_t *rooms[UINT64_VAL + 1]
    cdef uint8_t[::1] room
    cdef object[::1] strings = None
    cdef const uint8_t *origin = <const uint8_t *>PyBytes_AsString(serialized)
    memset(counts, 0, sizeof(counts))
    cursor = Cursor(origin, origin + len(serialized))
    while cursor.at < cursor.end:
        begin = cursor.at
        if not read_field(&cursor, &field, &wire):
            return None
        if field == STRING_VAL:
            if wire != BYTES or not read_bytes(&cursor, &inner):
                return None
            counts[STRING_VAL] += 1
        elif width_of(field) and (wire == VARINT or wire == BYTES):
            if not read_entries(&cursor, wire, &inner):
                return None
            with nogil:
                count = count_varints(inner)
            if count < 0:
                return None
            counts[field] += count
        elif skip(&cursor, wire):
            others += cursor.at - begin
        else:
            return None
    found = {number: make(counts[number], dtype) for number, dtype in TYPES.items() if counts[number]}
    for number, values in found.items():
        if len(values) != counts[number]:
            raise ValueError("the array does not fit the values")
        if number == STRING_VAL:
            strings = values
        else:
            room = values.view("u1")
            if room.shape[0] != counts[number] * width_of(number):
                raise ValueError("the array does not fit the values")
            rooms[number] = &room[0]
    remaining = PyBytes_FromStringAndSize(NULL, others)
    rest = <uint8_t *>PyBytes_AsString(remaining)
    cursor = Cursor(origin, origin + len(serialized))
    while cursor.at < cursor.end:
        begin = cursor.at
        if not read_field(&cursor, &field, &wire):
            return None
        if field == STRING_VAL:
            if not read_bytes(&cursor, &inner):
                return None
            strings[string] = bytes_of(inner)
            string += 1
        elif width_of(field) and (wire == VARINT or wire == BYTES):
            if not read_entries(&cursor, wire, &inner):
                return None
            with nogil:
                store_varints(inner, width_of(field), &rooms[field])
        else:
            if not skip(&cursor, wire):
                return None
            memcpy(rest, begin, cursor.at - begin)
            rest += cursor.at - begin
    return found, remaining
