"""The folder of tables that become one file: filled beside the place of the file, and never published itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tb2csv.sinks.new_folder import NewFolder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Self


class FileFolder(NewFolder):
    """A folder in a private one, whose owner takes the tables out of it and removes it."""

    def __init__(self, private: Path, out: str) -> None:
        """Fill the folder ``tables`` in ``private``; ``out`` is the name of the file in messages."""
        super().__init__(Path(out))
        self._private = private

    def __enter__(self) -> Self:
        """Create the folder."""
        self._create(str(self._private / "tables"), self._private.parent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the ledger."""
        self._stack.close()

    def commit(self, removed: Iterable[str]) -> None:
        """Remove the intermediate files; the file is forced to the disk when it has its place."""
        self.remove_scratch()
