"""Columns of values in memory, and the payloads of some of their rows, which are read from the file again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.event_files.values import COLUMN_NAMES, ValueColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.sources.source import OpenFile

#: Payloads with at most this many bytes between them are read together, because a seek costs more.
_GAP: Final = 1 << 18


def column_of(blocks: list[ValueColumns], name: str) -> npt.NDArray[Any]:
    """Return a column of all blocks together."""
    return np.concatenate([getattr(ValueColumns(), name), *(getattr(columns, name) for columns in blocks)])


def copied(columns: ValueColumns) -> ValueColumns:
    """Return a copy without the spare capacity; the memory of a block is reused."""
    return taken_rows(columns, slice(0, columns.size), columns.size)


def taken_rows(columns: ValueColumns, rows: npt.NDArray[np.int64] | slice, size: int) -> ValueColumns:
    """Return a copy of some rows; ``size`` is their number."""
    taken = ValueColumns()
    for name in COLUMN_NAMES:
        setattr(taken, name, getattr(columns, name)[rows].copy())
    taken.size = size
    if isinstance(rows, slice):
        taken.add_contents(columns.contents.tobytes())
    elif columns.has_contents:
        contents, places = _contents_of(columns, rows)
        contents["row"] = places
        taken.add_contents(contents.tobytes())
    return taken


def _contents_of(
    columns: ValueColumns, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """Return the plugin contents of some rows, and the index in ``rows`` of each one's row."""
    contents = columns.contents
    places = np.searchsorted(rows, contents["row"])
    is_found = np.append(rows, -1)[places] == contents["row"]
    return contents[is_found], places[is_found]


def extents(columns: ValueColumns, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the offsets in the file where the bytes of each row begin and end, with its content; 0 for no bytes."""
    has_payload = columns.payload_length[rows] > 0
    begins = np.where(has_payload, columns.payload_offset[rows], 0)
    ends = np.where(has_payload, begins + columns.payload_length[rows], 0)
    if columns.has_contents:
        contents, places = _contents_of(columns, rows)
        offsets = contents["offset"]
        begins[places] = np.where(has_payload[places], np.minimum(begins[places], offsets), offsets)
        ends[places] = np.maximum(ends[places], offsets + contents["length"])
    return begins, ends


def payloads(columns: ValueColumns, rows: npt.NDArray[np.int64], source: Callable[[], OpenFile]) -> tuple[bytes, int]:
    """Return a stretch of bytes with the payloads of some values, and its offset in the file.

    ``source`` opens the file; it is called only if there are payloads.

    Raises:
        OSError: the file cannot be read.
    """
    begins, ends = extents(columns, rows)
    if not ends.any():
        return b"", 0
    start, stop = int(begins[ends > 0].min()), int(ends.max())
    data = source().read_at(start, stop - start)
    if len(data) < stop - start:
        raise OSError(0, "it has become shorter")
    return data, start


def stretches(columns: ValueColumns, rows: npt.NDArray[np.int64], chunk_size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Split rows if their payloads are far apart in the file, or would be larger than a chunk together."""
    # The offset of a row without a payload is not valid: it takes that of the row before it.
    begins, ends = extents(columns, rows)
    has_bytes = ends > 0
    ends = np.maximum.accumulate(ends)
    begins = np.where(has_bytes, begins, ends)
    borders = np.flatnonzero(begins[1:] - ends[:-1] > _GAP) + 1
    for near, position in zip(np.split(rows, borders), np.split(ends, borders), strict=True):
        if near.size:
            chunk = (position - position[0]) // chunk_size
            yield from np.split(near, np.flatnonzero(np.diff(chunk)) + 1)
