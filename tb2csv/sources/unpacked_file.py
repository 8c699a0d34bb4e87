"""An event file that is stored compressed, unpacked to a temporary file as far as it has been read.

Recovery from damage reads at any place, so the unpacked bytes are kept, on the disk and not in memory. The temporary
file has no name, and is gone when it is closed or the process dies.
"""

from __future__ import annotations

import contextlib
import errno
from typing import IO, TYPE_CHECKING, Final

from tb2csv.errors import MissingExtraError
from tb2csv.sources.compression import SHOWN_BY, ForwardStream, PackedDataError, unpacked_parts, unpacking_of
from tb2csv.sources.source import ExpansionError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from tb2csv.size_limits import SizeLimits
    from tb2csv.sources.source import OpenFile

_WINDOW: Final = 4 << 20


def unpacked(file: OpenFile, limits: SizeLimits) -> OpenFile:
    """Return an open file, or its unpacked bytes, within ``limits``, if its first bytes show that it is compressed."""
    with contextlib.ExitStack() as closed_on_error:
        closed_on_error.push(file)
        unpack = unpacking_of(file.read_at(0, SHOWN_BY))
        opened = file
        if unpack is not None:
            import tempfile

            spool = closed_on_error.enter_context(tempfile.TemporaryFile())
            opened = UnpackedFile(file, spool, unpacked_parts(unpack, ForwardStream(file), file.stored_size, limits))
        closed_on_error.pop_all()
    return opened


class UnpackedFile:
    """The unpacked bytes of an open compressed file, which is closed with this one."""

    is_unpacked = True

    def __init__(self, stored: OpenFile, spool: IO[bytes], parts: Iterator[bytes]) -> None:
        """Unpack ``stored``, whose unpacked bytes are ``parts``, into ``spool``; nothing is unpacked yet."""
        self.path = stored.path
        self.window = _WINDOW
        self._stored = stored
        self._spool = spool
        self._parts = parts
        self._unpacked = 0
        self._size: int | None = None
        self._fault: Fault | None = None
        self._error: OSError | None = None

    @property
    def stored_size(self) -> int:
        """The number of bytes that the compressed file takes."""
        return self._stored.stored_size

    @property
    def version(self) -> str:
        """The version of the compressed file."""
        return self._stored.version

    @property
    def size(self) -> int:
        """The number of unpacked bytes; all are unpacked for it."""
        if self._size is None:
            self._unpack_to(None)
            self._size = self._unpacked
        return self._size

    @size.setter
    def size(self, size: int) -> None:
        self._size = size

    @property
    def fault(self) -> Fault | None:
        """Why the bytes end before those that were packed; None if they do not, as far as they are unpacked."""
        return self._fault

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` with the bytes from ``offset`` and return their number; fewer only at the end of the file."""
        part = self.read_at(offset, len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only at the end of the file."""
        stop = offset + length if self._size is None else min(offset + length, self._size)
        self._unpack_to(stop)
        self._spool.seek(offset)
        return self._spool.read(max(0, min(stop, self._unpacked) - offset))

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close both files."""
        self._spool.close()
        self._stored.__exit__(*exception)

    def _unpack_to(self, stop: int | None) -> None:
        """Unpack the bytes before ``stop``, or all.

        Raises:
            OSError: they cannot be read, or the temporary file cannot be written, or a package is missing.
        """
        if stop is not None and stop <= self._unpacked:
            return
        if self._error:  # a part may be missing
            raise self._error
        self._spool.seek(self._unpacked)
        try:
            for part in self._parts:
                self._spool.write(part)
                self._unpacked += len(part)
                if stop is not None and self._unpacked >= stop:
                    return
        except PackedDataError as error:
            self._fault = Fault(f"{error}, after {self._unpacked:,} unpacked bytes")
        except ExpansionError as error:
            self._fault = Fault(str(error.strerror), exceeds_limit=True)
        except MissingExtraError as error:
            self._error = OSError(errno.ENOSYS, str(error).rstrip("."))
            raise self._error from error
        except OSError as error:
            self._error = error
            raise
