# The columns that a scan fills, and lists beside them: plugin contents, and marks of events without values.

cdef packed struct Content:  # CONTENT_FIELDS of values.py
    int64_t row
    int64_t offset
    int32_t length


cdef struct Contents:
    Content *items
    Py_ssize_t size, capacity


cdef struct Mark:
    int64_t row
    int64_t step
    bint is_start
    bint has_summary


cdef struct Marks:
    Mark *items
    Py_ssize_t size, capacity


cdef struct Columns:
    int32_t *schema_id
    double *wall_time
    int64_t *step
    double *scalar
    int64_t *payload_offset
    int32_t *payload_length
    Py_ssize_t size, capacity, without_row
    Contents contents
    Marks marks


cdef inline void set_row(
    Columns *columns, Py_ssize_t row, int32_t schema_id, double wall_time, int64_t step, Value *value,
    const uint8_t *origin, int64_t base,
) noexcept nogil:
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


cdef void *with_room(void *items, Py_ssize_t size, Py_ssize_t *capacity, size_t item_size) noexcept nogil:
    """Return a list with room for another item, or NULL if memory ran out; the list is as it was then."""
    if size < capacity[0]:
        return items
    items = realloc(items, (2 * size + 16) * item_size)
    if items is not NULL:
        capacity[0] = 2 * size + 16
    return items


cdef bint add_content(
    Contents *contents, Py_ssize_t number, Py_ssize_t row, int64_t offset, Cursor content
) noexcept nogil:
    """Set the item ``number``, which counts once its event is complete; return False if memory ran out."""
    cdef void *items = with_room(contents.items, number, &contents.capacity, sizeof(Content))
    if items is NULL:
        return False
    contents.items = <Content *>items
    contents.items[number].row = row
    contents.items[number].offset = offset
    contents.items[number].length = <int32_t>(content.end - content.at)
    return True


cdef bint add_mark(Marks *marks, Py_ssize_t row, int64_t step, bint is_start, bint has_summary) noexcept nogil:
    """Add a mark; return False if memory ran out."""
    cdef void *items = with_room(marks.items, marks.size, &marks.capacity, sizeof(Mark))
    if items is NULL:
        return False
    marks.items = <Mark *>items
    marks.items[marks.size] = Mark(row, step, is_start, has_summary)
    marks.size += 1
    return True
