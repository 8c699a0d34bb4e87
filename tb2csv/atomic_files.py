"""Files and folders that appear whole: written beside their place and renamed into it at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OutputError
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What tells that it is the writing that failed, and not something that was read for it.
_WRITING_FAILED: Final = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextlib.contextmanager
def whole_file(out: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give the path of an empty file to fill; it becomes ``out`` at the end, unless an exception ends the block.

    Raises OutputError where ``out`` is a folder, is there already and may not be replaced, or cannot be written.
    """
    place = local_path(out)
    if place.is_symlink():
        place = place.resolve()  # what the link leads to is replaced, and not the link
    check_place(place, overwrite=overwrite)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name[:100]}.", suffix=".tmp", dir=place.parent)
    except OSError as error:
        message = f"No file can be made in {place.parent} ({error.strerror}); give another place."
        raise OutputError(message) from error
    os.close(descriptor)
    filled = Path(name)
    try:
        try:
            yield filled
            check_place(place, overwrite=overwrite)  # somebody may have put something there since
            filled.chmod(_mode(place))
            filled.replace(place)
        except OSError as error:
            if error.errno not in _WRITING_FAILED:
                raise
            message = f"{place} cannot be written ({error.strerror}); what was there before is unchanged."
            raise OutputError(message) from error
    finally:
        filled.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(out: Path, *, overwrite: bool, may_replace: Callable[[Path], bool], kind: str) -> Iterator[Path]:
    """Give the path of a folder to make; it becomes ``out`` at the end, unless an exception ends the block.

    Raises OutputError if ``out`` is there and is not to be overwritten, or is not a folder that ``may_replace``
    accepts, which is of this ``kind``.
    """
    if out.exists() and (not overwrite or not may_replace(out)):
        replace = advice("{} to replace " + kind, Option("overwrite", value=True))
        raise OutputError(f"{out} exists already", advice("give another name"), replace)
    with folder_beside(out) as folder:
        yield folder / "new"
        if out.exists():
            out.rename(folder / "old")
        try:
            (folder / "new").rename(out)
        except BaseException:
            if (folder / "old").exists():
                (folder / "old").rename(out)
            raise


@contextlib.contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """Give a folder in the parent of ``out``, which is removed at the end."""
    try:
        folder = tempfile.mkdtemp(prefix=f".{out.name[:100]}.", suffix=".tmp", dir=os.path.abspath(out.parent))
    except OSError as error:
        message = f"No folder can be made in {out.parent} ({error.strerror}); give another place."
        raise OutputError(message) from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def local_path(out: str | os.PathLike[str]) -> Path:
    """Return the path of a file or folder to write; raises OutputError where that is none in the file system."""
    name = os.fspath(out).removeprefix("file://")
    if not name:
        message = "The name of the output is empty, as of a variable that is not set; give one."
        raise OutputError(message)
    if "://" in name:
        message = f"{name} is a URL, and output goes to the local file system; give a path there, and upload it then."
        raise OutputError(message)
    return Path(name)


def check_place(out: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise OutputError where no file may be put at ``out``."""
    place = local_path(out)
    try:
        is_folder, exists = place.is_dir(), place.exists()
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}); give another name."
        raise OutputError(message) from error
    if is_folder:
        message = f"{out} is a folder; give the name of a file."
        raise OutputError(message)
    if exists and not overwrite:
        replace = advice("{} to replace it", Option("overwrite", value=True))
        raise OutputError(f"{out} exists already", advice("give another name"), replace)


def _mode(place: Path) -> int:
    """Return the permissions of the file that is replaced, or those that a new file gets."""
    with contextlib.suppress(FileNotFoundError):
        return place.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
