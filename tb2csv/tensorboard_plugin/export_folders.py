"""Where exports are written before they are sent: folders of this process, removed with it."""

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

#: Where temporary files go that are large, or to be kept for long.
SHARED: Final = "/var/tmp"  # noqa: S108 - a folder of this user alone is made in it
_PREFIX: Final = "tb2csv-exports-"
#: Seconds after which a folder that was left by a process that was killed is removed; no export is kept so long.
_ABANDONED: Final = 24 * 3600


class ExportFolders:
    """Gives folders for exports; ``close`` removes all."""

    def __init__(self, apart_from: Sequence[str]) -> None:
        """Keep apart from these folders: event files are looked for in them, and nobody else may write there."""
        self._apart_from = [Path(path).resolve() for path in apart_from]
        self._lock = threading.Lock()
        self._root: Path | None = None

    def make(self, name: str) -> Path:
        """Return a new, empty folder; raises OutputError where none can be made."""
        with self._lock:
            root = self._root
            if root is None or not root.exists():
                root = self._root = self._make_root()
        folder = root / name
        try:
            folder.mkdir()
        except OSError as error:
            message = f"No temporary folder can be made for an export ({error.strerror}); set TMPDIR to another place."
            raise OutputError(message) from error
        return folder

    def remove(self, folder: Path) -> None:
        """Remove a folder; it may hold ten thousand files, and that takes a while."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove all folders, those as well that are being removed by another thread.

        What an export that does not end writes afterwards is left to the next process, as after a kill.
        """
        with self._lock:
            if self._root is not None:
                shutil.rmtree(self._root, ignore_errors=True)

    def _make_root(self) -> Path:
        for place in self._places():
            try:
                _remove_abandoned(place)
                return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            except OSError:
                continue
        message = "There is no place for an export outside of the log directory; set TMPDIR to one and start again."
        raise OutputError(message)

    def _places(self) -> Iterator[Path]:
        """Yield where temporary files go on this system, the first choice first; not what holds the event files."""
        candidates = [tempfile.gettempdir(), SHARED, os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"]
        for candidate in candidates:
            place = Path(candidate).resolve()
            if place.is_dir() and not any(place == logs or logs in place.parents for logs in self._apart_from):
                yield place


def _remove_abandoned(place: Path) -> None:
    """Remove what processes of this user left that could not clean up."""
    for folder in place.glob(f"{_PREFIX}*"):
        status = folder.lstat()
        is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if is_own and time.time() - status.st_mtime > _ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)
