"""Sizes of what a ``.skops`` file has, found before skops loads any of it.

A value in the schema of such a file may be in a member of the archive: an array, or a sparse matrix that is an archive
itself. Several values may be in one member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tb2csv.model_state.descriptions import objects_in, parsed
from tb2csv.model_state.npy_headers import npy_header
from tb2csv.model_state.zip_archives import ZipArchive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tb2csv.size_limits import SizeLimits

_KIND: Final = "a .skops file"
_SCHEMA: Final = "schema.json"
#: The member of a value that has its number.
_NUMBER: Final = "__id__"
_END: Final = object()


def check_skops(path: Path, limits: SizeLimits) -> None:
    """Raise StateError if a file is damaged, or has data that are too large."""
    archive = ZipArchive(path, limits, kind=_KIND)
    schema: Any = parsed(archive.read_text(_SCHEMA), f"{path} cannot be read as {_KIND}", "save the estimator again")
    limits.check_values(path, _count_values(schema), archive.stored)
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


def _count_values(schema: Any) -> int:
    """Return the number of values in a schema, those of a value again wherever another one refers to it.

    A value that has the number of an earlier one is that one, so a few kilobytes can have any number of values,
    and skops looks at each of them.
    """
    counts: dict[Any, int] = {}
    stack: list[tuple[Iterator[Any], Any]] = [(iter([schema]), None)]
    totals = [0]
    while stack:
        children, identity = stack[-1]
        child = next(children, _END)
        if child is _END:
            stack.pop()
            total = totals.pop() + 1
            counts.setdefault(identity, total)
            if not stack:
                return total
            totals[-1] += total
        elif isinstance(child, dict):
            number = child.get(_NUMBER)
            known = counts.get(number) if isinstance(number, int) else None
            if known is None:
                stack.append((iter(child.values()), number if isinstance(number, int) else None))
                totals.append(0)
            else:
                totals[-1] += known
        elif isinstance(child, list):
            stack.append((iter(child), None))
            totals.append(0)
        else:
            totals[-1] += 1
    return 0


def _check_arrays(archive: ZipArchive) -> None:
    """Refuse arrays whose headers do not describe their bytes."""
    for member in archive.members:
        if member.filename.endswith(".npy"):
            with archive.open(member.filename) as file:
                npy_header(file, member.file_size, f"{member.filename} in {archive.path}")
