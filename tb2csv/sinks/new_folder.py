"""A new folder for the tables and other files of a conversion, while it is filled."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tb2csv.errors import OutputError
from tb2csv.file_batches import file_batches
from tb2csv.sinks.ledger import Ledger
from tb2csv.sinks.private_folder import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from tb2csv.file_batches import FilePiece

#: The folder for intermediate files; a table's path never starts with a dot.
SCRATCH: Final = ".scratch"

#: The number of files whose lengths are remembered, and of folders that are known to exist.
_REMEMBERED: Final = 1 << 15

#: The folder for rows of tables that are not complete.
HELD_ROWS: Final = f"{SCRATCH}/rows"


class NewFolder:
    """A new folder, whose parts are created as they are needed; a subclass decides what becomes of it."""

    #: It has no tables of an earlier conversion.
    earlier: Final = None

    def __init__(self, out: Path) -> None:
        """Prepare a folder that messages call ``out``; nothing is created yet."""
        self.out = out
        self._root = ""
        #: The folders that are known to exist.
        self._made: set[str] = set()
        #: The lengths of files that ``append`` was the last to write.
        self._lengths: dict[str, int] = {}
        self._stack = contextlib.ExitStack()

    def _create(self, root: str, parent: Path, advice: str = "choose another place") -> None:
        """Create the folder with the permissions of the umask; a message names ``parent``, which the user knows."""
        try:
            os.mkdir(root)
        except OSError as error:
            message = f"A folder cannot be created in {parent} ({error.strerror}); {advice}."
            raise OutputError(message) from error
        self._root = root
        self._made = {root}

    def open(self, path: str, *, append: bool = False) -> IO[bytes]:
        """Open a file below the folder for writing; its parents are created."""
        location = self.location(path)
        self._lengths.pop(path, None)
        return open(location, "ab" if append else "wb")

    @functools.cached_property
    def ledger(self) -> Ledger:
        """The ledger of the new folder."""
        ledger = Ledger.create(Path(self._root))
        self._stack.callback(ledger.close)
        return ledger

    def length(self, path: str) -> int:
        """Return the length of a file in bytes; it is known of thousands of small files."""
        return self._lengths.get(path) or os.stat(f"{self._root}/{path}").st_size

    def commit(self, removed: Iterable[str]) -> None:
        """Complete the ledger; all files are forced to the disk before they are published."""
        self.remove_scratch()
        self.ledger.commit()
        self.ledger.close()

    def append(self, path: str, data: bytes) -> None:
        """Append to a file below the folder; its parents are created."""
        self.append_pieces([(path, 0, len(data), False)], data, b"")

    def append_pieces(self, pieces: list[FilePiece], text: bytes, header: bytes) -> None:
        """Append pieces of a text to files below the folder; their parents are created.

        For thousands of small tables ``open`` is slow.
        """
        root = self._root
        located = [(f"{root}/{path}", start, stop, with_header) for path, start, stop, with_header in pieces]
        missing: dict[str, None] = {}
        for location, *_ in located:
            self._add_missing(location[: location.rindex("/")], missing)
        lengths = file_batches().append_pieces(list(missing), located, text, header)
        self._remember(missing)
        if len(self._lengths) + len(pieces) <= _REMEMBERED:
            self._lengths.update((piece[0], length) for piece, length in zip(pieces, lengths, strict=True))
        else:
            for path, *_ in pieces:
                self._lengths.pop(path, None)

    def move(self, path: str, new: str) -> None:
        """Move a file or folder below the folder to an unused path below it; parents are created."""
        os.rename(f"{self._root}/{path}", self.location(new))
        self._lengths.pop(path, None)

    def attempts(self) -> str:
        """Return a new folder for the folders of attempts, which is removed at the end; other processes write there."""
        place = f"{os.path.dirname(self._root)}/attempts"
        os.mkdir(place)
        return place

    def adopt(self, place: str) -> None:
        """Move all files of the folder of an attempt here, except those with held rows, which ``RowBuffer`` adopts."""
        _move_all(place, self._root, left={f"{place}/{HELD_ROWS}", f"{place}/{PRIVATE}"})

    def remove_scratch(self) -> None:
        """Remove the intermediate files, which are not published."""
        shutil.rmtree(f"{self._root}/{SCRATCH}", ignore_errors=True)

    def location(self, path: str) -> str:
        """Return the present location of a file below the folder; its parents are created.

        ``path`` is relative, with slashes. Files below SCRATCH are not published.
        """
        location = f"{self._root}/{path}"
        self._make_folder(location[: location.rindex("/")])
        return location

    def _make_folder(self, folder: str) -> None:
        """Create a folder and its parents; each is checked once, because a log may have thousands."""
        missing: dict[str, None] = {}
        self._add_missing(folder, missing)
        if missing:
            file_batches().append_pieces(list(missing), [], b"", b"")
            self._remember(missing)

    def _remember(self, folders: Iterable[str]) -> None:
        """Remember folders that exist; those of runs that are complete may be forgotten."""
        if len(self._made) > _REMEMBERED:
            self._made = {self._root}
        self._made.update(folders)

    def _add_missing(self, folder: str, missing: dict[str, None]) -> None:
        """Add a folder that is not known to exist to those to create, after its parents."""
        if folder in self._made or folder in missing:
            return
        if len(folder) > len(self._root):
            self._add_missing(folder[: folder.rindex("/")], missing)
        missing[folder] = None


def _move_all(source: str, target: str, left: Container[str]) -> None:
    """Move what is in a folder into another, except the folders ``left``; folders that both have are merged."""
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.path in left:
                continue
            has_left = entry.name == SCRATCH
            if has_left and not os.path.isdir(place):
                os.mkdir(place)
            if not has_left and not os.path.lexists(place):
                os.rename(entry.path, place)
            elif entry.is_dir(follow_symlinks=False):
                _move_all(entry.path, place, left)
            else:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place)
