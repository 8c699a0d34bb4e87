"""Stores of files that an fsspec URL names: objects, web servers, SSH hosts, archives."""

from __future__ import annotations

import functools
import os
import posixpath
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from tb2csv.size_limits import EVENT_FILE_LIMITS, SizeLimits
from tb2csv.sources.listings import LISTINGS, found_files
from tb2csv.sources.ranges import FileRanges, WebRanges, version_of
from tb2csv.sources.remote_file import RemoteFile
from tb2csv.sources.requests import request
from tb2csv.sources.source import ExpansionError, FoundFile, Version
from tb2csv.sources.tar_archive import unpacked_tar
from tb2csv.sources.urls import protocols

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tb2csv.errors import Damage
    from tb2csv.sources.ranges import Ranges

#: Protocols of archives whose open members share one position in the archive (fsspec 2026.9).
_SHARE_A_POSITION: Final = frozenset({"tar", "libarchive"})


@functools.cache
def _forget_event_loop_in_forks() -> None:
    """Let a forked process start an event loop of its own, which fsspec 2024.12 does not do: the child would hang."""
    from fsspec.asyn import reset_lock

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset_lock)


#: Protocols of archives.
_ARCHIVES: Final = frozenset({"zip", *_SHARE_A_POSITION})


class _Archive(NamedTuple):
    """How many bytes an archive has, and how many it unpacks to if it is compressed as a whole."""

    stored: int
    unpacked: int

    def stored_of(self, info: Mapping[str, Any]) -> int:
        """Return how many bytes of the archive hold a member, from what the file system says about it."""
        packed = info.get("compress_size")  # in a ZIP archive
        return -(-info["size"] * self.stored // max(self.unpacked, 1)) if packed is None else int(packed)

    def check(self, members: Iterable[Mapping[str, Any]], limits: SizeLimits) -> None:
        """Raise ExpansionError if the members unpack to too much together: several may hold the same bytes.

        Those that exceed the limit alone do not count, because they are not read.
        """
        sizes = (each["size"] for each in members if each["size"] <= limits.events(self.stored_of(each)))
        if sum(sizes) > limits.events(self.stored):
            raise ExpansionError.of(limits, "its members unpack")


class _Connection(NamedTuple):
    """A file system of a process, and the path in it."""

    process: int
    filesystem: Any
    root: str
    archive: _Archive | None


class Store:
    """The files below an fsspec URL.

    The file system is made where it is used: in this process, and again in each one that unpickles the store. It is our
    own, so that other users of fsspec neither see nor fill its listings. Only the URL and the limits are pickled;
    credentials come from the environment or from fsspec's configuration.
    """

    is_remote = True

    def __init__(self, url: str, limits: SizeLimits = EVENT_FILE_LIMITS) -> None:
        """Name the store; ``limits`` are those of archives and their members. Nothing is connected yet."""
        self.url = url
        self._limits = limits
        self._lock = threading.Lock()
        self._made: _Connection | None = None
        outermost = protocols(url)[0]
        self._is_web = outermost in {"http", "https"}
        self._list = LISTINGS.get(outermost, found_files)
        #: Held while a file is read, if open files share a position.
        self._reading = threading.Lock() if outermost in _SHARE_A_POSITION else None

    def __reduce__(self) -> tuple[type[Store], tuple[str, SizeLimits]]:
        """Pickle the URL and the limits alone."""
        return type(self), (self.url, self._limits)

    def files(self, damage: list[Damage]) -> Iterator[FoundFile]:
        """Yield all files below the URL as they are now; if it names a file, only that.

        Raises:
            RemoteError: they cannot be listed.
            ExpansionError: they are the members of an archive, and unpack to more than the limit.
            MissingExtraError: a package is missing.
        """
        _, filesystem, root, archive = self._connected()

        def find() -> dict[str, dict[str, Any]]:
            filesystem.invalidate_cache()
            return self._list(filesystem, root)

        found = request(self.url, find)
        if archive:
            archive.check(found.values(), self._limits)
        for location, info in found.items():
            if info.get("type") == "directory" or location.endswith("/"):  # a key ``a/`` marks a folder
                continue
            version = version_of(info)
            if location == root:
                path = urlsplit(root).path if self._is_web else root
                yield FoundFile(self._name(posixpath.basename(path)), location, version, is_given=True)
            else:  # one slash is removed: a key may have several in a row
                path = location.removeprefix(root).removeprefix("/")
                if self._reading:  # ``tar -cf logs.tar .`` puts ./ before every name
                    path = path.removeprefix("./")
                yield FoundFile(self._name(path), location, version)

    def open(self, path: str, location: str, stream_from: int | None = None) -> RemoteFile:
        """Open a file.

        Raises:
            RemoteError: it cannot be opened.
            ExpansionError: it is a member of an archive, and unpacks to more than the limit.
        """
        _, filesystem, _, archive = self._connected()
        stored_of = archive.stored_of if archive else None
        opened: list[Ranges] = []

        def ranges() -> Ranges:
            if opened:  # the listing's version is gone
                filesystem.invalidate_cache(location)
            if self._is_web:
                opened.append(WebRanges(filesystem, location, self.url))
            else:
                opened.append(FileRanges(filesystem, location, self.url, self._limits, self._reading, stored_of))
            return opened[-1]

        return RemoteFile(path, ranges, stream_from, is_unpacked=archive is not None)

    def version(self, location: str) -> Version:
        """Return the present version of a file.

        Raises:
            RemoteError: it cannot be looked up.
        """
        filesystem, _ = self.connected()

        def look_up() -> Version:
            filesystem.invalidate_cache(location)
            return version_of(filesystem.info(location))

        return request(self.url, look_up)

    def _name(self, path: str) -> str:
        return unquote(path) if self._is_web else path

    def connected(self) -> tuple[Any, str]:
        """Return the file system of this process and the path in it.

        Raises:
            RemoteError: it cannot be made.
            MissingExtraError: a package is missing.
        """
        _, filesystem, root, _ = self._connected()
        return filesystem, root

    def _connected(self) -> _Connection:
        with self._lock:
            if self._made is None or self._made.process != os.getpid():
                self._made = request(self.url, self._connect)
            return self._made

    def _connect(self) -> _Connection:
        import fsspec.core

        _forget_event_loop_in_forks()
        own = {protocol: {"skip_instance_cache": True} for protocol in protocols(self.url)}
        outermost, _, inner = self.url.partition("::")
        if outermost.startswith("tar://") and inner:
            unpacked = unpacked_tar(inner, {name: each for name, each in own.items() if name != "tar"}, self._limits)
            if unpacked is not None:
                filesystem, stored = unpacked
                root, whole = outermost.removeprefix("tar://").strip("/"), _Archive(stored, _size(filesystem.fo))
                return _Connection(os.getpid(), filesystem, root, whole)
        filesystem, root = fsspec.core.url_to_fs(self.url, **own)
        size = _size(filesystem.fo) if protocols(self.url)[0] in _ARCHIVES else None
        archive = None if size is None else _Archive(size, size)
        return _Connection(os.getpid(), filesystem, root.rstrip("/") or root, archive)


def _size(file: Any) -> int:
    """Return the size of an archive; nothing reads it yet, because the place in it changes."""
    return int(file.seek(0, os.SEEK_END))
