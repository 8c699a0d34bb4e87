"""The folder of one attempt to convert a batch of runs; its files become part of an output folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tb2csv.errors import OutputError
from tb2csv.sinks.output_folder import OutputFolder

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class AttemptFolder(OutputFolder):
    """A folder that one attempt fills, and that ``OutputFolder.adopt`` empties; the block removes it on an error.

    Nothing is written once the folder has been removed from outside, as its place is created only once.
    """

    def __init__(self, place: str) -> None:
        """Fill the folder ``place``, whose parent exists."""
        self.out = Path(place)
        self._root = place
        self._made = {place}
        self._lengths = {}

    def __enter__(self) -> Self:
        """Create the folder."""
        try:
            os.mkdir(self._root)
        except OSError as error:
            message = f"A folder cannot be created in {self.out.parent} ({error.strerror}); check its permissions."
            raise OutputError(message) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Keep the folder, or remove it if the block raised an exception."""
        if kind is not None:
            shutil.rmtree(self._root, ignore_errors=True)
