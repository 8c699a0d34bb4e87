# Schemas: tag, metadata, kind, dtype and shape, stored once.

cdef enum:
    SHORT_METADATA = 256


cdef struct Value:
    int32_t kind
    int32_t dtype
    int32_t rank
    int64_t dims[MAX_RANK]
    Cursor tag
    Cursor metadata
    Cursor payload
    double scalar
    uint8_t short_metadata[SHORT_METADATA]  # without plugin content, if there is some


cdef struct KeyHead:
    int32_t kind
    int32_t dtype
    int32_t rank
    uint32_t tag_size


cdef struct Entry:
    size_t start  # of the key in the arena
    size_t size
    uint64_t hash
    int32_t successor  # the schema that came after this one the last time


# Random, so that no log can be made to collide; made once, because a system call takes longer than a small table.
cdef uint64_t SEED = int.from_bytes(os.urandom(8), "little")


cdef class SchemaTable:
    """The schemas found so far in one run, numbered in the order of their first value."""

    cdef uint8_t *arena
    cdef size_t arena_size, arena_capacity
    cdef Entry *entries
    cdef int32_t count, capacity
    cdef int32_t *slots  # open addressing; -1 is empty; a power of two, at most half full
    cdef uint64_t slot_count
    cdef uint64_t seed
    cdef int32_t last

    def __cinit__(self):
        self.last = -1
        self.seed = SEED
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

    def key(self, int schema_id):
        """Return the key of a schema."""
        if not 0 <= schema_id < self.count:
            raise IndexError(schema_id)
        return PyBytes_FromStringAndSize(
            <char *>self.arena + self.entries[schema_id].start, self.entries[schema_id].size
        )

    def intern(self, bytes key not None):
        """Return the number of the schema with this key, a new key gets a new number."""
        cdef uint8_t *room = self.reserve(len(key))
        if room is NULL:
            raise MemoryError
        memcpy(room, <const char *>key, len(key))
        cdef int32_t schema_id = self.intern_reserved(len(key))
        if schema_id < 0:
            raise MemoryError
        return schema_id

    cdef uint8_t *reserve(self, size_t size) noexcept nogil:
        """Return room for a key at the arena's end, or NULL."""
        cdef size_t capacity
        cdef void *arena
        if self.arena is NULL or self.arena_capacity - self.arena_size < size:
            capacity = 2 * self.arena_capacity + size + 256
            arena = realloc(self.arena, capacity)
            if arena is NULL:
                return NULL
            self.arena = <uint8_t *>arena
            self.arena_capacity = capacity
        return self.arena + self.arena_size

    cdef int32_t intern_reserved(self, size_t size) noexcept nogil:
        """Return the number of the schema whose key is in the reserved room, or -1."""
        cdef const uint8_t *key = self.arena + self.arena_size
        cdef uint64_t hash = self.hash(key, size), slot
        cdef int32_t schema_id
        cdef void *entries
        slot = hash & (self.slot_count - 1)
        while self.slots[slot] >= 0:
            schema_id = self.slots[slot]
            if (self.entries[schema_id].hash == hash and self.entries[schema_id].size == size
                    and memcmp(self.arena + self.entries[schema_id].start, key, size) == 0):
                return schema_id
            slot = (slot + 1) & (self.slot_count - 1)
        if self.count == self.capacity:
            entries = realloc(self.entries, (2 * self.capacity + 16) * sizeof(Entry))
            if entries is NULL:
                return -1
            self.entries = <Entry *>entries
            self.capacity = 2 * self.capacity + 16
        schema_id = self.count
        self.entries[schema_id] = Entry(self.arena_size, size, hash, schema_id)
        self.arena_size += size
        self.count += 1
        self.slots[slot] = schema_id
        if 2 * <uint64_t>self.count > self.slot_count and not self.grow_slots():
            return -1
        return schema_id

    cdef void forget_from(self, int32_t count) noexcept nogil:
        """Remove the latest schemas down to ``count``; in reverse order, so that chains stay valid."""
        cdef uint64_t slot
        while self.count > count:
            self.count -= 1
            slot = self.entries[self.count].hash & (self.slot_count - 1)
            while self.slots[slot] != self.count:
                slot = (slot + 1) & (self.slot_count - 1)
            self.slots[slot] = -1
            self.arena_size = self.entries[self.count].start
        if self.last >= self.count:
            self.last = -1

    cdef bint grow_slots(self) noexcept nogil:
        cdef uint64_t slot_count = 2 * self.slot_count, slot
        cdef int32_t *slots = <int32_t *>malloc(slot_count * sizeof(int32_t))
        cdef int32_t schema_id
        if slots is NULL:
            return False
        memset(slots, 0xFF, slot_count * sizeof(int32_t))
        for schema_id in range(self.count):
            slot = self.entries[schema_id].hash & (slot_count - 1)
            while slots[slot] >= 0:
                slot = (slot + 1) & (slot_count - 1)
            slots[slot] = schema_id
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

    cdef bint matches(self, int32_t schema_id, const Value *value) noexcept nogil:
        """Return whether a schema is that of a value."""
        cdef const uint8_t *key = self.arena + self.entries[schema_id].start
        cdef size_t dims_size = 8 * value.rank if value.rank > 0 else 0
        cdef size_t tag_size = value.tag.end - value.tag.at
        cdef size_t metadata_size = value.metadata.end - value.metadata.at
        cdef KeyHead head = KeyHead(value.kind, value.dtype, value.rank, <uint32_t>tag_size)
        if self.entries[schema_id].size != sizeof(KeyHead) + dims_size + tag_size + metadata_size:
            return False
        if memcmp(key, &head, sizeof(KeyHead)) != 0:
            return False
        key += sizeof(KeyHead)
        return (memcmp(key, value.dims, dims_size) == 0
                and memcmp(key + dims_size, value.tag.at, tag_size) == 0
                and memcmp(key + dims_size + tag_size, value.metadata.at, metadata_size) == 0)

    cdef int32_t guessed(self, const Value *value) noexcept nogil:
        """Return the number of a value's schema if it is the one that followed the last schema before, or -1.

        Training loops write the same tags in the same order again and again, so that one comparison saves a look-up.
        """
        cdef int32_t guess = self.entries[self.last].successor if self.last >= 0 else -1
        if 0 <= guess < self.count and self.matches(guess, value):
            self.last = guess
            return guess
        return -1

    cdef int32_t schema_of(self, const Value *value) noexcept nogil:
        """Return the number of a value's schema, or -1 if memory ran out."""
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
        cdef int32_t schema_id = self.intern_reserved(size)
        if schema_id >= 0:
            if self.last >= 0:
                self.entries[self.last].successor = schema_id
            self.last = schema_id
        return schema_id
