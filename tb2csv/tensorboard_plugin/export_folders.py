"""Temporary folders for exports, removed at the end of the process."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The folder for large or long-lived temporary files.
SHARED: Final = "/var/tmp"  # noqa: S108 - only a private folder is created in it
_PREFIX: Final = "tb2csv-exports-"
#: Seconds after which a folder of a killed process is removed; no export is kept as long.
_ABANDONED_AFTER: Final = 24 * 3600


class ExportFolders:
    """Creates folders for exports; ``close`` removes all of them."""

    def __init__(self, log_folders: Sequence[str]) -> None:
        """Create no folder below ``log_folders``, in which event files are searched."""
        self._log_folders = [Path(path).resolve() for path in log_folders]
        self._lock = threading.Lock()
        self._root: Path | None = None

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
            if self._root is not None:
                shutil.rmtree(self._root, ignore_errors=True)

    def _make_root(self) -> Path:
        for place in self._candidates():
            try:
                _remove_abandoned(place)
                return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            except OSError:
                continue
        message = (
            "There is no temporary folder outside the log directory; set TMPDIR to one and start TensorBoard again."
        )
        raise OutputError(message)

    def _candidates(self) -> Iterator[Path]:
        """Yield the folders for temporary files on this system, the best first, except those below a log directory."""
        candidates = [tempfile.gettempdir(), SHARED, os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"]
        for candidate in candidates:
            place = Path(candidate).resolve()
            if place.is_dir() and not any(place == logs or logs in place.parents for logs in self._log_folders):
                yield place


def _remove_abandoned(place: Path) -> None:
    """Remove folders of this user's processes that were killed."""
    for folder in place.glob(f"{_PREFIX}*"):
        status = folder.lstat()
        is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if is_own and time.time() - status.st_mtime > _ABANDONED_AFTER:
            shutil.rmtree(folder, ignore_errors=True)
