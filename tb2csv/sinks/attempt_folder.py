"""The folder of one attempt to convert a batch of runs; its files become part of an output folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tb2csv.sinks.new_folder import NewFolder

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class AttemptFolder(NewFolder):
    """A folder that one attempt fills, and that ``NewFolder.adopt`` empties; the block removes it on an error.

    Nothing is written once the folder has been removed from outside, as its place is created only once.
    """

    def __init__(self, place: str) -> None:
        """Fill the folder ``place``, whose parent exists."""
        super().__init__(Path(place))

    def __enter__(self) -> Self:
        """Create the folder."""
        self._create(str(self.out), self.out.parent, "check its permissions")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Keep the folder, or remove it if the block raised an exception."""
        if kind is not None:
            shutil.rmtree(self._root, ignore_errors=True)
