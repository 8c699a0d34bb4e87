"""ZIP archives that hold models: their members are checked by name and size before one of them is unpacked."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING, Final

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import ZIP, as_state_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.size_limits import SizeLimits

#: The first bytes of an archive with members, and of one without.
SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")

_BLOCK: Final = 1 << 20


class ZipArchive:
    """The members of an archive, which fit in the limits together; each is read when it is requested."""

    def __init__(self, path: Path, limits: SizeLimits, *, kind: str, nested: bytes | None = None) -> None:
        """List the members.

        Args:
            path: the file of the archive.
            limits: limits of its data, which are compared with the size of the file.
            kind: what the archive should be, such as "an .npz file", for messages.
            nested: the content of an archive that is itself a member of the file.

        Raises:
            StateError: it is not an archive, or has members that are too large, have no name or the same one, or have
                names that lead out of it.
        """
        self.path = path
        self.limits = limits
        self._nested = nested
        self._failure = f"{path} cannot be read as {kind}"
        with self._open() as archive:
            self.members = archive.infolist()
        self._check(self.members)

    @property
    def stored(self) -> int:
        """The number of bytes of the file."""
        return self.path.stat().st_size

    @property
    def unpacked(self) -> int:
        """The number of bytes of all members."""
        return sum(each.file_size for each in self.members)

    def _check(self, members: list[zipfile.ZipInfo]) -> None:
        names = [each.filename for each in members]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise StateError(f"{self._failure} (it has two members named {name!r}); save the model again.")
            seen.add(name)
            if not name:
                raise StateError(f"{self._failure} (it has a member without a name); save the model again.")
            if ".." in PureWindowsPath(name).parts or PurePosixPath(name).is_absolute():  # either slash separates
                raise StateError(f"{self._failure} (its member {name!r} leads out of it); save the model again.")
        self.limits.check_data(self.path, self.unpacked, self.stored)

    @contextlib.contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        with self.errors():
            archive = zipfile.ZipFile(self.path if self._nested is None else io.BytesIO(self._nested))
        with archive:
            yield archive

    def errors(self) -> AbstractContextManager[None]:
        """Return a context in which what ``zipfile`` raises becomes a StateError."""
        return as_state_errors(self._failure, "save or fetch it again", ZIP)

    def read_text(self, name: str) -> bytes:
        """Return the bytes of a description; raises StateError if it is missing, damaged or too long."""
        with self._open() as archive:
            with self.errors():
                member = archive.getinfo(name) if name in archive.NameToInfo else None
            if member is None:
                raise StateError(f"{self._failure} (it has no {name}); save or fetch it again.")
            self.limits.check_text(self.path, member.file_size, member.compress_size, name)
            with self.errors():
                return archive.read(member)

    def extract(self, name: str, target: Path) -> None:
        """Write a member to a file."""
        with self._open() as archive, target.open("wb") as file:
            for block in self._blocks(archive, name):
                file.write(block)

    def _blocks(self, archive: zipfile.ZipFile, member: str | zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield the content of a member; what its reader does with a block is not part of reading."""
        with self.errors():
            packed = archive.open(member)
        with packed:
            while True:
                with self.errors():
                    block = packed.read(_BLOCK)
                if not block:
                    return
                yield block

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member; the block only reads, and raises StateError if the member is damaged."""
        with self._open() as archive, self.errors(), archive.open(name) as packed:
            yield packed

    def write_copy(self, target: Path, replaced: Mapping[str, Callable[[IO[bytes]], None]]) -> None:
        """Write the archive again, packed as it was; ``replaced`` has what writes new members, by their names."""
        with self._open() as old, zipfile.ZipFile(target, "w") as new:
            for member in self.members:
                copy = zipfile.ZipInfo(member.filename, member.date_time)
                copy.compress_type = member.compress_type
                with self.errors():  # its compression may be unknown, which writing would find out first
                    old.open(member).close()
                with new.open(copy, "w", force_zip64=True) as file:
                    if member.filename in replaced:
                        replaced[member.filename](file)
                    else:
                        for block in self._blocks(old, member):
                            file.write(block)


def is_archive(file: Path | IO[bytes]) -> bool:
    """Return whether a file ends as an archive does; ``zipfile.is_zipfile`` raises for one that has several parts."""
    try:
        return zipfile.is_zipfile(file)
    except ZIP:
        return False


def member_names(path: Path) -> frozenset[str]:
    """Return the names in an archive, without its first folder; none if it cannot be read as one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ZIP:
        return frozenset()
    return frozenset(names) | {name.partition("/")[2] for name in names}
