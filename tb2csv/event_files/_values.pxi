# A summary value: Summary.Value > TensorProto > TensorShapeProto.

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
                value.kind = (
                    OBSOLETE_HISTOGRAM if field == 3 else IMAGE if field == 4 else HISTO if field == 5 else AUDIO
                )
    return value.tag.end - value.tag.at < 0x7FFFFFFF
