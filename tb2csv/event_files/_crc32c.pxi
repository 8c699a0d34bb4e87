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
