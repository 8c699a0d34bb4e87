"""The output folder: filled beside its place and renamed into it at the end, so that it is whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from tb2csv.atomic_files import local_path
from tb2csv.errors import OutputError
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

#: The file by which a folder is known to be the work of tb2csv.
DATA_PACKAGE: Final = "datapackage.json"

#: The folder, in the one that is being filled, of what tables are made of later; no table's path starts with a dot.
SCRATCH: Final = ".scratch"


_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


#: The number of the value in its series, that of the file in the value, and what the bytes look like; or the name that
#: scalar_event_files.py gives.
_STORED_NAME: Final = re.compile(r"\d{6,}(_\d+)?\.[a-z0-9]+|events\.out\.tfevents\.\d{10,}\.tb2csv")


class OutputFolder:
    """A folder that is being filled; leaving the ``with`` block publishes it, unless an exception does."""

    def __init__(self, out: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Check that ``out`` can become the output folder.

        Raises OutputError where it is a file, or is not empty and may not be replaced.
        """
        self.out = Path(os.path.abspath(local_path(out)))
        self._overwrite = overwrite
        try:
            if self.out.is_symlink():
                self.out = Path(os.path.realpath(self.out))  # what it leads to is made or replaced, and not the link
            self._check()
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            message = f"{out} cannot be the folder of the tables ({error.strerror}); give another one."
            raise OutputError(message) from error
        self._made: set[str] = set()
        self._root = ""

    def _check(self) -> None:
        if self.out.is_symlink():
            message = f"{self.out} is a link that leads nowhere; remove it, or give another folder."
            raise OutputError(message)
        if not self.out.exists():
            return
        if not self.out.is_dir():
            message = f"{self.out} is a file; give a folder for the tables."
            raise OutputError(message)
        if self.out.is_mount():
            message = f"{self.out} is a mount point, which cannot be replaced at one stroke; give a folder below it."
            raise OutputError(message)
        if _holds_current_folder(self.out):
            message = f"{self.out} holds the current folder, which would be gone; give another, or start elsewhere."
            raise OutputError(message)
        if not any(self.out.iterdir()):
            return
        if not self._overwrite:
            replace = advice("{} to replace an earlier conversion", Option("overwrite", value=True))
            raise OutputError(f"{self.out} is not empty", advice("give another folder"), replace)
        foreign = _foreign_file(self.out)
        if foreign is not None:
            message = f"{self.out} is not replaced, for it holds {foreign}, which tb2csv did not write."
            raise OutputError(message)

    def __enter__(self) -> Self:
        """Create the folder that is filled, beside the place of the output."""
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._root = tempfile.mkdtemp(prefix=f".{self.out.name}.", suffix=".tmp", dir=self.out.parent)
        except OSError as error:
            message = f"No folder can be made in {self.out.parent} ({error.strerror}); give another place."
            raise OutputError(message) from error
        with contextlib.suppress(OSError):
            replaced = _status(self.out)
            if replaced is not None and replaced.st_mode & stat.S_ISGID:  # what is made in it is the group's as well
                self._permit(replaced, stat.S_IRWXU | stat.S_ISGID)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Publish the folder, or remove it where an exception ends the block."""
        if kind is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            return
        try:
            self.remove_scratch()
            self._publish()
        except OutputError:
            raise
        except OSError as failure:
            message = f"The tables cannot be moved to {self.out} ({failure.strerror}); nothing was changed."
            raise OutputError(message) from failure
        finally:
            shutil.rmtree(self._root, ignore_errors=True)  # there is nothing where it was moved

    def _publish(self) -> None:
        self._check()  # somebody may have put something there since
        replaced = _status(self.out)
        if replaced is None:
            umask = os.umask(0)
            os.umask(umask)
            Path(self._root).chmod(0o777 & ~umask)  # mkdtemp makes folders that nobody else may read
            Path(self._root).rename(self.out)
            return
        self._permit(replaced, stat.S_IMODE(replaced.st_mode))
        old = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.", suffix=".old", dir=self.out.parent))
        try:
            self.out.rename(old / self.out.name)
            Path(self._root).rename(self.out)
        except BaseException:  # a user's interrupt as well
            if not self.out.exists():
                (old / self.out.name).rename(self.out)
            old.rmdir()
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _permit(self, replaced: os.stat_result, mode: int) -> None:
        """Give the new folder a mode, and the group of the one that it replaces, where this user may."""
        if sys.platform != "win32" and Path(self._root).stat().st_gid != replaced.st_gid:
            with contextlib.suppress(OSError):
                os.chown(self._root, -1, replaced.st_gid)
        Path(self._root).chmod(mode)

    def open(self, path: str, *, append: bool = False) -> IO[bytes]:
        """Open a file below the folder for writing; its parents are made."""
        return open(self.location(path), "ab" if append else "wb")

    def append(self, path: str, data: bytes) -> None:
        """Append to a file below the folder; its parents are made. For ten thousand small tables ``open`` is slow."""
        descriptor = os.open(self.location(path), _APPEND, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)

    def move(self, path: str, new: str) -> None:
        """Move a file or folder below the folder to another place below it, where nothing is; parents are made."""
        os.rename(f"{self._root}/{path}", self.location(new))

    def remove_scratch(self) -> None:
        """Remove what lies in SCRATCH: it is no part of what is published."""
        shutil.rmtree(f"{self._root}/{SCRATCH}", ignore_errors=True)

    def location(self, path: str) -> str:
        """Return where a file below the folder lies in the file system for now; its parents are made.

        ``path`` is relative, with slashes. What lies below SCRATCH is not published.
        """
        location = f"{self._root}/{path}"
        parent = location[: location.rindex("/")]
        if parent not in self._made:
            os.makedirs(parent, exist_ok=True)
            self._made.add(parent)
        return location


def _status(folder: Path) -> os.stat_result | None:
    try:
        return folder.stat()
    except FileNotFoundError:
        return None


def _holds_current_folder(folder: Path) -> bool:
    try:
        current = Path.cwd()
    except OSError:  # it is gone already
        return False
    folder = folder.resolve()
    return folder == current or folder in current.parents


def _foreign_file(folder: Path) -> str | None:
    """Return a file below ``folder`` that no conversion wrote there, or None where all of it is one's work."""
    package = folder / DATA_PACKAGE
    try:
        manifest = json.loads(package.read_bytes())
        known = {resource["path"] for resource in manifest["resources"]} | {DATA_PACKAGE}
        stored = set(manifest["tb2csv"]["folders"])
    except (OSError, ValueError, KeyError, TypeError):
        with contextlib.suppress(OSError):
            return next((path.name for path in sorted(folder.iterdir()) if path != package), DATA_PACKAGE)
        return DATA_PACKAGE
    for parent, _, names in os.walk(folder):
        relative = PurePosixPath(Path(parent).relative_to(folder).as_posix())
        is_stored = str(relative) in stored
        for name in sorted(names):
            if str(relative / name) not in known and not (is_stored and _STORED_NAME.fullmatch(name)):
                return str(relative / name)
    return None
