"""Log directories: the runs below a path, the event files of each, and their bytes; local paths and fsspec URLs.

A run is a folder that holds event files, named by its path below the log directory; the log directory itself is ``.``.
An event file has ``tfevents`` in its base name, unless it is given itself; ``.profile-empty`` files are the profiler's
marks and hold nothing.
Source: tensorboard/backend/event_processing/io_wrapper.py.
"""

from __future__ import annotations

import errno
import heapq
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from tb2csv.atomic_files import home_expanded
from tb2csv.errors import UNREADABLE, Damage, LogdirError, LogdirNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

ROOT_RUN: Final = "."

_BEFORE_ESCAPES: Final = re.compile(r"\\+(?=x[89a-f][0-9a-f]|[\udc80-\udcff])")

#: Bytes of a local file to read at a time: few enough to be in the processor's cache when they are scanned.
_WINDOW: Final = 4 << 20


class EventFileSource:
    """The bytes of one event file, opened; ``size`` is what it had then. Use as a context manager."""

    def __init__(self, path: str, file: Any, size: int, window: int) -> None:
        """Read from ``file``, which is closed with this object, ``window`` bytes at a time."""
        self.path = path
        self.size = size
        self.window = window
        self._file = file

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on, and return how many bytes there were; fewer only where the file ends."""
        self._file.seek(offset)
        filled = 0
        while filled < len(buffer):  # a raw file may give less than it has, two gigabytes at the most
            count = self._file.readinto(buffer[filled:])
            if not count:
                break
            filled += count
        return filled

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer only where the file ends."""
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
    """An event file that was discovered; ``path`` is relative to the log directory, with ``/``."""

    path: str
    location: str
    filesystem: Any = None

    def open(self) -> EventFileSource:
        """Open the file; raises OSError."""
        if self.filesystem is None:
            if os.path.islink(self.location) and not os.path.lexists(os.path.realpath(self.location)):
                raise OSError(errno.ENOENT, "it is a link to a file that does not exist")
            if not stat.S_ISREG(os.stat(self.location).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            file = open(self.location, "rb", buffering=0)  # noqa: SIM115 - the source closes it
            return EventFileSource(self.path, file, os.fstat(file.fileno()).st_size, _WINDOW)
        remote = self.filesystem.open(self.location, "rb")
        if remote.size is None:  # of a web server that tells none
            remote.close()
            raise OSError(errno.EINVAL, "its size is not known")
        return EventFileSource(self.path, remote, remote.size, remote.size)  # every request has its price

    def size(self) -> int:
        """Return how many bytes the file has now; none where that cannot be found out."""
        try:
            with self.open() as source:
                return source.size
        except OSError:
            return 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run and its event files, ordered by name."""

    name: str
    files: tuple[EventFile, ...]


@dataclass(frozen=True, slots=True)
class Logdir:
    """A log directory: its runs in the order of their names, and the folders that could not be read."""

    path: str
    runs: tuple[Run, ...]
    damage: list[Damage] = field(default_factory=list)

    def total_bytes(self) -> int:
        """Return the size of all event files, for a progress bar; what cannot be read counts nothing."""
        return sum(file.size() for run in self.runs for file in run.files)


class HasLogdir(Protocol):
    """What knows a log directory: the frames of ``tb2csv.open_logdir``."""

    @property
    def logdir(self) -> Logdir:
        """The log directory as it was found."""


#: What public functions take as their log directory.
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
        message = "The name of the log directory is empty, as of a variable that is not set; give the folder's."
        raise LogdirError(message)
    damage: list[Damage] = []
    seen = _Seen()
    files = list(_remote_files(location, seen) if "://" in location else _local_files(location, seen, damage))
    runs: dict[str, list[EventFile]] = {}
    for file in files:
        runs.setdefault(str(PurePosixPath(file.path).parent), []).append(file)
    if not runs:
        raise LogdirError(_nothing_found(location, seen, damage))
    return Logdir(
        location,
        tuple(Run(name, tuple(sorted(runs[name], key=lambda file: file.path))) for name in sorted(runs)),
        damage,
    )


@dataclass(slots=True)
class _Seen:
    """What was found that is no event file, for the message where nothing else was."""

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
        yield EventFile(_readable(root.name), location)  # whatever it is called: what it is shows when it is read
        return
    if not exists:
        message = f"There is no folder {location}; give the folder that holds the TensorBoard logs."
        raise LogdirNotFoundError(message)
    yield from _walk(root, seen, damage)


def _walk(root: Path, seen: _Seen, damage: list[Damage]) -> Iterator[EventFile]:
    """Yield the event files below a folder, which may be nested deeper than Python's stack, in no order.

    Links are followed, but every folder is entered once: links may lead in circles, and a few that lead to the same
    places make more paths than can be walked. A folder's own path goes before that of a link to it, so that a run
    keeps its name beside a link ``latest``.
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
    """Return what is in a folder; nothing where it was entered before."""
    try:
        status = Path(folder).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in entered:
            return []
        entries = list(os.scandir(folder))
    except OSError as error:
        detail = f"the folder cannot be read: {error.strerror}"
        damage.append(Damage(_readable(prefix.rstrip("/")) or ROOT_RUN, 0, 0, UNREADABLE, detail))
        return []
    entered.add(identity)
    return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _readable(path: str) -> str:
    """Return a path as text that can be stored, with bytes that are no UTF-8 escaped; each path as another text.

    Backslashes before such a byte, and before what looks like one escaped, are doubled.
    """
    text = _BEFORE_ESCAPES.sub(lambda match: 2 * match.group(), os.fsencode(path).decode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _remote_files(location: str, seen: _Seen) -> Iterator[EventFile]:
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(location)
        filesystem.invalidate_cache()  # of an earlier listing, since when files may have come or grown
        found = filesystem.find(root)
    except Exception as error:  # whatever the library of that store raises, such as for credentials that are missing
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
        return f"There are no event files below {location}: it holds no files at all."
    others = f"{seen.files} other file{'s' * (seen.files > 1)} (such as {seen.example})"
    return f"There are no event files below {location}, only {others}; TensorBoard's have 'tfevents' in their name."
