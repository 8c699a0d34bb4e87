"""Read and write small files in batches.

Python takes longer for a small file than the system does, and releases the interpreter's lock in each system call. The
compiled functions release it once for a batch, so several threads read and write at the same time. They are
optional, as the compiled scanner is; the functions here do the same.
"""

from __future__ import annotations

import os
import stat
from io import FileIO
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    from tb2csv import _file_batches
except ImportError:  # on Windows, or installed without a C compiler
    _file_batches = None  # type: ignore[assignment]

#: A file in the buffer: its start and its size in bytes, its modification time in nanoseconds, and its inode.
ReadFile: TypeAlias = "tuple[int, int, int, int]"
#: The path of a file, the bytes ``start`` to ``stop`` of a text to append to it, and whether a header precedes them.
FilePiece: TypeAlias = "tuple[str, int, int, bool]"

#: Without O_NONBLOCK, opening a pipe would wait for a writer; regular files ignore it.
OPEN_TO_READ: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)
OPEN_TO_APPEND: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)


def read_files(paths: list[str], buffer: memoryview, limit: int) -> list[ReadFile | None]:
    """Read small files into a buffer, one after the other, and return where they are.

    Args:
        paths: the paths of the files.
        buffer: the memory for their bytes.
        limit: the size in bytes up to which a file is small.

    Returns:
        An item for each of the first files, up to the one before which less than ``limit`` bytes are free. It is None
        if the file is empty, not small, not regular, or cannot be read.
    """
    found: list[ReadFile | None] = []
    end = 0
    for path in paths:
        if len(buffer) - end < limit:
            break
        file = _read_file(path, buffer, end, limit)
        found.append(file)
        end += file[1] if file else 0
    return found


def _read_file(path: str, buffer: memoryview, start: int, limit: int) -> ReadFile | None:
    try:
        descriptor = os.open(path, OPEN_TO_READ)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode) or not 0 < size <= limit:
            return None
        with FileIO(descriptor, closefd=False) as file:
            filled = 0
            while filled < size:  # a raw read may return fewer bytes
                count = file.readinto(buffer[start + filled : start + size])
                if not count:
                    return None
                filled += count
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return start, size, status.st_mtime_ns, status.st_ino


def file_sizes(paths: list[str]) -> list[int]:
    """Return the sizes of files in bytes; -1 if there is no such file, or if it cannot be looked up."""
    return list(map(_size, paths))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def append_pieces(folders: list[str], pieces: list[FilePiece], text: bytes, header: bytes) -> list[int]:
    """Make folders, append pieces of a text to files, and return the lengths of the files in bytes.

    Args:
        folders: the folders to make, unless they exist; parents come first.
        pieces: what to append to which file, in this order; a file that does not exist is created.
        text: the text that has the pieces.
        header: precedes the pieces that have one.

    Raises:
        OSError: a folder or a file cannot be written; what comes after it is not.
    """
    for folder in folders:
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
    view = memoryview(text)
    return [
        _append(path, header if with_header else b"", view[start:stop]) for path, start, stop, with_header in pieces
    ]


def _append(path: str, header: bytes, text: memoryview) -> int:
    descriptor = os.open(path, OPEN_TO_APPEND, 0o666)
    try:
        rest = memoryview(header + text) if header else text
        while len(rest):
            rest = rest[os.write(descriptor, rest) :]
        return os.lseek(descriptor, 0, os.SEEK_END)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def row_starts(text: bytes, rows: list[int]) -> list[int]:
    """Return the positions in a text where rows start; each row is a line, and they are numbered from 0.

    The number after the last row gives the end of the text. It is fastest if the numbers rise.

    Raises:
        IndexError: the text has fewer rows.
    """
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    starts: list[int] = np.concatenate(([0], ends))[rows].tolist()
    return starts


class FileBatches(NamedTuple):
    """One implementation of the functions of this module."""

    read_files: Callable[[list[str], memoryview, int], list[ReadFile | None]]
    file_sizes: Callable[[list[str]], list[int]]
    append_pieces: Callable[[list[str], list[FilePiece], bytes, bytes], list[int]]
    row_starts: Callable[[bytes, list[int]], list[int]]


#: The installed implementations, the preferred one last.
IMPLEMENTATIONS: Final = {"python": FileBatches(read_files, file_sizes, append_pieces, row_starts)}
if _file_batches is not None:
    IMPLEMENTATIONS["compiled"] = FileBatches(
        _file_batches.read_files, _file_batches.file_sizes, _file_batches.append_pieces, _file_batches.row_starts
    )


def file_batches() -> FileBatches:
    """Return the preferred implementation."""
    return IMPLEMENTATIONS[next(reversed(IMPLEMENTATIONS))]


def are_compiled() -> bool:
    """Return whether the preferred implementation releases the interpreter's lock for a whole batch."""
    return "compiled" in IMPLEMENTATIONS
