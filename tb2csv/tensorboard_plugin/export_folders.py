"""Temporary folders for exports, removed at the end of the process, or by the next one if it is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tb2csv.atomic_files import private_folder, remove_dead_folders
from tb2csv.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The folder for large or long-lived temporary files.
SHARED: Final = "/var/tmp"  # noqa: S108 - only a private folder is created in it
_PREFIX: Final = "tb2csv-exports-"


class ExportFolders:
    """Creates folders for exports; ``close`` removes all of them."""

    def __init__(self, log_folders: Sequence[str]) -> None:
        """Create no folder below ``log_folders``, in which event files are searched."""
        self._log_folders = [Path(path).resolve() for path in log_folders]
        self._lock = threading.Lock()
        self._root: Path | None = None
        self._roots = contextlib.ExitStack()

    def make(self, name: str) -> Path:
        """Return a new, empty folder.

        Raises:
            OutputError: it cannot be created.
        """
        with self._lock:
            root = self._root
            if root is None or not root.exists():
                root = self._root = self._make_root()
        folder = root / name
        try:
            folder.mkdir()
        except OSError as error:
            message = (
                f"A temporary folder for an export cannot be created ({error.strerror}); set TMPDIR to another place."
            )
            raise OutputError(message) from error
        return folder

    def remove(self, folder: Path) -> None:
        """Remove a folder, which takes a while for ten thousand files."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove all folders, also those that another thread is removing.

        Files that an export writes afterwards are removed by the next process, as after a kill.
        """
        with self._lock:
            self._roots.close()

    def _make_root(self) -> Path:
        for place in self._candidates():
            try:
                return self._roots.enter_context(private_folder(str(place), _PREFIX))
            except OSError:
                continue
        message = (
            "There is no temporary folder outside the log directory; set TMPDIR to one and start TensorBoard again."
        )
        raise OutputError(message)

    def _candidates(self) -> Iterator[Path]:
        """Yield the folders for temporary files on this system, the best first, except those below a log directory."""
        for place in _temporary_folders():
            if not any(place == logs or logs in place.parents for logs in self._log_folders):
                yield place


def remove_folders_of_dead_processes() -> None:
    """Remove what TensorBoard processes that were killed have left in the folders for temporary files."""
    for place in _temporary_folders():
        remove_dead_folders(str(place), _PREFIX)


def _temporary_folders() -> Iterator[Path]:
    candidates = [tempfile.gettempdir(), SHARED, os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"]
    for candidate in candidates:
        place = Path(candidate).resolve()
        if place.is_dir():
            yield place
