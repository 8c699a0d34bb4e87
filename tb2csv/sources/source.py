"""The protocols of a source of bytes, and the version of a file.

A source lists the files below a place, each with its size and its version, and opens them. An open file gives ranges of
its bytes, all of one version: a file that is replaced while it is read gives an error, and never a mix.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from tb2csv.errors import Damage
    from tb2csv.size_limits import SizeLimits


#: The keys under which stores give what changes only if an object is written, best first: the ETag of Google Cloud
#: Storage also changes with its metadata.
CONTENT_KEYS: Final = ("generation", "ETag", "etag", "md5Hash", "Content-MD5", "CRC", "blob_id", "xet_hash")


class Version(NamedTuple):
    """The state of a file: its size in bytes, and what changes with its content.

    ``size`` is None if it is unknown, as in the listing of a web server. ``identity`` is the ETag of an object, or the
    modification time and number of a local file; it is empty if the source does not have any. Two versions with the
    same identity have the same bytes. An identity is only compared with others of the same source.
    """

    size: int | None
    identity: str = ""

    @property
    def text(self) -> str:
        """The version as one text; empty if the source has no identities."""
        return f"{self.size}:{self.identity}" if self.identity else ""


def is_replaced(earlier: str, present: str) -> bool:
    """Return whether two versions, as texts, show that a file was replaced: the store has another one of the same size.

    A modification time does not show it, because it may change without the content: by ``touch``, by a copy, or on a
    network file system some time after the last write.
    """
    (size, _, identity), (present_size, _, present_identity) = earlier.partition(":"), present.partition(":")
    key, present_key = identity.partition(" ")[0], present_identity.partition(" ")[0]
    return earlier != present and size == present_size and key == present_key and key in CONTENT_KEYS


class FoundFile(NamedTuple):
    """A file that a source has listed: its path below the place with ``/``, where it is, and its version then."""

    path: str
    location: str
    version: Version
    #: Whether the place is this file.
    is_given: bool = False


class Fault(NamedTuple):
    """Why bytes are missing at the end of a file, as the end of a sentence."""

    detail: str
    exceeds_limit: bool = False


class ExpansionError(OSError):
    """Compressed data unpacks to more than ``max_expansion`` allows."""

    @classmethod
    def of(cls, limits: SizeLimits, what: str = "it unpacks") -> ExpansionError:
        """Return the error on a file that exceeds these limits; ``what`` begins the end of a sentence."""
        return cls(errno.EFBIG, f"{what} to more than {limits.max_expansion:,} times its size")


def fault_of(error: OSError) -> Fault:
    """Return why a file cannot be read."""
    return Fault(f"the file cannot be read: {error.strerror or error}", isinstance(error, ExpansionError))


class OpenFile(Protocol):
    """An open file, a context manager; one thread uses it at a time."""

    path: str
    #: Its size in bytes when it was opened; bytes written later are not read.
    size: int
    #: How many bytes to read at a time if no more are needed at once.
    window: int
    #: Whether its bytes are unpacked, or those of a member of an archive, so that fewer may be stored.
    is_unpacked: bool

    @property
    def stored_size(self) -> int:
        """How many bytes it takes where it is stored; its size, unless it is a member of a compressed archive."""

    @property
    def version(self) -> str:
        """The version of the bytes that the file gives, as a text; empty if it is not known."""

    @property
    def fault(self) -> Fault | None:
        """Why bytes are missing at the end of the file; None if none are."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` with the bytes from ``offset`` and return their number; fewer only at the end of the file.

        Calls go forward: what follows may be read ahead.
        """

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, at any place; fewer only at the end of the file."""

    def __enter__(self) -> Self:
        """Return the file."""

    def __exit__(self, *_: object) -> None:
        """Close the file."""


class Source(Protocol):
    """The files below one place. It can be pickled; what it opens cannot.

    Every error is an OSError whose ``strerror`` says what happened, or a Tb2csvError.
    """

    @property
    def is_remote(self) -> bool:
        """Whether each request takes time, so that several should be under way at once."""

    def files(self, damage: list[Damage]) -> Iterator[FoundFile]:
        """Yield all files below the place as they are now, in any order; if it is a file, only that.

        A folder that cannot be read is added to ``damage``.
        """

    def open(self, path: str, location: str, stream_from: int | None = None) -> OpenFile:
        """Open a file that was listed.

        Args:
            path: the path that the open file reports.
            location: where it is.
            stream_from: the offset from which ``read_into`` is about to read all bytes, if so. A remote file reads them
                ahead.
        """

    def version(self, location: str) -> Version:
        """Return the present version of a file."""
