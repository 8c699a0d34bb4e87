"""The private folder in an output folder, with everything that is not a table, and the paths of tables beside it.

The output folder may come from a stranger, so no link and no path may lead out of it.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

#: Its name starts with a dot, as the name of no table does.
PRIVATE: Final = ".tb2csv"
LEDGER: Final = f"{PRIVATE}/ledger.sqlite"
#: What SQLite needs to undo a change of the ledger.
JOURNAL: Final = f"{LEDGER}-journal"
#: The process that has locked the ledger.
HOLDER: Final = f"{PRIVATE}/holder.json"
#: It exists while tables may have bytes beyond their committed lengths.
UPDATING: Final = f"{PRIVATE}/updating"
#: Rows that are kept for the next update, because tables that are not in the tree are made of them.
KEPT_ROWS: Final = f"{PRIVATE}/rows"
#: The waiting files of an update; its number follows.
WAITING: Final = "waiting-"

#: The last bytes of a journal that names another file, which SQLite may delete. Ours never do.
_NAMES_ANOTHER_FILE: Final = bytes.fromhex("d9d505f920a163d7")

_FILES: Final = {
    *(os.path.basename(path) for path in (LEDGER, JOURNAL, HOLDER, UPDATING)),
    *("ledger.sqlite-wal", "ledger.sqlite-shm"),
}
_KEPT_NAME: Final = re.compile(r"\d{6,18}\.arrow")
_FOLDER: Final = re.compile(re.escape(WAITING) + r"\d{1,18}")


def strange_private_file(out: Path) -> str | None:
    """Return the path of something in the private folder that tb2csv did not write; None if there is nothing else.

    Raises:
        OSError: the folder cannot be read.
    """
    if not stat.S_ISDIR(os.lstat(out / PRIVATE).st_mode):
        return PRIVATE
    with os.scandir(out / PRIVATE) as entries:
        for entry in entries:
            is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
            if is_folder and entry.name == os.path.basename(KEPT_ROWS):
                if strange := _strange_kept_file(entry.path):
                    return f"{KEPT_ROWS}/{strange}"
                continue
            if not (is_folder and _FOLDER.fullmatch(entry.name)) and not (is_file and entry.name in _FILES):
                return f"{PRIVATE}/{entry.name}"
            if entry.name == os.path.basename(JOURNAL) and _names_another_file(entry.path):
                return f"{PRIVATE}/{entry.name}"
    return None


def _strange_kept_file(folder: str) -> str | None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.is_file(follow_symlinks=False) and _KEPT_NAME.fullmatch(entry.name)):
                return entry.name
    return None


def _names_another_file(journal: str) -> bool:
    with open(journal, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_NAMES_ANOTHER_FILE)))
        return file.read() == _NAMES_ANOTHER_FILE


def is_published_path(path: object) -> bool:
    """Return whether something is a path of a file that a commit publishes: a table, or a file of kept rows.

    It is relative, with slashes, and stays in the folder.
    """
    if not isinstance(path, str) or "\0" in path:
        return False
    if path.startswith("."):
        folder, _, name = path.rpartition("/")
        return folder == KEPT_ROWS and _KEPT_NAME.fullmatch(name) is not None
    parts = path.split("/")
    if os.sep == "\\" and any("\\" in part or ":" in part for part in parts):
        return False
    return not any(part in {"", ".", ".."} for part in parts)


class PublishedFiles:
    """The places of files in an output folder; a link on the way there is an error."""

    def __init__(self, out: Path) -> None:
        """Check files below the folder ``out``."""
        self._out = out
        self._checked: set[str] = set()

    def location(self, path: str) -> str:
        """Return the place of a file that may exist.

        Raises:
            OutputError: the path leads out of the folder, or to something else than a file.
        """
        if not is_published_path(path):
            message = f"{self._out} cannot be brought up to date, because {path!r} is not the path of a table."
            raise OutputError(message)
        self._check_folders(path.rpartition("/")[0])
        location = f"{self._out}/{path}"
        if _mode(location) not in {None, stat.S_IFREG}:
            message = f"{location} is not a file, so it cannot be brought up to date; remove it."
            raise OutputError(message)
        return location

    def is_folder(self, path: str) -> bool:
        """Return whether there is a folder at a path, and no link on the way there."""
        if not is_published_path(path):
            return False
        self._check_folders(path.rpartition("/")[0])
        return _mode(f"{self._out}/{path}") == stat.S_IFDIR

    def _check_folders(self, path: str) -> None:
        if not path or path in self._checked:
            return
        self._check_folders(path.rpartition("/")[0])
        mode = _mode(f"{self._out}/{path}")
        if mode is None:
            return
        if mode != stat.S_IFDIR:
            message = f"{self._out}/{path} is not a folder, so it cannot be brought up to date; remove it."
            raise OutputError(message)
        self._checked.add(path)


def _mode(location: str) -> int | None:
    """Return the type of a file, a link or a folder; None if there is nothing."""
    try:
        return stat.S_IFMT(os.lstat(location).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
