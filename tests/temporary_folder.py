"""Temporary folder of the tests: in memory, where thousands of conversions write their small files fast."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

#: Linux keeps the files of this folder in memory.
_IN_MEMORY = Path("/dev", "shm")

#: All tests at once need a tenth of it. A container may have a folder of 64 MiB only.
_ENOUGH = 4 << 30


def folder_in_memory() -> Path | None:
    """Return a folder in memory, or None if there is none that has space and admits programs."""
    try:
        mount = os.statvfs(_IN_MEMORY)
    except (AttributeError, OSError):  # only Linux has it
        return None
    is_usable = os.access(_IN_MEMORY, os.W_OK) and not mount.f_flag & os.ST_NOEXEC
    return _IN_MEMORY if is_usable and shutil.disk_usage(_IN_MEMORY).free >= _ENOUGH else None


def use_memory() -> None:
    """Put temporary files of this process and its children in memory, unless TMPDIR names another folder."""
    folder = folder_in_memory()
    if folder is not None and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = None  # tempfile decides again at its next use
