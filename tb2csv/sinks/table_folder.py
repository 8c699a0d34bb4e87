"""The protocol of a folder that tables are written into."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from tb2csv.sinks.ledger import Ledger


class TableFolder(Protocol):
    """A folder for tables: a new one (``OutputFolder``), or one that is brought up to date (``UpdatedFolder``).

    Paths are relative, with slashes. It is entered as a context manager; nothing counts before ``commit``.
    """

    @property
    def out(self) -> Path:
        """The place of the folder."""

    @property
    def ledger(self) -> Ledger:
        """What the next update must know."""

    def __enter__(self) -> Any:
        """Prepare to write."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Publish what was committed, and undo the rest."""

    def expect(self, lengths: Mapping[str, int]) -> None:
        """Allow rows to be appended to tables, whose committed lengths in bytes are given by their paths."""

    def open(self, path: str, *, append: bool = False) -> IO[bytes]:
        """Open a file for writing; its parents are created."""

    def append(self, path: str, data: bytes) -> None:
        """Append to a file; its parents are created."""

    def move(self, path: str, new: str) -> None:
        """Move a new file or folder to an unused path; parents are created."""

    def location(self, path: str) -> str:
        """Return the present location of a new file; its parents are created. SCRATCH is never published."""

    def published(self, path: str) -> str:
        """Return the location of a file of the earlier conversion."""

    def copy_published(self, folder: str, new: str) -> None:
        """Put the files of a folder of the earlier conversion into another folder as well."""

    def length(self, path: str) -> int:
        """Return the present length of a file in bytes."""

    def remove_scratch(self) -> None:
        """Remove the intermediate files."""

    def commit(self, removed: Iterable[str]) -> None:
        """Make everything that was written count, without the files and folders at the paths ``removed``."""
