"""Paths as users give them, of what is read and of what is written."""

from __future__ import annotations

import os
from pathlib import Path

from tb2csv.errors import OptionError, OutputError


def home_expanded(path: str | os.PathLike[str]) -> str:
    """Return a path with ``~`` or ``~user`` at its start replaced by a home folder, as shells do.

    Raises:
        OptionError: it is not a path, or has a null byte, which no path can have.
    """
    given: object = path
    name: object = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(name, str):
        message = f"{path!r} is not a path; give text or a Path."
        raise OptionError(message)
    if "\0" in name:
        message = f"The path {name!r} has a null byte; give another one."
        raise OptionError(message)
    return os.path.expanduser(name)


def local_path(out: str | os.PathLike[str]) -> Path:
    """Return the path of a file or folder to write.

    Raises:
        OutputError: ``out`` is empty, a URL, or ``-``, which means standard output to those who type it.
    """
    if isinstance(out, str) and out == "-":
        message = "This output cannot go to standard output; give a name, or ./- if that is its name."
        raise OutputError(message)
    name = home_expanded(out).removeprefix("file://")
    if not name:
        message = "The name of the output is empty; a variable may be unset."
        raise OutputError(message)
    if "://" in name:
        message = f"{name} is a URL; write to a local path and upload the result."
        raise OutputError(message)
    return Path(name)
