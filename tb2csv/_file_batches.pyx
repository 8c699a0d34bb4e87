# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: embedsignature=True, freethreading_compatible=True
"""The compiled functions of ``file_batches``, which states their contract.

The interpreter's lock is released once for a batch, and not for each of four calls of the system for a small file.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_Size
from libc.errno cimport EEXIST, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, strlen

import os

cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object text)

cdef extern from *:
    """
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <sys/types.h>
    #include <sys/uio.h>
    #include <unistd.h>

    #ifdef __APPLE__
    #define TB2CSV_CHANGED st_mtimespec
    #else
    #define TB2CSV_CHANGED st_mtim
    #endif

    /* Without O_NONBLOCK, opening a pipe would wait for a writer; regular files ignore it. */
    #define TB2CSV_READ (O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    #define TB2CSV_APPEND (O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC)

    static int tb2csv_open_to_read(const char *path) { return open(path, TB2CSV_READ); }
    static int tb2csv_open_to_append(const char *path) { return open(path, TB2CSV_APPEND, 0666); }
    static int tb2csv_is_folder(const char *path) {
        struct stat status;
        return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    }
    static int64_t tb2csv_size(const char *path) {
        struct stat status;
        return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
    }
    /* The size of an open regular file in bytes, or -1. */
    static int64_t tb2csv_regular_size(int descriptor, int64_t *changed, uint64_t *number) {
        struct stat status;
        if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return -1;
        *changed = (int64_t)status.TB2CSV_CHANGED.tv_sec * 1000000000 + status.TB2CSV_CHANGED.tv_nsec;
        *number = status.st_ino;
        return status.st_size;
    }
    """
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    int tb2csv_open_to_read(const char *path) nogil
    int tb2csv_open_to_append(const char *path) nogil
    bint tb2csv_is_folder(const char *path) nogil
    int64_t tb2csv_size(const char *path) nogil
    int64_t tb2csv_regular_size(int descriptor, int64_t *changed, uint64_t *number) nogil
    int mkdir(const char *path, int mode) nogil
    int close(int descriptor) nogil
    Py_ssize_t read(int descriptor, void *buffer, size_t size) nogil
    Py_ssize_t writev(int descriptor, const iovec *parts, int count) nogil
    int64_t lseek(int descriptor, int64_t offset, int whence) nogil
    int SEEK_END


cdef struct Found:
    Py_ssize_t start
    int64_t size, changed
    uint64_t number


cdef struct Piece:
    const char *path
    Py_ssize_t start, stop
    bint with_header
    int64_t length


cdef bytes encoded(str path):
    """Return a path as the system takes it."""
    cdef bytes name = PyUnicode_EncodeFSDefault(path)
    if <Py_ssize_t>strlen(PyBytes_AsString(name)) != PyBytes_Size(name):
        raise ValueError("embedded null byte")
    return name


cdef void *room(Py_ssize_t count, size_t size) except NULL:
    cdef void *memory = malloc(max(1, count) * size)
    if memory is NULL:
        raise MemoryError
    return memory


cdef bint fill(int descriptor, uint8_t *buffer, int64_t size) noexcept nogil:
    """Read ``size`` bytes; return whether the file had so many."""
    cdef Py_ssize_t count
    while size > 0:
        count = read(descriptor, buffer, size)
        if count < 0 and errno == EINTR:
            continue
        if count <= 0:
            return False
        buffer += count
        size -= count
    return True


cdef void read_file(const char *path, uint8_t *buffer, Py_ssize_t limit, Found *found) noexcept nogil:
    """Read a whole file of at most ``limit`` bytes; the size is -1 if that is not possible."""
    cdef int descriptor = tb2csv_open_to_read(path)
    while descriptor < 0 and errno == EINTR:
        descriptor = tb2csv_open_to_read(path)
    found.size = -1
    if descriptor < 0:
        return
    found.size = tb2csv_regular_size(descriptor, &found.changed, &found.number)
    if not 0 < found.size <= limit or not fill(descriptor, buffer, found.size):
        found.size = -1
    close(descriptor)


def read_files(list paths not None, uint8_t[::1] buffer not None, Py_ssize_t limit):
    """Read small files into a buffer, one after the other; see ``file_batches.read_files`` for the contract."""
    cdef Py_ssize_t count = len(paths), done = 0, end = 0, size = buffer.shape[0], i
    cdef list names = [encoded(path) for path in paths]
    cdef uint8_t *memory = &buffer[0] if size else NULL
    cdef const char **pointers = <const char **>room(count, sizeof(char *))
    cdef Found *found = NULL
    try:
        found = <Found *>room(count, sizeof(Found))
        for i in range(count):
            pointers[i] = PyBytes_AsString(names[i])
        with nogil:
            while done < count and size - end >= limit:
                found[done].start = end
                read_file(pointers[done], memory + end, limit, &found[done])
                if found[done].size > 0:
                    end += found[done].size
                done += 1
        return [
            None if found[i].size < 0 else (found[i].start, found[i].size, found[i].changed, found[i].number)
            for i in range(done)
        ]
    finally:
        free(found)
        free(pointers)


def file_sizes(list paths not None):
    """Return the sizes of files in bytes; see ``file_batches.file_sizes`` for the contract."""
    cdef Py_ssize_t count = len(paths), i
    cdef list names = [encoded(path) for path in paths]
    cdef const char **pointers = <const char **>room(count, sizeof(char *))
    cdef int64_t *sizes = NULL
    try:
        sizes = <int64_t *>room(count, sizeof(int64_t))
        for i in range(count):
            pointers[i] = PyBytes_AsString(names[i])
        with nogil:
            for i in range(count):
                sizes[i] = tb2csv_size(pointers[i])
        return [sizes[i] for i in range(count)]
    finally:
        free(sizes)
        free(pointers)


cdef int make_folder(const char *path) noexcept nogil:
    """Make a folder unless there is one; return the number of an error, or 0."""
    if mkdir(path, 0o777) == 0:
        return 0
    return 0 if errno == EEXIST and tb2csv_is_folder(path) else errno


cdef int write_all(int descriptor, const char *first, size_t first_size, const char *text, size_t size) noexcept nogil:
    cdef iovec parts[2]
    cdef Py_ssize_t count
    while first_size + size > 0:
        parts[0].iov_base, parts[0].iov_len = <void *>first, first_size
        parts[1].iov_base, parts[1].iov_len = <void *>text, size
        count = writev(descriptor, parts, 2)
        if count < 0:
            if errno == EINTR:
                continue
            return errno
        if <size_t>count < first_size:
            first += count
            first_size -= count
        else:
            count -= first_size
            first_size = 0
            text += count
            size -= count
    return 0


cdef int append_file(Piece *piece, const char *text, const char *header, Py_ssize_t header_size) noexcept nogil:
    """Append a piece of the text to its file; return the number of an error, or 0."""
    cdef int failure, descriptor = tb2csv_open_to_append(piece.path)
    while descriptor < 0 and errno == EINTR:
        descriptor = tb2csv_open_to_append(piece.path)
    if descriptor < 0:
        return errno
    failure = write_all(
        descriptor, header, header_size if piece.with_header else 0, text + piece.start, piece.stop - piece.start
    )
    piece.length = lseek(descriptor, 0, SEEK_END)
    if close(descriptor) != 0 and failure == 0 and errno != EINTR:
        failure = errno
    return failure


def append_pieces(list folders not None, list pieces not None, bytes text not None, bytes header not None):
    """Make folders and append pieces of a text to files; see ``file_batches.append_pieces`` for the contract."""
    cdef Py_ssize_t folder_count = len(folders), count = len(pieces), i, size = len(text), header_size = len(header)
    cdef list names = [encoded(path) for path in folders]
    cdef const char *lines = text
    cdef const char *first = header
    cdef Piece *converted = NULL
    cdef const char **pointers = <const char **>room(folder_count, sizeof(char *))
    cdef int failure = 0
    cdef Py_ssize_t folder = 0, file = 0
    try:
        converted = <Piece *>room(count, sizeof(Piece))
        for i in range(folder_count):
            pointers[i] = PyBytes_AsString(names[i])
        for i in range(count):
            path, start, stop, with_header = pieces[i]
            name = encoded(path)
            names.append(name)
            converted[i] = Piece(PyBytes_AsString(name), start, stop, with_header, 0)
            if not 0 <= converted[i].start <= converted[i].stop <= size:
                raise IndexError(start, stop)
        with nogil:
            while folder < folder_count:
                failure = make_folder(pointers[folder])
                if failure:
                    break
                folder += 1
            while not failure and file < count:
                failure = append_file(&converted[file], lines, first, header_size)
                if failure:
                    break
                file += 1
        if failure:
            where = folders[folder] if folder < folder_count else pieces[file][0]
            raise OSError(failure, os.strerror(failure), where)
        return [converted[i].length for i in range(count)]
    finally:
        free(converted)
        free(pointers)


cdef bint find_rows(const char *text, Py_ssize_t size, int64_t *places, Py_ssize_t count) noexcept nogil:
    """Replace numbers of rows by the positions where they start; return whether the text has all of them."""
    cdef const char *at = text
    cdef const char *end = text + size
    cdef int64_t row = 0
    cdef Py_ssize_t i
    for i in range(count):
        if places[i] < row:
            at, row = text, 0
        while row < places[i]:
            at = <const char *>memchr(at, c'\n', end - at)
            if at is NULL:
                return False
            at += 1
            row += 1
        places[i] = at - text
    return True


def row_starts(bytes text not None, list rows not None):
    """Return the positions where rows start; see ``file_batches.row_starts`` for the contract."""
    cdef Py_ssize_t count = len(rows), i
    cdef const char *lines = text
    cdef Py_ssize_t size = len(text)
    cdef bint has_all
    cdef int64_t *places = <int64_t *>room(count, sizeof(int64_t))
    try:
        for i in range(count):
            places[i] = rows[i]
            if places[i] < 0:
                raise IndexError(rows[i])
        with nogil:
            has_all = find_rows(lines, size, places, count)
        if not has_all:
            raise IndexError("the text has fewer rows")
        return [places[i] for i in range(count)]
    finally:
        free(places)
