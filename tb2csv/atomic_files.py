"""Write files and folders atomically: beside their place, and renamed into it at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OutputError
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Errors of writing; other errors come from reading.
_WRITING_FAILED: Final = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextlib.contextmanager
def whole_file(out: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield the path of an empty file to fill; it becomes ``out`` unless the block raises an exception.

    Raises:
        OutputError: ``out`` is a folder, exists and may not be replaced, or cannot be written.
    """
    place = local_path(out)
    if place.is_symlink():
        place = place.resolve()  # replace the target of the link, and not the link
    check_place(place, overwrite=overwrite)
    replaced_mode = _mode(place)
    filled = place.parent / f".{place.name[:100]}.{secrets.token_hex(8)}.tmp"
    try:
        # The kernel applies the umask. A file that replaces another one may have to stay private until the end.
        os.close(os.open(filled, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if replaced_mode is None else 0o600))
    except OSError as error:
        message = f"A file cannot be created in {place.parent} ({error.strerror}); choose another place."
        raise OutputError(message) from error
    try:
        try:
            yield filled
            check_place(place, overwrite=overwrite)  # another process may have written it since
            if replaced_mode is not None:
                filled.chmod(replaced_mode)
            filled.replace(place)
        except OSError as error:
            if error.errno not in _WRITING_FAILED:
                raise
            message = f"{place} could not be written ({error.strerror}); an earlier file there is unchanged."
            raise OutputError(message) from error
    finally:
        filled.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(out: Path, *, overwrite: bool, may_replace: Callable[[Path], bool], kind: str) -> Iterator[Path]:
    """Yield the path of a folder to create; it becomes ``out`` unless the block raises an exception.

    ``may_replace`` returns whether an existing folder is of the ``kind`` that may be replaced.

    Raises:
        OutputError: ``out`` exists, and ``overwrite`` is false or ``may_replace`` returns false.
    """
    if out.exists() and (not overwrite or not may_replace(out)):
        replace = advice("{} to replace " + kind, Option("overwrite", value=True))
        raise OutputError(f"{out} exists already", advice("choose another name"), replace)
    with folder_beside(out) as folder:
        yield folder / "new"
        if out.exists():
            replace_folder(folder / "new", out, folder / "old")
        else:
            (folder / "new").rename(out)


def replace_folder(new: Path, out: Path, old: Path) -> None:
    """Rename ``out`` to ``old`` and ``new`` to ``out``; if that fails or is interrupted, ``out`` is restored."""
    try:
        out.rename(old)
        new.rename(out)
    except BaseException:
        if not out.exists():
            old.rename(out)
        raise


@contextlib.contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """Yield a private folder in the parent of ``out``; it is removed at the end."""
    try:
        folder = tempfile.mkdtemp(prefix=f".{out.name[:100]}.", suffix=".tmp", dir=os.path.abspath(out.parent))
    except OSError as error:
        message = f"A folder cannot be created in {out.parent} ({error.strerror}); choose another place."
        raise OutputError(message) from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def home_expanded(path: str | os.PathLike[str]) -> str:
    """Return a path with ``~`` or ``~user`` at its start replaced by a home folder, as shells do."""
    return os.path.expanduser(os.fspath(path))


def local_path(out: str | os.PathLike[str]) -> Path:
    """Return the path of a file or folder to write.

    Raises:
        OutputError: ``out`` is empty or a URL.
    """
    name = home_expanded(out).removeprefix("file://")
    if not name:
        message = "The name of the output is empty; a variable may be unset."
        raise OutputError(message)
    if "://" in name:
        message = f"{name} is a URL; write to a local path and upload the result."
        raise OutputError(message)
    return Path(name)


def check_place(out: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise OutputError if a file must not be written at ``out``."""
    place = local_path(out)
    try:
        is_folder, exists = place.is_dir(), place.exists()
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}); choose another name."
        raise OutputError(message) from error
    if is_folder:
        message = f"{out} is a folder; choose the name of a file."
        raise OutputError(message)
    if exists and not overwrite:
        replace = advice("{} to replace it", Option("overwrite", value=True))
        raise OutputError(f"{out} exists already", advice("choose another name"), replace)


def _mode(place: Path) -> int | None:
    """Return the permissions of an existing file, or None."""
    try:
        return place.stat().st_mode & 0o777
    except FileNotFoundError:
        return None
