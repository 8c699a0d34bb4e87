"""A folder as a ZIP archive that is sent while it is made: never the whole of it in memory, and its end not known.

Files are stored, not compressed: sending them is then as fast as reading them, and CSV that is to be small has a
format of its own. Numbers beyond four gigabytes are written as ZIP64 wherever there are any, and only there, for the
sake of old programs.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: So many bytes are read at once, and sent at once where files are smaller.
_PIECE: Final = 1 << 18

#: What ZIP's oldest clock shows first; names and contents of an archive are then all that tells it from another.
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)

_FILE_MODE: Final = 0o100644 << 16
_FOLDER_MODE: Final = 0o040755 << 16
_IS_FOLDER: Final = 0x10


class _Unsent(io.RawIOBase):
    """A file that only grows; what was written is taken away in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # of what zipfile writes
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return taken


def stream_zip(root: str, wait_for_folder: Callable[[], Path]) -> Iterator[bytes]:
    """Yield a ZIP archive of a folder's files, all below a folder ``root`` in it, in the order of their names.

    The first piece comes at once; ``wait_for_folder`` is called then, may take its time, and returns the folder.
    Raises OSError if a file cannot be read: what was sent then lacks its end, so that nobody takes it for whole.
    """
    unsent = _Unsent()
    with zipfile.ZipFile(unsent, "w") as archive:
        entry = zipfile.ZipInfo(f"{root}/", _LONG_AGO)
        entry.external_attr = _FOLDER_MODE | _IS_FOLDER
        archive.writestr(entry, b"")
        yield unsent.take()
        folder = wait_for_folder()
        for path in _files(folder):
            entry = zipfile.ZipInfo(f"{root}/{path.relative_to(folder).as_posix()}", _LONG_AGO)
            entry.external_attr = _FILE_MODE
            entry.file_size = path.stat().st_size  # by which zipfile decides on ZIP64
            with path.open("rb", buffering=0) as file, archive.open(entry, "w") as member:
                while data := file.read(_PIECE):
                    member.write(data)
                    if unsent.size >= _PIECE:
                        yield unsent.take()
            if unsent.size >= _PIECE:
                yield unsent.take()
    yield unsent.take()


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))
