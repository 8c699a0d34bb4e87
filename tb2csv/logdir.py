"""Find the runs and event files below a path or an fsspec URL, and read their bytes.

A run is a folder with event files, named by its path below the log directory; the log directory itself is ``.``.
An event file has ``tfevents`` in its base name, unless it is given by name. ``.profile-empty`` files are marks of the
profiler without data.
Source: tensorboard/backend/event_processing/io_wrapper.py.
"""

from __future__ import annotations

import errno
import heapq
import os
import re
import stat
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from tb2csv.atomic_files import home_expanded
from tb2csv.display import count, displayed
from tb2csv.errors import UNREADABLE, Damage, LogdirError, LogdirNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

ROOT_RUN: Final = "."

_BEFORE_ESCAPES: Final = re.compile(r"\\+(?=x[89a-f][0-9a-f]|[\udc80-\udcff])")

#: Without O_NONBLOCK, opening a pipe would wait for a writer; regular files ignore it.
_READ: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

#: Bytes of a local file to read at a time, few enough to stay in the processor's cache for the scan.
_WINDOW: Final = 4 << 20


class EventFileSource:
    """The bytes of one open event file; ``size`` is its size when it was opened. Use as a context manager."""

    def __init__(self, path: str, file: Any, size: int, window: int, version: str = "") -> None:
        """Read from ``file`` ``window`` bytes at a time; the file is closed with this object."""
        self.path = path
        #: A text that changes with the file; empty if the file system has none.
        self.version = version
        self.size = size
        self.window = window
        self._file = file

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
        """Return the source."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class EventFile:
    """An event file; ``path`` is relative to the log directory, with ``/``."""

    path: str
    location: str
    filesystem: Any = None

    def open(self) -> EventFileSource:
        """Open the file.

        Raises:
            OSError: it cannot be opened.
        """
        if self.filesystem is None:
            file, status = _open_regular(self.location)
            return EventFileSource(self.path, file, status.st_size, _WINDOW, _version(status))
        remote = self.filesystem.open(self.location, "rb")
        if remote.size is None:  # a web server may not send the size
            remote.close()
            raise OSError(errno.EINVAL, "its size is unknown")
        return EventFileSource(self.path, remote, remote.size, remote.size)  # one request, because each takes time

    def version(self) -> str:
        """Return a text that changes with the file; empty if it is not known.

        Raises:
            OSError: the file cannot be examined.
        """
        return _version(os.stat(self.location)) if self.filesystem is None else ""

    def size(self) -> int:
        """Return the present size of the file in bytes, or 0 if it is unknown."""
        try:
            with self.open() as source:
                return source.size
        except OSError:
            return 0


def _open_regular(location: str) -> tuple[FileIO, os.stat_result]:
    """Open a regular file and return its status; in thousands of small files every system call counts."""
    try:
        descriptor = os.open(location, _READ)
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


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run and its event files, ordered by name."""

    name: str
    files: tuple[EventFile, ...]


@displayed(is_brief=True)
@dataclass(frozen=True, slots=True, repr=False)
class Logdir:
    """A log directory: its runs, sorted by name, and the folders that could not be read."""

    path: str
    runs: tuple[Run, ...]
    damage: list[Damage] = field(default_factory=list)

    def total_bytes(self) -> int:
        """Return the size of all event files in bytes, for a progress bar; unreadable files count as 0."""
        return sum(file.size() for run in self.runs for file in run.files)

    def _display(self) -> Iterator[object]:
        files = sum(len(run.files) for run in self.runs)
        yield f"<Logdir {self.path!r}: {count(len(self.runs), 'run')}, {count(files, 'event file')}>"
        yield [run.name for run in self.runs]
        yield [f"{each.path}: {each.detail}" for each in self.damage]


class HasLogdir(Protocol):
    """An object with a log directory, such as the frames of ``tb2csv.open_logdir``."""

    @property
    def logdir(self) -> Logdir:
        """The log directory as it was found."""


#: The argument of public functions for a log directory.
LogdirSource: TypeAlias = "str | os.PathLike[str] | Logdir | HasLogdir"


def logdir_of(source: LogdirSource) -> Logdir:
    """Return the log directory that a function was given, and list it if only its path was given.

    Raises:
        LogdirError: as ``discover``.
    """
    if isinstance(source, Logdir):
        return source
    if isinstance(source, (str, os.PathLike)):
        return discover(source)
    return source.logdir


def discover(path: str | os.PathLike[str]) -> Logdir:
    """List the runs of a log directory and their event files. No file is opened.

    Args:
        path: a folder, a single event file or an fsspec URL; ``~`` is the home folder.

    Raises:
        LogdirNotFoundError: nothing is at the path.
        LogdirError: the path cannot be read, or there are no event files below it.
    """
    location = home_expanded(path).removeprefix("file://")
    if not location:
        message = "The name of the log directory is empty; a variable may be unset."
        raise LogdirError(message)
    damage: list[Damage] = []
    seen = _Seen()
    files = list(_remote_files(location, seen) if "://" in location else _local_files(location, seen, damage))
    runs: dict[str, list[EventFile]] = {}
    for file in files:
        runs.setdefault(_run_of(file.path), []).append(file)
    if not runs:
        raise LogdirError(_nothing_found(location, seen, damage))
    return Logdir(
        location,
        tuple(Run(name, tuple(sorted(runs[name], key=lambda file: file.path))) for name in sorted(runs)),
        damage,
    )


def _run_of(path: str) -> str:
    """Return the name of a file's run."""
    if "//" in path or "./" in path:  # a key in a store may have empty segments
        return str(PurePosixPath(path).parent)
    return path.rpartition("/")[0] or ROOT_RUN


@dataclass(slots=True)
class _Seen:
    """Other files that were found, for the message if there are no event files."""

    files: int = 0
    example: str = ""


def _is_event_file(name: str) -> bool:
    return "tfevents" in name and not name.endswith(".profile-empty")


def _local_files(location: str, seen: _Seen, damage: list[Damage]) -> Iterator[EventFile]:
    root = Path(location)
    try:
        is_folder, exists = stat.S_ISDIR(root.stat().st_mode), True
    except (FileNotFoundError, NotADirectoryError):
        is_folder = exists = False
    except OSError as error:
        message = f"{location} cannot be read ({error.strerror}); check its permissions."
        raise LogdirError(message) from error
    if exists and not is_folder:
        yield EventFile(_readable(root.name), location)  # by any name; its content decides when it is read
        return
    if not exists:
        message = f"There is no folder {location}; give the folder with the TensorBoard logs."
        raise LogdirNotFoundError(message)
    yield from _walk(root, seen, damage)


def _walk(root: Path, seen: _Seen, damage: list[Damage]) -> Iterator[EventFile]:
    """Yield the event files below a folder, in any order; folders may be nested deeper than Python's stack.

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
            if _is_folder(entry):
                below = (f"{path}/", entry.path)
                if entry.is_symlink():
                    heapq.heappush(links, below)
                else:
                    folders.append(below)
            elif _is_event_file(entry.name):
                yield EventFile(_readable(path), entry.path)
            else:
                seen.files += 1
                seen.example = min(seen.example or _readable(path), _readable(path))


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
        damage.append(Damage(_readable(prefix.rstrip("/")) or ROOT_RUN, 0, 0, UNREADABLE, detail))
        return []
    entered.add(identity)
    return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _readable(path: str) -> str:
    """Return a path as text that can be stored, with bytes that are not UTF-8 escaped; distinct paths stay distinct.

    Backslashes before such a byte, and before text that looks like an escaped one, are doubled.
    """
    if path.isascii() and "\\" not in path:
        return path
    text = _BEFORE_ESCAPES.sub(lambda match: 2 * match.group(), os.fsencode(path).decode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _remote_files(location: str, seen: _Seen) -> Iterator[EventFile]:
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(location)
        filesystem.invalidate_cache()  # files may have come or grown since an earlier listing
        found = filesystem.find(root)
    except Exception as error:  # libraries of stores raise many types, such as for missing credentials
        message = f"{location} cannot be listed: {error}"
        raise LogdirError(message) from error
    for path in found:
        relative = path.removeprefix(root).lstrip("/") or PurePosixPath(path).name
        if _is_event_file(PurePosixPath(path).name) or path == root:
            yield EventFile(relative, path, filesystem)
        else:
            seen.files += 1
            seen.example = seen.example or relative


def _nothing_found(location: str, seen: _Seen, damage: list[Damage]) -> str:
    if damage and not seen.files:
        return f"Nothing below {location} can be read ({damage[0].path}: {damage[0].detail}); check its permissions."
    if not seen.files:
        return f"There are no event files below {location}: it contains no files."
    others = f"{seen.files} other file{'s' * (seen.files > 1)} (such as {seen.example})"
    return f"There are no event files below {location}, only {others}; event files have 'tfevents' in their name."
