"""ZIP archives of folders, streamed while they are made, without keeping them in memory.

ZIP64 is used only for sizes beyond four gigabytes, so that old programs can read all other archives.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The number of bytes that are read at once; small files are sent together up to this size.
_PIECE_BYTES: Final = 1 << 18

#: The earliest date in a ZIP archive, so that archives with the same names and contents are equal.
_EARLIEST_DATE: Final = (1980, 1, 1, 0, 0, 0)

_FILE_MODE: Final = 0o100644 << 16
_FOLDER_MODE: Final = 0o040755 << 16
_IS_FOLDER: Final = 0x10


class _Unsent(io.RawIOBase):
    """A file that only grows; its bytes are taken away in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # the types that zipfile writes
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return taken


def stream_zip(root: str, wait_for_folder: Callable[[], Path], *, is_compressed: bool = False) -> Iterator[bytes]:
    """Yield a ZIP archive of a folder's files, all below a folder ``root`` in it, in the order of their names.

    The first piece comes at once. Then ``wait_for_folder`` is called, which may take time, and returns the folder.
    Without compression, sending is as fast as reading.

    Raises:
        OSError: a file cannot be read. The archive then lacks its end, so programs see that it is incomplete.
    """
    import zipfile  # every conversion imports this module, and few write an archive

    unsent = _Unsent()
    compression = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(unsent, "w", compression) as archive:
        entry = zipfile.ZipInfo(f"{root}/", _EARLIEST_DATE)
        entry.external_attr = _FOLDER_MODE | _IS_FOLDER
        archive.writestr(entry, b"")
        yield unsent.take()
        folder = wait_for_folder()
        for path in _files(folder):
            entry = zipfile.ZipInfo(f"{root}/{path.relative_to(folder).as_posix()}", _EARLIEST_DATE)
            entry.external_attr = _FILE_MODE
            entry.compress_type = compression
            entry.file_size = path.stat().st_size  # zipfile uses it to decide on ZIP64
            with path.open("rb", buffering=0) as file, archive.open(entry, "w") as member:
                while data := file.read(_PIECE_BYTES):
                    member.write(data)
                    if unsent.size >= _PIECE_BYTES:
                        yield unsent.take()
            if unsent.size >= _PIECE_BYTES:
                yield unsent.take()
    yield unsent.take()


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))
