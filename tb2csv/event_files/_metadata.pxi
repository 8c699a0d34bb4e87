# SummaryMetadata, and what is left of it without its plugin content.

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


cdef bint walk_metadata(Cursor cursor, Cursor *outer, Cursor *inner) noexcept nogil:
    """Find plugin_data, display_name and description in ``outer[1:4]``, plugin_name and content in ``inner[1:3]``."""
    outer[1] = outer[2] = outer[3] = inner[1] = inner[2] = Cursor(NOTHING, NOTHING)
    return walk_strings(cursor, 3, outer) and walk_strings(outer[1], 2, inner)


cdef inline uint8_t *put_size(uint8_t *room, uint8_t key, size_t size) noexcept nogil:
    """Write the key and the size of a string, and return the place after them."""
    room[0] = key
    room += 1
    while size >= 0x80:
        room[0] = <uint8_t>(size | 0x80)
        room += 1
        size >>= 7
    room[0] = <uint8_t>size
    return room + 1


cdef inline size_t field_size(Cursor cursor) noexcept nogil:
    """Return the size of a string as a field, as protobuf writes it; an empty one is left out."""
    cdef uint8_t room[16]
    if cursor.at == cursor.end:
        return 0
    return put_size(room, 0, cursor.end - cursor.at) - room + (cursor.end - cursor.at)


cdef bint cut_content(Value *value, Cursor *content) noexcept nogil:
    """Take the plugin content out of a value's metadata, which are then as protobuf would write them without it.

    Metadata with content are irregular unless they are as protobuf writes them, and short without it: a plugin name
    and the content, a display name, a description, a class of data of one byte.
    """
    cdef Cursor outer[4]
    cdef Cursor inner[3]
    cdef Cursor rest
    cdef uint8_t *room = value.short_metadata
    cdef int i
    content[0] = Cursor(NOTHING, NOTHING)
    if not walk_metadata(value.metadata, outer, inner):
        return False
    if inner[2].at == inner[2].end:
        return True
    # The sizes of fields in the order of their numbers add up only if nothing else is there, and if none is overlong.
    if field_size(inner[1]) + field_size(inner[2]) != <size_t>(outer[1].end - outer[1].at):
        return False
    if inner[2].end != outer[1].end:
        return False
    rest = Cursor(outer[1].end, value.metadata.end)
    if value.metadata.at + field_size(outer[1]) != rest.at:
        return False
    for i in range(2, 4):
        if outer[i].at < outer[i].end:
            if rest.at + field_size(outer[i]) != outer[i].end:
                return False
            rest.at = outer[i].end
    if rest.at < rest.end and not (rest.end - rest.at == 2 and rest.at[0] == 0x20 and 0 < rest.at[1] < 0x80):
        return False
    rest.at = outer[1].end
    if field_size(inner[1]) + (rest.end - rest.at) > SHORT_METADATA - 16:
        return False
    content[0] = inner[2]
    room = put_size(room, 0x0A, field_size(inner[1]))
    memcpy(room, outer[1].at, field_size(inner[1]))
    room += field_size(inner[1])
    memcpy(room, rest.at, rest.end - rest.at)
    value.metadata.at = value.short_metadata
    value.metadata.end = room + (rest.end - rest.at)
    return True
