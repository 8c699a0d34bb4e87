"""The folder of tables that become one file: filled beside the place of the file, and never published itself."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tb2csv.errors import OutputError
from tb2csv.sinks.output_folder import OutputFolder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Self


class FileFolder(OutputFolder):
    """A folder in a private one, whose owner takes the tables out of it and removes it."""

    def __init__(self, private: Path, out: str) -> None:
        """Fill the folder ``tables`` in ``private``; ``out`` is the name of the file in messages."""
        self.out = Path(out)
        self._work = private
        self._root = str(private / "tables")
        self._made = {self._root}
        self._lengths = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Create the folder."""
        try:
            os.mkdir(self._root)
        except OSError as error:
            message = f"A folder cannot be created in {self._work.parent} ({error.strerror}); choose another place."
            raise OutputError(message) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the ledger."""
        self._stack.close()

    def commit(self, removed: Iterable[str]) -> None:
        """Remove the intermediate files; the file is forced to the disk when it has its place."""
        self.remove_scratch()
