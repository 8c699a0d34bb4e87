"""Local event files: the folders below a path, and the bytes of a file."""

from __future__ import annotations

import errno
import heapq
import os
import re
import stat
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import UNREADABLE, Damage, LogdirError, LogdirNotFoundError
from tb2csv.file_batches import OPEN_TO_READ
from tb2csv.sources.source import FoundFile, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

#: Backslashes before a byte that is not UTF-8, or before text that looks like an escaped byte: they are doubled.
_BEFORE_ESCAPES: Final = re.compile(r"\\+(?=x[89a-f][0-9a-f]|[\udc80-\udcff])")

#: Bytes to read at a time, few enough to stay in the processor's cache for the scan.
WINDOW: Final = 4 << 20

#: The version of a listed file, whose size is not looked up until it is read.
_NOT_LOOKED_UP: Final = Version(None)


class LocalFile:
    """The bytes of one open file; ``size`` is its size when it was opened. Use as a context manager."""

    is_unpacked = False

    def __init__(self, path: str, file: FileIO, status: os.stat_result) -> None:
        """Read from ``file``, which has this status and is closed with this object."""
        self.path = path
        self.size = status.st_size
        self.window = WINDOW
        self._file = file
        self._status = status

    @property
    def stored_size(self) -> int:
        """The size of the file when it was opened."""
        return self._status.st_size

    @property
    def version(self) -> str:
        """The version of the file when it was opened."""
        return _version(self._status).text

    @property
    def fault(self) -> None:
        """Nothing: errors are raised."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` with the bytes from ``offset`` and return their number; fewer only at the end of the file."""
        self._file.seek(offset)
        filled = 0
        while filled < len(buffer):  # a raw read may return fewer bytes, and at most two gigabytes
            count = self._file.readinto(buffer[filled:])
            if not count:
                break
            filled += count
        return filled

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only at the end of the file."""
        buffer = bytearray(max(0, min(length, self.size - offset)))
        view = memoryview(buffer)
        return bytes(view[: self.read_into(offset, view)])

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()


class LocalFiles(NamedTuple):
    """The files below a local path; the source of every local event file."""

    root: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether requests take time."""
        return False

    def files(self, damage: list[Damage]) -> Iterator[FoundFile]:
        """Yield the files below the root, in any order; folders that cannot be read are added to ``damage``.

        Raises:
            LogdirNotFoundError: nothing is at the root.
            LogdirError: the root cannot be read.
        """
        root = Path(self.root)
        try:
            is_folder = stat.S_ISDIR(root.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            message = f"There is no folder {self.root}; give the folder with the TensorBoard logs."
            raise LogdirNotFoundError(message) from None
        except OSError as error:
            message = f"{self.root} cannot be read ({error.strerror}); check its permissions."
            raise LogdirError(message) from error
        if is_folder:
            yield from _walk(root, damage)
        else:
            yield FoundFile(readable(root.name), self.root, _NOT_LOOKED_UP, is_given=True)

    def open(self, path: str, location: str, stream_from: int | None = None) -> LocalFile:
        """Open a file.

        Raises:
            OSError: it cannot be opened.
        """
        return LocalFile(path, *_open_regular(location))

    def version(self, location: str) -> Version:
        """Return the present version of a file.

        Raises:
            OSError: there is no such file.
        """
        return _version(os.stat(location))


#: The source of files that are given by their paths.
LOCAL: Final = LocalFiles()


def _open_regular(location: str) -> tuple[FileIO, os.stat_result]:
    """Open a regular file and return its status; in thousands of small files every system call counts."""
    try:
        descriptor = os.open(location, OPEN_TO_READ)
    except OSError:
        if os.path.islink(location) and not os.path.lexists(os.path.realpath(location)):
            raise OSError(errno.ENOENT, "it is a link to a file that does not exist") from None
        if not stat.S_ISREG(os.stat(location).st_mode):  # a socket cannot be opened
            raise OSError(errno.EINVAL, "it is not a regular file") from None
        raise
    file = FileIO(descriptor)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file")
    return file, status


def _version(status: os.stat_result) -> Version:
    return local_version(status.st_size, status.st_mtime_ns, status.st_ino)


def local_version(size: int, changed: int, number: int) -> Version:
    """Return the version of a file by its size, its modification time in nanoseconds and its inode."""
    return Version(size, f"{changed}:{number}")


def _walk(root: Path, damage: list[Damage]) -> Iterator[FoundFile]:
    """Yield the files below a folder, in any order; folders may be nested deeper than Python's stack.

    Links are followed, but every folder is entered once, because links may form cycles and a huge number of paths. A
    folder's own path comes before that of a link to it, so that a run keeps its name beside a link ``latest``.
    """
    entered: set[tuple[int, int]] = set()
    folders = [("", str(root))]
    links: list[tuple[str, str]] = []  # a heap: the first name counts
    while folders or links:
        prefix, folder = folders.pop() if folders else heapq.heappop(links)
        for entry in _entries(folder, prefix, entered, damage):
            path = prefix + entry.name
            if not _is_folder(entry, path, damage):
                yield FoundFile(readable(path), entry.path, _NOT_LOOKED_UP)
            elif entry.is_symlink():
                heapq.heappush(links, (f"{path}/", entry.path))
            else:
                folders.append((f"{path}/", entry.path))


def _entries(folder: str, prefix: str, entered: set[tuple[int, int]], damage: list[Damage]) -> list[os.DirEntry[str]]:
    """Return the entries of a folder; none if it was entered before."""
    try:
        status = os.stat(folder)
        identity = (status.st_dev, status.st_ino)
        if identity in entered:
            return []
        with os.scandir(folder) as listed:
            entries = list(listed)
    except OSError as error:
        detail = f"the folder cannot be read: {error.strerror}"
        damage.append(Damage(readable(prefix.rstrip("/")) or ".", 0, 0, UNREADABLE, detail))
        return []
    entered.add(identity)
    return entries


def _is_folder(entry: os.DirEntry[str], path: str, damage: list[Damage]) -> bool:
    """Return whether an entry is a folder; if that cannot be found out, it is added to ``damage``."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link to itself leads to nothing
            damage.append(Damage(readable(path), 0, 0, UNREADABLE, f"it cannot be read: {error.strerror}"))
        return False


def readable(path: str) -> str:
    """Return a path as text that can be stored, with bytes that are not UTF-8 escaped; distinct paths stay distinct.

    Backslashes before such a byte, and before text that looks like an escaped one, are doubled.
    """
    if path.isascii() and "\\" not in path:
        return path
    text = _BEFORE_ESCAPES.sub(lambda match: 2 * match.group(), os.fsencode(path).decode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
