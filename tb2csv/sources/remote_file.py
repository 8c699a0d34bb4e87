"""An open remote file: ranges that are read ahead, and one version of the bytes."""

from __future__ import annotations

import errno
import zlib
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.daemon_executor import DaemonExecutor, result_of
from tb2csv.sources.remote_errors import ObjectChangedError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from typing_extensions import Self

    from tb2csv.sources.ranges import Ranges

#: Bytes to scan at a time, as of a local file.
_WINDOW: Final = 4 << 20

#: Bytes of the first range of a file that is read as a whole; most files fit in.
_FIRST_RANGE: Final = 8 << 20
#: Bytes of the further ranges. A file of one chunk takes at most three requests.
_RANGE: Final = 16 << 20
_ONE_CHUNK: Final = 64 << 20
_RANGES_IN_ONE_CHUNK: Final = 2

#: Bytes around a place that is read alone, such as the first record; they double if the next place follows.
_BLOCK: Final = 4 << 10
_LARGEST_BLOCK: Final = 1 << 20

#: How often a file may change in a row while it is read.
_ATTEMPTS: Final = 5


class _Part(NamedTuple):
    start: int
    stop: int
    data: Future[bytes]


class _Digest(NamedTuple):
    start: int
    stop: int
    crc: int


class RemoteFile:
    """The bytes of a remote file; ``size`` is its size when it was opened. Use as a context manager.

    If the file is replaced while it is read, reading goes on in the new version, provided that it begins with the bytes
    that were read: logs grow like this where objects cannot be appended to. Otherwise it is an error.
    """

    def __init__(
        self, path: str, ranges: Callable[[], Ranges], stream_from: int | None = None, *, is_unpacked: bool = False
    ) -> None:
        """Open the file.

        Args:
            path: the path to report.
            ranges: opens the present version.
            stream_from: the offset from which all bytes will be read, if so; the first ones are read at once.
            is_unpacked: whether it is a member of an archive.

        Raises:
            RemoteError: it cannot be opened.
        """
        self.path = path
        self.window = _WINDOW
        self.is_unpacked = is_unpacked
        self._open_ranges = ranges
        self._ranges = ranges()
        self._executor: DaemonExecutor | None = None
        self._parts: deque[_Part] = deque()
        self._block, self._block_start, self._block_size = b"", 0, _BLOCK
        #: The first and the last stretch of bytes that were handed out.
        self._digests: list[_Digest] = []
        self._is_replaced = False
        if stream_from is not None or self._ranges.version.size is None:
            start, length = (0, _BLOCK) if stream_from is None else (stream_from, _FIRST_RANGE)
            data = self._fetched(start, start + length)
            self._block, self._block_start = data, start
        self.size = self._ranges.version.size or 0

    @property
    def stored_size(self) -> int:
        """How many bytes it takes in the store."""
        return self._ranges.stored_size

    @property
    def version(self) -> str:
        """The version of the bytes that are read."""
        return self._ranges.version.text

    @property
    def fault(self) -> None:
        """Nothing: errors are raised."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` with the bytes from ``offset`` and return their number; fewer only at the end of the file."""
        self._check()
        end = min(offset + len(buffer), self.size)
        place = offset
        while place < end:
            start, data = self._stretch(place, offset)
            count = min(start + len(data), end) - place
            if count <= 0:
                break
            buffer[place - offset : place - offset + count] = data[place - start : place - start + count]
            place += count
        return max(0, place - offset)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only at the end of the file."""
        self._check()
        stop = min(offset + length, self.size)
        if offset >= stop:
            return b""
        block_end = self._block_start + len(self._block)
        if not self._block_start <= offset <= stop <= block_end:
            follows = bool(self._block) and self._block_start <= offset <= block_end
            self._block_size = min(2 * self._block_size, _LARGEST_BLOCK) if follows else _BLOCK
            if length >= _LARGEST_BLOCK:
                return self._fetched(offset, stop)
            self._block = self._fetched(offset, min(max(stop, offset + self._block_size), self.size))
            self._block_start = offset
        return self._block[offset - self._block_start : stop - self._block_start]

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; ranges that are under way are abandoned."""
        if self._executor:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._parts.clear()
        self._ranges.close()

    def _check(self) -> None:
        if self._is_replaced:  # a reader may try again
            raise ObjectChangedError

    def _stretch(self, place: int, keep_from: int) -> tuple[int, bytes]:
        """Return a stretch of bytes that has ``place``, and its start; later ones are read ahead.

        Stretches before ``keep_from`` are dropped.
        """
        if self._block_start <= place < self._block_start + len(self._block):
            self._read_ahead(self._block_start + len(self._block), keep_from)
            return self._block_start, self._block
        for _ in range(_ATTEMPTS):
            self._read_ahead(place, keep_from)
            part = next((part for part in self._parts if part.start <= place < part.stop), None)
            if part is None:
                break
            try:
                data = result_of(part.data)
            except ObjectChangedError:
                self._renew()
                continue
            self._remember(part.start, data)
            return part.start, data
        return place, b""

    def _read_ahead(self, place: int, keep_from: int) -> None:
        """Start to read the ranges from ``place`` on, as far as they may be under way at once."""
        while self._parts and self._parts[0].stop <= min(keep_from, place):
            self._parts.popleft()
        while len(self._parts) > 1 and self._parts[1].start <= place >= self._parts[0].stop:
            self._parts.popleft()  # a long read no longer needs them
        if self._parts and not self._parts[0].start <= place <= self._parts[-1].stop:
            self._parts.clear()
        start = self._parts[-1].stop if self._parts else place
        rest = self.size - _FIRST_RANGE
        step = max(_FIRST_RANGE, -(-rest // _RANGES_IN_ONE_CHUNK)) if self.size <= _ONE_CHUNK else _RANGE
        ahead = sum(part.stop > place for part in self._parts)
        while start < self.size and ahead < self._ranges.parallel:
            if self._executor is None:
                self._executor = DaemonExecutor(self._ranges.parallel)
            stop = min(start + step, self.size)
            self._parts.append(_Part(start, stop, self._executor.submit(self._ranges.fetch, start, stop)))
            start, ahead = stop, ahead + 1

    def _fetched(self, start: int, stop: int) -> bytes:
        """Return the bytes of a range, of the present version."""
        for _ in range(_ATTEMPTS):
            try:
                data = self._ranges.fetch(start, stop)
            except ObjectChangedError:
                self._renew()
            else:
                self._remember(start, data)
                return data
        raise _changes_too_fast()

    def _remember(self, start: int, data: bytes) -> None:
        if data and not any(digest.start == start for digest in self._digests):
            self._digests = [*self._digests[:1], _Digest(start, start + len(data), zlib.crc32(data))]

    def _renew(self) -> None:
        """Go on with the present version of the file, if it begins with the bytes that were read.

        Raises:
            ObjectChangedError: it does not.
        """
        self._parts.clear()
        for _ in range(_ATTEMPTS):
            self._ranges.close()
            self._ranges = self._open_ranges()
            try:
                for start, stop, crc in self._digests:
                    if zlib.crc32(self._ranges.fetch(start, stop)) != crc:
                        break
                else:
                    if not self._digests and self._ranges.version.size is not None:
                        self.size = self._ranges.version.size
                    return
            except ObjectChangedError:
                continue
            self._is_replaced = True
            raise ObjectChangedError
        raise _changes_too_fast()


def _changes_too_fast() -> RemoteError:
    return RemoteError(errno.ESTALE, "it changes faster than it can be read")
