# An Event, and the rows of its values.

cdef struct EventFields:
    double wall_time
    int64_t step
    uint32_t seen  # a bit for each field
    Cursor part  # of the alternative, if there is one


cdef bint walk_fields(Cursor cursor, EventFields *fields) noexcept nogil:
    """Find the fields of an Event; its nested messages may be broken."""
    cdef uint32_t field, wire
    cdef uint64_t number
    cdef Cursor inner
    fields.wall_time = 0
    fields.step = 0
    fields.seen = 0
    fields.part = Cursor(NULL, NULL)
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire):
            return False
        if field <= SOURCE_METADATA:
            if fields.seen >> field & 1:
                return False
            fields.seen |= 1u << field
        if field == WALL_TIME and wire == FIXED64 and cursor.end - cursor.at >= 8:
            memcpy(&fields.wall_time, cursor.at, 8)
            cursor.at += 8
        elif field == STEP and wire == VARINT:
            if not read_varint(&cursor, &number):
                return False
            fields.step = <int64_t>number
        elif FILE_VERSION <= field <= META_GRAPH and wire == BYTES:
            if not read_bytes(&cursor, &fields.part):
                return False
        elif field == SOURCE_METADATA and wire == BYTES:
            if not read_bytes(&cursor, &inner):
                return False
        elif field <= SOURCE_METADATA or not skip(&cursor, wire):
            return False
    return fields.seen & ALTERNATIVES & ((fields.seen & ALTERNATIVES) - 1) == 0


cdef bint walk_session_log(Cursor cursor, bint *is_start) noexcept nogil:
    cdef uint32_t field, wire, seen = 0
    cdef uint64_t number
    while cursor.at < cursor.end:
        if not read_field(&cursor, &field, &wire) or field > 3 or seen >> field & 1:
            return False
        seen |= 1u << field
        if field == 1 and wire == VARINT:
            if not read_varint(&cursor, &number):
                return False
            is_start[0] = <int32_t>number == SESSION_START
        elif field == 1 or wire != BYTES or not skip(&cursor, wire):
            return False
    return True


cdef bint walk_other(EventFields *fields, Value *value) noexcept nogil:
    """Make a value of a graph or of metadata of a run, without a kind if the graph is empty."""
    cdef Cursor found[3]
    value.kind = NONE
    value.dtype = 0
    value.rank = 0
    value.scalar = NAN
    value.metadata = Cursor(NOTHING, NOTHING)
    value.payload = fields.part
    if fields.seen >> TAGGED_RUN_METADATA & 1:
        found[1] = found[2] = Cursor(NOTHING, NOTHING)
        if not walk_strings(fields.part, 2, found):
            return False
        value.kind = RUN_METADATA
        value.tag = found[1]
        value.payload = found[2]
    elif fields.part.at == fields.part.end:
        return True
    elif fields.seen >> META_GRAPH & 1:
        value.kind = META_GRAPH_DEF
        value.tag = Cursor(META_GRAPH_TAG, META_GRAPH_TAG + 14)
    else:
        value.kind = GRAPH_DEF
        value.tag = Cursor(RUN_GRAPH_TAG, RUN_GRAPH_TAG + 13)
    return True


cdef int walk_event(
    Cursor cursor, const uint8_t *origin, int64_t base, SchemaTable schemas, Columns *columns
) noexcept nogil:
    cdef uint32_t field, wire
    cdef EventFields fields
    cdef Cursor summary = Cursor(NULL, NULL), inner, content
    cdef Value value
    cdef int32_t schema_id
    cdef Py_ssize_t row = columns.size, contents = columns.contents.size, without_row = 0
    cdef int64_t offset = base + (cursor.at - origin)
    cdef bint is_start = False
    if not walk_fields(cursor, &fields) or fields.seen >> LOG_MESSAGE & 1:
        return IRREGULAR
    if fields.seen >> SUMMARY & 1:
        summary = fields.part
    elif fields.seen >> SESSION_LOG & 1:
        if not walk_session_log(fields.part, &is_start):
            return IRREGULAR
    elif fields.seen & (1u << GRAPH | 1u << META_GRAPH | 1u << TAGGED_RUN_METADATA):
        if not walk_other(&fields, &value):
            return IRREGULAR
        if value.kind != NONE:
            if row == columns.capacity:
                return FULL
            schema_id = schemas.schema_of(&value)
            if schema_id < 0:
                return OUT_OF_MEMORY
            set_row(columns, row, schema_id, fields.wall_time, fields.step, &value, origin, base)
            row += 1
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
            if not cut_content(&value, &content):
                return IRREGULAR
            if content.at < content.end:
                if value.kind == NONE:
                    value.kind = PLUGIN_CONTENT
                    value.payload = content
                elif not add_content(&columns.contents, contents, row, base + (content.at - origin), content):
                    return OUT_OF_MEMORY
                else:
                    contents += 1
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
        set_row(columns, row, schema_id, fields.wall_time, fields.step, &value, origin, base)
        row += 1
    # A file's first event with its version is read elsewhere.
    if row == columns.size and not (offset == HEAD and fields.seen >> FILE_VERSION & 1):
        if not add_mark(&columns.marks, row, fields.step, is_start, fields.seen >> SUMMARY & 1):
            return OUT_OF_MEMORY
    columns.size = row
    columns.contents.size = contents
    columns.without_row += without_row
    return MORE
