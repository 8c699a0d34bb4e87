"""Write files and folders atomically: in a private folder beside their place, and renamed into it at the end.

A process that is killed leaves its private folder. The next process that writes to the same place removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OutputError, check_flag
from tb2csv.local_paths import local_path
from tb2csv.messages import Option, advice

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Errors of writing; other errors come from reading.
_WRITING_FAILED: Final = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


def is_there(place: Path) -> bool:
    """Return whether something is at a path.

    Raises:
        OSError: the system refuses the path, such as a name that is too long; ``Path.exists`` of Python 3.14 hides it.
    """
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null byte
        return False
    return True


@contextlib.contextmanager
def whole_file(out: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield the path of an empty file to fill; it becomes ``out`` unless the block raises an exception.

    Raises:
        OutputError: ``out`` is a folder, exists and may not be replaced, or cannot be written.
    """
    place = local_path(out)
    check_place(place, overwrite=overwrite)
    if place.is_symlink():
        place = place.resolve()  # replace the target of the link, and not the link
    replaced_mode = _mode(place)
    target = os.path.abspath(place)  # the current folder may change
    with folder_beside(place, what="file") as folder:
        filled = folder / "new"
        filled.touch(exist_ok=False)  # with the permissions of the umask
        try:
            yield filled
            check_place(place, overwrite=overwrite)  # another process may have written it since
            if replaced_mode is not None:
                filled.chmod(replaced_mode)
            _sync(filled)
            filled.replace(target)
        except OSError as error:
            if error.errno not in _WRITING_FAILED:
                raise
            message = f"{place} could not be written ({error.strerror}); an earlier file there is unchanged."
            raise OutputError(message) from error


def _sync(file: Path) -> None:
    """Force a file to the disk, so that it is complete when it appears, even after a power failure."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


@contextlib.contextmanager
def whole_folder(out: Path, *, overwrite: bool, may_replace: Callable[[Path], bool], kind: str) -> Iterator[Path]:
    """Yield the path of a folder to create; it becomes ``out`` unless the block raises an exception.

    ``may_replace`` returns whether an existing folder is of the ``kind`` that may be replaced.

    Raises:
        OutputError: ``out`` exists, and ``overwrite`` is false or ``may_replace`` returns false.
    """
    check_flag("overwrite", overwrite)
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
    """Move ``new`` to ``out``; the folder that was there is then at ``new`` or ``old``.

    That is one step if the system can exchange two names. Otherwise, ``out`` is restored if it fails or is interrupted.
    """
    if _exchange(new, out):
        return
    try:
        out.rename(old)
        new.rename(out)
    except BaseException:
        if not out.exists():
            old.rename(out)
        raise


#: Arguments of renameat2 of Linux.
_CURRENT_FOLDER: Final = -100
_RENAME_EXCHANGE: Final = 2


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step, and return whether the system can do that."""
    if sys.platform != "linux":
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # an old C library
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(renameat2(_CURRENT_FOLDER, names[0], _CURRENT_FOLDER, names[1], _RENAME_EXCHANGE) == 0)


@contextlib.contextmanager
def folder_beside(out: Path, *, what: str = "folder") -> Iterator[Path]:
    """Yield a private folder in the parent of ``out``; it is removed at the end. The output is a ``what``.

    Raises:
        OutputError: it cannot be created.
    """
    with contextlib.ExitStack() as stack:
        private = private_folder(
            os.path.abspath(out.parent), f".{out.name[:_NAME_LENGTH]}.", before_removal=lambda dead: _restore(out, dead)
        )
        try:
            folder = stack.enter_context(private)
        except OSError as error:
            message = f"A {what} cannot be created in {out.parent} ({error.strerror}); choose another place."
            raise OutputError(message) from error
        yield folder


@contextlib.contextmanager
def private_folder(
    parent: str, prefix: str, *, before_removal: Callable[[str], None] = lambda _: None
) -> Iterator[Path]:
    """Yield a new folder that only this user can enter; it is removed at the end.

    Folders with the same prefix that processes left when they were killed are removed at the start, each after a call
    of ``before_removal``.

    Raises:
        OSError: the folder cannot be created.
    """
    with _locked(parent):
        dead = _lock_dead(parent, prefix)
        folder = tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=parent)
        descriptor = _lock(folder)
    try:
        _remove_locked(dead, before_removal)
        yield Path(folder)
    finally:
        _remove(folder)
        if descriptor is not None:
            os.close(descriptor)


def _remove(folder: str) -> None:
    """Remove a folder with all files, also if the user interrupts that: it takes a while for thousands of files."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_dead_folders(parent: str, prefix: str) -> None:
    """Remove what ``private_folder`` would remove, and create nothing."""
    with _locked(parent):
        dead = _lock_dead(parent, prefix)
    _remove_locked(dead, lambda _: None)


def _remove_locked(folders: dict[str, int], before_removal: Callable[[str], None]) -> None:
    """Remove folders that this process has locked, and close their descriptors."""
    for path, descriptor in folders.items():
        before_removal(path)
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


#: How much of a name the name of a folder beside it has.
_NAME_LENGTH: Final = 100
_SUFFIX: Final = ".tmp"
#: Between the prefix and the suffix: what ``tempfile`` chooses.
_RANDOM: Final = re.compile(r"[a-z0-9_]{8}")

#: How often to try to lock a folder that another process has locked, and how long to wait between, in seconds.
_TRIES: Final = 40
_PAUSE: Final = 0.05


def _lock(folder: str) -> int | None:
    """Lock a folder as long as this process lives, and return its descriptor.

    Returns None if another process has locked it, or if the system or the file system cannot lock folders.
    """
    if sys.platform == "win32":  # a folder cannot be opened there
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Lock a folder for a moment. If another program keeps it locked, continue without a lock."""
    descriptor = None
    for _ in range(_TRIES if sys.platform != "win32" else 0):
        descriptor = _lock(folder)
        if descriptor is not None or not os.path.isdir(folder):
            break
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock_dead(parent: str, prefix: str) -> dict[str, int]:
    """Lock the folders that dead processes have left, and return their paths and descriptors.

    The caller has locked ``parent``, in which processes lock their new folders, so a folder without a lock is of a
    process that is dead.
    """
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            # The prefix of another folder may begin with this one.
            is_own = name.startswith(prefix) and name.endswith(_SUFFIX)
            if is_own and _RANDOM.fullmatch(name[len(prefix) : -len(_SUFFIX)]):
                descriptor = _lock(f"{parent}/{name}")
                if descriptor is not None:
                    found[f"{parent}/{name}"] = descriptor
    return found


def _restore(out: Path, dead: str) -> None:
    """Restore an output whose process died between the two renames of its replacement."""
    with contextlib.suppress(OSError):
        if len(out.name) <= _NAME_LENGTH and os.path.isdir(f"{dead}/old") and not out.exists():
            os.rename(f"{dead}/old", out)


def check_place(out: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise OutputError if a file must not be written at ``out``."""
    check_flag("overwrite", overwrite)
    place = local_path(out)
    try:
        exists = is_there(place)
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}); choose another name."
        raise OutputError(message) from error
    if exists and place.is_dir():
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
