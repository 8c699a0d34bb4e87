"""Ranges of one version of a remote file.

A range is requested with its end, is never empty, and has the length that was requested. An object that was replaced
gives ObjectChangedError, so that bytes of two versions never meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from typing import TYPE_CHECKING, Any, Protocol

from tb2csv.sources.remote_errors import ObjectChangedError, RemoteError
from tb2csv.sources.request_watch import WATCH
from tb2csv.sources.requests import answer_to, request
from tb2csv.sources.source import CONTENT_KEYS, ExpansionError, Version
from tb2csv.sources.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tb2csv.size_limits import SizeLimits

#: The keys under which stores give the version of an object; the first one that is present is used.
_IDENTITIES = (
    *CONTENT_KEYS,
    *("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified", "created"),
)

#: The minimum size in bytes of a file for the user to be informed that it is loaded as a whole.
_LARGE = 64 << 20


def version_of(info: Mapping[str, Any]) -> Version:
    """Return the version in what a file system says about a file."""
    identity = next((f"{key} {info[key]}" for key in _IDENTITIES if info.get(key)), "")
    size = info.get("size")
    return Version(None if size is None else int(size), identity)


class Ranges(Protocol):
    """Ranges of one version of a file; several threads may fetch at once, up to ``parallel``."""

    parallel: int

    @property
    def version(self) -> Version:
        """The version; its size may be unknown before the first range."""

    @property
    def stored_size(self) -> int:
        """How many bytes the file takes in the store; 0 before the first range if its size is unknown."""

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``; fewer only at the end of the file.

        Raises:
            ObjectChangedError: the file has another version now.
            RemoteError: it cannot be read.
        """

    def close(self) -> None:
        """Release what is open."""


class FileRanges:
    """Ranges that are read from open files of an fsspec file system by seek and read.

    ``cat_file`` of some file systems ignores the range, and none of them checks the version.
    """

    def __init__(
        self,
        filesystem: Any,
        location: str,
        url: str,
        limits: SizeLimits,
        reading: contextlib.AbstractContextManager[Any] | None = None,
        stored_of: Callable[[Mapping[str, Any]], int] | None = None,
    ) -> None:
        """Open the file.

        Args:
            filesystem: has the file.
            location: its path there.
            url: its name in messages.
            limits: how much a member of an archive may unpack to.
            reading: a lock that is held while it is read.
            stored_of: for a member of an archive, returns how many bytes of the archive hold it.
        """
        self._reading = reading or contextlib.nullcontext()
        self._filesystem = filesystem
        self._location = location
        self._url = url
        self._lock = threading.Lock()
        first, details, info = request(url, self._first)
        self._idle = [first]
        self._is_closed = False
        self._info = info
        # The size that the open file has, because a cache may have old bytes.
        size = getattr(first, "size", None)
        self._version = Version(version_of(info).size if size is None else int(size), version_of(info).identity)
        #: Whether each request names the version, as s3fs does.
        self._is_guarded = any("IfMatch" in (getattr(first, name, None) or {}) for name in ("read_kw", "req_kw"))
        # A file of a store has no state but its position. Others, such as members of archives, are read in one go.
        self.parallel = 4 if isinstance(details, dict) else 1
        self._is_checked = not self._is_guarded and self.parallel > 1
        if self._version.size is None:
            self.close()
            raise RemoteError(errno.EINVAL, "its size is unknown")
        self._stored_size = stored_of(info) if stored_of else self._version.size
        if self._version.size > limits.events(self._stored_size):
            self.close()
            raise ExpansionError.of(limits)

    @property
    def version(self) -> Version:
        """The version of the open file."""
        return self._version

    @property
    def stored_size(self) -> int:
        """How many bytes the file takes in the store."""
        return self._stored_size

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``; fewer only at the end of the file."""
        size = self._version.size or 0
        stop = min(stop, size)
        if start >= stop:  # some file systems give the whole file for an empty range
            return b""
        data = request(self._url, lambda: self._read(start, stop))
        if len(data) > stop - start == size - start:
            data = data[start:stop]
        if len(data) != stop - start and self.parallel > 1:
            message = f"{stop - start} bytes from {start} were requested, and the answer has {len(data)}"
            raise RemoteError(errno.EIO, message)
        return data

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            files, self._idle = self._idle, []
            self._is_closed = True
        for file in files:
            file.close()

    def _first(self) -> tuple[Any, Any, Mapping[str, Any]]:
        """Open the file; return it with its details, which not every file system has, and with what is known of it."""
        file = self._open()
        details = getattr(file, "details", None)
        if isinstance(details, dict) and details.get("type") == "directory":  # the key is a folder as well
            file.close()
            self._filesystem.invalidate_cache(self._location)
            file = self._open()
            details = file.details
        return file, details, details if isinstance(details, dict) else self._filesystem.info(self._location)

    def _read(self, start: int, stop: int) -> bytes:
        with self._lock:
            file = self._idle.pop() if self._idle else None
        file = file or self._open()
        try:
            with self._reading:
                file.seek(start)
                data = _read(file, stop - start)
        finally:
            self._put_back(file)
        if self._is_checked or len(data) != stop - start:
            self._check_version()
        return data

    def _open(self) -> Any:
        # No cache: it would read megabytes ahead.
        return self._filesystem.open(self._location, "rb", cache_type="none")

    def _put_back(self, file: Any) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(file)
                return
        file.close()  # the reader has ended while this range was under way

    def _check_version(self) -> None:
        self._filesystem.invalidate_cache(self._location)
        if version_of(self._filesystem.info(self._location)) != version_of(self._info):
            raise ObjectChangedError


def _read(file: Any, length: int) -> bytes:
    """Read ``length`` bytes, or fewer at the end; one call may return fewer."""
    data: bytes = file.read(length)
    while 0 < len(data) < length and (more := file.read(length - len(data))):
        data += more
    return data


class WebRanges:
    """Ranges from a web server. The version is in each answer, so a file needs no other request.

    A server without ranges answers with the whole file. It is loaded once, and ranges are cut from it.
    """

    parallel = 4

    def __init__(self, filesystem: Any, location: str, url: str) -> None:
        """Prepare to read the address ``location``; ``url`` is its name in messages."""
        self._filesystem = filesystem
        self._location = location
        self._url = url
        self._version = Version(None)
        self._whole: bytes | None = None

    @property
    def version(self) -> Version:
        """The version in the first answer."""
        return self._version

    @property
    def stored_size(self) -> int:
        """The size in the first answer."""
        return self._version.size or 0

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``; fewer only at the end of the file."""
        size = self._version.size
        stop = stop if size is None else min(stop, size)
        if start >= stop:
            return b""
        if self._whole is not None:
            return self._whole[start:stop]
        version, first, data = answer_to(
            self._url, lambda: asyncio.run_coroutine_threadsafe(self._get(start, stop), self._filesystem.loop)
        )
        if size is None:
            self._version = version
            stop = min(stop, version.size or 0)
        elif version != self._version:
            raise ObjectChangedError
        if first is None:
            self._whole = data
            if len(data) >= _LARGE:
                line = (
                    f"{shown(self._location)} is loaded whole ({len(data) >> 20} MB): its server does not give ranges"
                )
                WATCH.note(line)
            return data[start:stop]
        if first != start or len(data) != max(0, stop - start):
            message = f"bytes {start} to {stop} were requested, and the answer has {len(data)} bytes from {first}"
            raise RemoteError(errno.EIO, message)
        return data

    def close(self) -> None:
        """Forget a file that was loaded whole."""
        self._whole = None

    async def _get(self, start: int, stop: int) -> tuple[Version, int | None, bytes]:
        """Return the version, the offset of the answer (None if it is the whole file) and the bytes."""
        filesystem = self._filesystem
        options = dict(filesystem.kwargs)
        headers = {**options.pop("headers", {}), "Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        session = await filesystem.set_session()
        async with session.get(filesystem.encode_url(self._location), headers=headers, **options) as answer:
            if answer.status in {404, 410}:
                raise FileNotFoundError(errno.ENOENT, f"status {answer.status}")
            if answer.status in {401, 403}:
                raise PermissionError(errno.EACCES, f"status {answer.status}")
            unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
            place, _, total = rest.partition("/")
            size = int(total) if total.isdigit() else None
            if answer.status == 416 and size is not None:  # the range begins at the end of the file
                return Version(size, _identity(answer.headers)), start, b""
            answer.raise_for_status()
            data = await answer.read()
            if answer.status != 206 or unit != "bytes":
                return Version(len(data), _identity(answer.headers)), None, data
            return Version(size, _identity(answer.headers)), int(place.partition("-")[0]), data


def _identity(headers: Mapping[str, str]) -> str:
    return version_of(headers).identity
