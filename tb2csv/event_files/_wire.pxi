# The protobuf wire format. Every reader returns False where the bytes are not regular.

cdef struct Cursor:
    const uint8_t *at
    const uint8_t *end


# Where an empty cursor points that is compared or copied: C asks for an address even where there is nothing at it.
cdef const uint8_t *NOTHING = b""


cdef enum:
    # Bits after which a varint is too long: a number may take ten bytes, a key or a size five.
    NUMBER_BITS = 64
    SIZE_BITS = 35


cdef inline bint read_varint(Cursor *cursor, uint64_t *result, int bits=NUMBER_BITS) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint8_t byte
    cdef int shift = 0
    while cursor.at < cursor.end and shift < bits:
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
    if not read_varint(cursor, &key, SIZE_BITS) or key < 8 or key > 0xFFFFFFFFu:
        return False
    field[0] = <uint32_t>(key >> 3)
    wire[0] = <uint32_t>(key & 7)
    return True


cdef inline bint read_bytes(Cursor *cursor, Cursor *inner) noexcept nogil:
    cdef uint64_t size
    if not read_varint(cursor, &size, SIZE_BITS) or size > <uint64_t>(cursor.end - cursor.at):
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
