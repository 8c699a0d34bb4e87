"""Subsets of the columns of values: copies of rows, and the payloads of rows, read from the file again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tb2csv.event_files.values import COLUMN_NAMES, ValueColumns
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.sources.source import OpenFile

#: Payloads with at most this many bytes between them are read together, because a separate read costs more.
_MAX_GAP_BYTES: Final = 1 << 18


def column_of(blocks: list[ValueColumns], name: str) -> npt.NDArray[Any]:
    """Return a column, concatenated over the blocks."""
    return np.concatenate([getattr(ValueColumns(), name), *(getattr(columns, name) for columns in blocks)])


def compact_copy(columns: ValueColumns) -> ValueColumns:
    """Return a copy without spare capacity: the memory of a block is reused by the next one."""
    return copy_rows(columns, slice(0, columns.size), columns.size)


def copy_rows(columns: ValueColumns, rows: npt.NDArray[np.int64] | slice, size: int) -> ValueColumns:
    """Return a copy of the given rows; ``size`` is their number."""
    taken = ValueColumns()
    for name in COLUMN_NAMES:
        part = getattr(columns, name)[rows]
        # An array of rows copies them already.
        setattr(taken, name, part.copy() if isinstance(rows, slice) else part)
    taken.size = size
    if isinstance(rows, slice):
        taken.add_contents(columns.contents.tobytes())
    elif columns.has_contents:
        contents, indexes = _contents_of(columns, rows)
        contents["row"] = indexes
        taken.add_contents(contents.tobytes())
    return taken


def _contents_of(
    columns: ValueColumns, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """Return the plugin contents of some rows, and for each content the index of its row in ``rows``."""
    contents = columns.contents
    indexes = np.searchsorted(rows, contents["row"])
    is_found = np.append(rows, -1)[indexes] == contents["row"]
    return contents[is_found], indexes[is_found]


def _has_bytes(columns: ValueColumns) -> bool:
    """Return whether any row has a payload or content; most logs have scalars only, whose numbers are in a column."""
    return columns.has_contents or bool(columns.payload_length.any())


def byte_ranges(
    columns: ValueColumns, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the offsets at which each row's bytes, payload and content, begin and end; both are 0 without bytes."""
    has_payload = columns.payload_length[rows] > 0
    begins = np.where(has_payload, columns.payload_offset[rows], 0)
    ends = np.where(has_payload, begins + columns.payload_length[rows], 0)
    if columns.has_contents:
        contents, indexes = _contents_of(columns, rows)
        offsets = contents["offset"]
        begins[indexes] = np.where(has_payload[indexes], np.minimum(begins[indexes], offsets), offsets)
        ends[indexes] = np.maximum(ends[indexes], offsets + contents["length"])
    return begins, ends


def payloads(columns: ValueColumns, rows: npt.NDArray[np.int64], source: Callable[[], OpenFile]) -> tuple[bytes, int]:
    """Read the bytes of the file that contain the payloads of some rows, and return them and their offset.

    ``source`` opens the file; it is called only if there are payloads.

    Raises:
        OSError: the file cannot be read.
    """
    if not _has_bytes(columns):
        return b"", 0
    begins, ends = byte_ranges(columns, rows)
    if not ends.any():
        return b"", 0
    start, stop = int(begins[ends > 0].min()), int(ends.max())
    data = source().read_at(start, stop - start)
    if len(data) < stop - start:
        raise OSError(0, "it has become shorter")
    return data, start


def split_by_distance(
    columns: ValueColumns, rows: npt.NDArray[np.int64], chunk_size: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the rows in groups whose payloads are close together in the file and fit into one chunk."""
    if not _has_bytes(columns):
        if rows.size:
            yield rows
        return
    # The offset of a row without a payload is not valid: it takes that of the row before it.
    begins, ends = byte_ranges(columns, rows)
    has_bytes = ends > 0
    ends = np.maximum.accumulate(ends)
    begins = np.where(has_bytes, begins, ends)
    splits = np.flatnonzero(begins[1:] - ends[:-1] > _MAX_GAP_BYTES) + 1
    for near, position in zip(np.split(rows, splits), np.split(ends, splits), strict=True):
        if near.size:
            chunk = (position - position[0]) // chunk_size
            yield from np.split(near, np.flatnonzero(np.diff(chunk)) + 1)
