"""Sizes of what a ``.skops`` file has, found before skops loads any of it.

A value in the schema of such a file may be in a member of the archive: an array, or a sparse matrix that is an archive
itself. Several values may be in one member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.model_state.descriptions import objects_in, parsed
from tb2csv.model_state.npy_headers import npy_header
from tb2csv.model_state.zip_archives import ZipArchive

if TYPE_CHECKING:
    from pathlib import Path

    from tb2csv.model_state.size_limits import SizeLimits

_KIND: Final = "a .skops file"
_SCHEMA: Final = "schema.json"


def check_skops(path: Path, limits: SizeLimits) -> None:
    """Raise StateError if a file is damaged, or has data that are too large."""
    archive = ZipArchive(path, limits, kind=_KIND)
    schema = parsed(archive.read_text(_SCHEMA), f"{path} cannot be read as {_KIND}", "save the estimator again")
    sizes = {member.filename: member.file_size for member in archive.members}
    for name in sizes:
        if name.endswith(".npz"):
            with archive.open(name) as file:
                content = file.read()
            nested = ZipArchive(path, limits, kind=_KIND, nested=content)
            sizes[name] = nested.unpacked
            _check_arrays(nested)
    _check_arrays(archive)
    files = (each.get("file") for each in objects_in(schema))
    size = sum(sizes.get(name, 0) for name in files if isinstance(name, str))
    limits.check_data(path, size, archive.stored, "arrays")


def _check_arrays(archive: ZipArchive) -> None:
    """Refuse arrays whose headers do not describe their bytes."""
    for member in archive.members:
        if member.filename.endswith(".npy"):
            with archive.open(member.filename) as file:
                npy_header(file, member.file_size, f"{member.filename} in {archive.path}")
