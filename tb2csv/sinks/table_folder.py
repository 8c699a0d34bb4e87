"""The protocols of a folder that tables are written into, and of the tables that it has already."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from tb2csv.file_batches import FilePiece
    from tb2csv.sinks.ledger import Ledger


class EarlierTables(Protocol):
    """The files of an earlier conversion, in a folder that is brought up to date; paths are as in ``TableFolder``."""

    def expect(self, path: str, length: int) -> None:
        """Allow rows to be appended to a table, whose committed length in bytes is given."""

    def published(self, path: str) -> str:
        """Return the location of a file."""

    def copy_published(self, folder: str, new: str) -> None:
        """Put the files of a folder into another folder as well."""


class TableFolder(Protocol):
    """A folder for tables: a new one (``NewFolder``), or one that is brought up to date (``UpdatedFolder``).

    Paths are relative, with slashes. It is entered as a context manager; nothing counts before ``commit``.
    """

    @property
    def out(self) -> Path:
        """The place of the folder."""

    @property
    def ledger(self) -> Ledger:
        """What the next update must know."""

    @property
    def earlier(self) -> EarlierTables | None:
        """The tables of an earlier conversion that are brought up to date; None in a new folder."""

    def __enter__(self) -> Any:
        """Prepare to write."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Publish what was committed, and undo the rest."""

    def open(self, path: str, *, append: bool = False) -> IO[bytes]:
        """Open a file for writing; its parents are created."""

    def append(self, path: str, data: bytes) -> None:
        """Append to a file; its parents are created."""

    def append_pieces(self, pieces: list[FilePiece], text: bytes, header: bytes) -> None:
        """Append pieces of a text to files; their parents are created."""

    def move(self, path: str, new: str) -> None:
        """Move a new file or folder to an unused path; parents are created."""

    def location(self, path: str) -> str:
        """Return the present location of a new file; its parents are created. SCRATCH is never published."""

    def length(self, path: str) -> int:
        """Return the present length of a file in bytes."""

    def remove_scratch(self) -> None:
        """Remove the intermediate files."""

    def commit(self, removed: Iterable[str]) -> None:
        """Make everything that was written count, without the files and folders at the paths ``removed``."""
