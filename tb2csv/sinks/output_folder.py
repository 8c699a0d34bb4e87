"""The output folder: written beside its place and renamed into it at the end, so that it is complete or absent."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from tb2csv.atomic_files import folder_beside, is_there, replace_folder
from tb2csv.errors import LateInterrupt, OutputError, check_flag
from tb2csv.local_paths import local_path
from tb2csv.messages import Option, advice
from tb2csv.sinks.ledger import Ledger, locked_against_updates
from tb2csv.sinks.new_folder import NewFolder
from tb2csv.sinks.private_folder import PRIVATE, strange_private_file
from tb2csv.sinks.synced_files import files_below, sync_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self


#: The file that marks a folder as the output of tb2csv.
DATA_PACKAGE: Final = "datapackage.json"

#: The number of the value in its series, the number of the file in the value, and an ending; or the name that
#: scalar_event_files.py gives.
_STORED_NAME: Final = re.compile(r"\d{6,}(_\d+)?\.[a-z0-9]+|events\.out\.tfevents\.\d{10,}\.tb2csv")


class OutputAppearedError(OutputError):
    """Another process has published the same folder, which can be continued."""


class OutputFolder(NewFolder):
    """A folder that is being filled; the end of the ``with`` block publishes it, unless the block raises."""

    def __init__(self, out: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Check that ``out`` can become the output folder.

        Raises:
            OutputError: ``out`` is a file, or is not empty and may not be replaced.
        """
        check_flag("overwrite", overwrite)
        super().__init__(Path(os.path.abspath(local_path(out))))
        self._overwrite = overwrite
        try:
            if self.out.is_symlink():
                self.out = Path(os.path.realpath(self.out))  # create or replace the target of the link
            self._check()
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            message = f"{out} cannot be used as the output folder ({error.strerror}); choose another one."
            raise OutputError(message) from error
        #: The inode of the folder that is about to be published.
        self._number = -1

    def _check(self) -> None:
        if self.out.is_symlink():
            message = f"{self.out} is a broken link; remove it, or choose another folder."
            raise OutputError(message)
        if not is_there(self.out):
            return
        if not self.out.is_dir():
            message = f"{self.out} is a file; choose a folder for the tables."
            raise OutputError(message)
        if self.out.is_mount():
            message = f"{self.out} is a mount point and cannot be replaced atomically; choose a folder below it."
            raise OutputError(message)
        if _holds_current_folder(self.out):
            message = f"{self.out} contains the current directory, which would be deleted; choose another folder."
            raise OutputError(message)
        if any(self.out.iterdir()):
            self._check_content()

    def _check_content(self) -> None:
        if not self._overwrite and (Ledger.exists(self.out) or (self.out / DATA_PACKAGE).is_file()):
            replace = advice("{} to replace it", Option("overwrite", value=True))
            raise OutputError(
                f"{self.out} has other output of tb2csv, which this command cannot bring up to date",
                advice("choose another folder"),
                replace,
            )
        if not self._overwrite:
            replace = advice("{} to replace an earlier conversion", Option("overwrite", value=True))
            raise OutputError(f"{self.out} is not empty", advice("choose another folder"), replace)
        foreign = _foreign_file(self.out)
        if foreign is not None:
            message = f"{self.out} is not replaced, because it contains {foreign}, which tb2csv did not write."
            raise OutputError(message)

    def __enter__(self) -> Self:
        """Create the folder to fill, beside the place of the output."""
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"A folder cannot be created in {self.out.parent} ({error.strerror}); choose another place."
            raise OutputError(message) from error
        with contextlib.ExitStack() as stack:
            if self._overwrite:
                stack.enter_context(locked_against_updates(self.out))
            self._work = stack.enter_context(folder_beside(self.out))
            self._create(f"{self._work}/new", self.out.parent)
            self._stack = stack.pop_all()
        with contextlib.suppress(OSError):
            replaced = _status(self.out)
            if replaced is not None and replaced.st_mode & stat.S_ISGID:  # new files belong to the same group
                self._permit(replaced, stat.S_IRWXU | stat.S_ISGID)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Publish the folder, or remove it if the block raised an exception.

        Raises:
            LateInterrupt: it was interrupted when the output was changed.
        """
        try:
            with self._stack:
                if kind is not None:
                    return
                try:
                    self._number = os.stat(self._root).st_ino
                    self.remove_scratch()
                    self._publish()
                except OutputError:
                    raise
                except OSError as failure:
                    message = f"The tables cannot be moved to {self.out} ({failure.strerror}); nothing was changed."
                    raise OutputError(message) from failure
        except KeyboardInterrupt as interrupt:
            if change := self._change():
                raise LateInterrupt(change) from interrupt
            raise

    def _change(self) -> str:
        """Return how the output was changed so far; empty if it was not."""
        status = _status(self.out)
        return f"{self.out} is complete" if status and status.st_ino == self._number else ""

    def _publish(self) -> None:
        sync_files(self._root, files_below(self._root))
        if not self._overwrite and Ledger.exists(self.out):
            message = f"Another process has written {self.out} since this one began; run the same command again."
            raise OutputAppearedError(message)
        self._check()
        replaced = _status(self.out)
        if replaced is None:
            Path(self._root).rename(self.out)
            return
        self._permit(replaced, stat.S_IMODE(replaced.st_mode))
        replace_folder(Path(self._root), self.out, self._work / "old")

    def _permit(self, replaced: os.stat_result, mode: int) -> None:
        """Give the new folder a mode and, if permitted, the group of the folder that it replaces."""
        if sys.platform != "win32" and Path(self._root).stat().st_gid != replaced.st_gid:
            with contextlib.suppress(OSError):
                os.chown(self._root, -1, replaced.st_gid)
        Path(self._root).chmod(mode)


def is_stored_name(name: str) -> bool:
    """Return whether a file in a folder of files next to a table has a name that tb2csv gives."""
    return _STORED_NAME.fullmatch(name) is not None


def _status(folder: Path) -> os.stat_result | None:
    try:
        return folder.stat()
    except FileNotFoundError:
        return None


def _holds_current_folder(folder: Path) -> bool:
    try:
        current = Path.cwd()
    except OSError:  # it was deleted
        return False
    folder = folder.resolve()
    return folder == current or folder in current.parents


def _foreign_file(folder: Path) -> str | None:
    """Return something below ``folder`` that a conversion did not write, or None if there is nothing.

    That is a file of another name, a link of any name, and a folder without files.
    """
    package = folder / DATA_PACKAGE
    try:
        is_written = written_files(package.read_bytes())
    except OSError:
        is_written = written_files(b"")
    if not is_written(DATA_PACKAGE):
        with contextlib.suppress(OSError):
            return next((path.name for path in sorted(folder.iterdir()) if path != package), DATA_PACKAGE)
        return DATA_PACKAGE
    for parent, folders, names in os.walk(folder):
        if PRIVATE in folders and Path(parent) == folder:
            folders.remove(PRIVATE)
            if strange := strange_private_file(folder):
                return strange
        relative = PurePosixPath(Path(parent).relative_to(folder).as_posix())
        if not folders and not names:
            return str(relative)  # a folder that is empty has no table of a conversion
        for name in sorted((*folders, *names)):
            mode = os.lstat(os.path.join(parent, name)).st_mode
            if not stat.S_ISDIR(mode) and not (stat.S_ISREG(mode) and is_written(str(relative / name))):
                return str(relative / name)
    return None


def written_files(package: bytes) -> Callable[[str], bool]:
    """Return whether a path is that of a file of a conversion, by its data package; without a sound one, none is."""
    try:
        manifest = json.loads(package)
        known = {resource["path"] for resource in manifest["resources"]} | {DATA_PACKAGE}
        stored = set(manifest["tb2csv"]["folders"])
    except (ValueError, KeyError, TypeError):
        known, stored = set(), set()

    def is_written(path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return path in known or (folder in stored and is_stored_name(name))

    return is_written
