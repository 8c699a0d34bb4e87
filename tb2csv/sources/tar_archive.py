"""Compressed TAR archives, unpacked once to a temporary file.

fsspec reads the members of a compressed archive through a stream, which unpacks all again whenever it goes back. Runs
are read at once, so that would happen with nearly every read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import weakref
from typing import TYPE_CHECKING, Any

from tb2csv.sources.compression import SHOWN_BY, PackedDataError, unpacked_parts, unpacking_of

if TYPE_CHECKING:
    from tb2csv.size_limits import SizeLimits


def unpacked_tar(url: str, options: dict[str, Any], limits: SizeLimits) -> tuple[Any, int] | None:
    """Return the file system of a TAR archive that is compressed as a whole, and its size; None if it is not.

    Args:
        url: the URL of the archive itself.
        options: options of fsspec, by protocol.
        limits: how much it may unpack to.

    Raises:
        OSError: it cannot be unpacked.
        ExpansionError: it unpacks to more than the limit.
        MissingExtraError: a package is missing.
    """
    import fsspec
    from fsspec.implementations.tar import TarFileSystem

    with contextlib.ExitStack() as closed_on_error, fsspec.open(url, "rb", **options) as packed:
        unpack = unpacking_of(packed.read(SHOWN_BY))
        if unpack is None:
            return None
        size = packed.seek(0, os.SEEK_END)
        packed.seek(0)
        # It has no name, and is gone with the file system or the process.
        spool: Any = closed_on_error.enter_context(tempfile.TemporaryFile())
        try:
            for part in unpacked_parts(unpack, packed, size, limits):
                spool.write(part)
        except PackedDataError as error:
            raise OSError(errno.EIO, str(error)) from error
        opened = closed_on_error.pop_all()
    spool.seek(0)
    spool.original = "archive.tar"  # so that fsspec does not look for a compression
    filesystem = TarFileSystem(fo=spool, skip_instance_cache=True)
    weakref.finalize(filesystem, opened.close)
    return filesystem, size
