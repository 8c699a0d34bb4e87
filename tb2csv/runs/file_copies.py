"""Copies of event files next to the originals, as browsers, editors and file managers name them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tb2csv.logdir import EventFile, Run

#: What programs add to the name of a file to name its copy, compressed or not.
_COPY_MARK: Final = re.compile(r" \(\d+\)| - Copy| copy(?: \d+)?|~$|\.(?:bak|backup|old|orig|copy)$|\.(?:gz|zst)$")

_BLOCK: Final = 1 << 20


def original_of(file: EventFile, run: Run) -> EventFile | None:
    """Return the file of the run that ``file`` is a copy of, by name and by content, or None.

    The original may have grown since it was copied. Then it begins with the bytes of the copy. Compressed files are
    compared unpacked.

    Raises:
        OSError: one of the two files cannot be read.
    """
    path = PurePosixPath(file.path)
    name = _COPY_MARK.sub("", path.name)
    if name == path.name:
        return None
    original = next((each for each in run.files if each.path == str(path.with_name(name))), None)
    return original if original and _begins_with(original, file) else None


def _begins_with(original: EventFile, file: EventFile) -> bool:
    """Return whether ``original`` begins with all bytes of ``file``; an empty file is not a copy."""
    with original.open() as whole, file.open() as part:
        return 0 < part.size <= whole.size and all(
            whole.read_at(offset, min(_BLOCK, part.size - offset)) == part.read_at(offset, _BLOCK)
            for offset in range(0, part.size, _BLOCK)
        )
