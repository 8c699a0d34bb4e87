"""Hold rows until their tables can be written: until a joined table is complete, or because a format needs all rows.

Rows are held in memory up to a budget, and then in uncompressed Arrow files in the scratch folder. A table is read back
in batches, so memory does not grow with the table.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

from tb2csv.late_polars import pl
from tb2csv.sinks.output_folder import SCRATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from tb2csv.sinks.append_writer import TableRows
    from tb2csv.sinks.table_folder import TableFolder

#: The maximum number of bytes of rows in memory.
DEFAULT_BUDGET: Final = 128 << 20

#: The maximum rows of a batch, and their bytes; rows that were appended together are not split.
_BATCH_ROWS: Final = 1 << 18
_BATCH_BYTES: Final = 16 << 20

#: Rows of a file are read together with the rows between them, unless fewer than one in so many is needed.
_SPARSE: Final = 8


_Item = TypeVar("_Item")


class _Stretch(NamedTuple):
    """The rows ``start`` to ``stop`` of a frame, or of a file if the frame is None."""

    frame: pl.DataFrame | None
    file: str
    start: int
    stop: int
    #: The approximate size in memory.
    bytes: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


class Batch(NamedTuple):
    """Rows of consecutive tables, and the number of each row's table."""

    frame: pl.DataFrame
    table: npt.NDArray[np.int64]


class HeldPart(NamedTuple):
    """Some rows of one table, at most one batch."""

    stretches: list[_Stretch]

    def read(self) -> pl.DataFrame:
        """Return the rows."""
        return _read(self.stretches)


class RowBuffer:
    """Rows by the path of their table. Several threads may use it, but only one for each table."""

    def __init__(self, folder: TableFolder, budget: int = DEFAULT_BUDGET) -> None:
        """Hold up to ``budget`` bytes in memory, and others in the scratch folder of ``folder``."""
        self._folder = folder
        self._budget = budget
        self._used = 0
        #: The rows of each table, those in files first.
        self._tables: dict[str, list[_Stretch]] = {}
        self._lock = threading.Lock()
        self._files = itertools.count()

    def append(self, frame: pl.DataFrame, tables: Iterable[TableRows]) -> None:
        """Hold rows of a frame for their tables, which may be none."""
        size = frame.estimated_size() / max(len(frame), 1)
        with self._lock:
            for path, start, stop in tables:
                stretch = _Stretch(frame, "", start, stop, int(size * (stop - start)))
                self._tables.setdefault(path, []).append(stretch)
                self._used += stretch.bytes
            if self._used > self._budget:
                self._spill()

    def release(self, path: str) -> None:
        """Drop the rows of a table."""
        with self._lock:
            self._used -= sum(stretch.bytes for stretch in self._tables.pop(path, []) if stretch.frame is not None)

    def batches(self, paths: Iterable[str]) -> Iterator[Batch]:
        """Yield the rows of tables with the same columns, table by table, in the order in which they were appended.

        There is at least one batch if there is a table. The ends of batches depend on the number of rows only, unless
        rows are so large that their bytes decide.
        """
        with self._lock:
            owned = [(stretch, number) for number, path in enumerate(paths) for stretch in self._tables[path]]
        for batch in _cut(_split(owned), lambda each: each[0]):
            lengths = [stretch.rows for stretch, _ in batch]
            owners = np.repeat(np.array([number for _, number in batch]), lengths)
            yield Batch(_read([stretch for stretch, _ in batch]), owners)

    def parts(self, path: str) -> list[HeldPart]:
        """Return the rows of a table in parts that can be read one by one and repeatedly."""
        with self._lock:
            stretches = list(self._tables[path])
        return [HeldPart(part) for part in _cut(stretches, lambda stretch: stretch)]

    @contextlib.contextmanager
    def staged(self, pieces: Iterable[pl.DataFrame]) -> Iterator[pl.LazyFrame]:
        """Yield a table of several pieces as a whole: from memory if it is one piece, else from files."""
        pieces = iter(pieces)
        first = next(pieces)
        second = next(pieces, None)
        if second is None:
            yield first.lazy()
            return
        files = [self._store(piece) for piece in itertools.chain([first, second], pieces)]
        yield pl.scan_ipc(files, glob=False)
        for file in files:
            os.unlink(file)

    def _spill(self) -> None:
        """Move all rows from memory to files, grouped by columns, with the rows of a table together."""
        alike: dict[tuple[tuple[str, pl.DataType], ...], list[tuple[str, _Stretch]]] = {}
        for path, stretches in self._tables.items():
            for stretch in stretches:
                if stretch.frame is not None:
                    alike.setdefault(tuple(stretch.frame.schema.items()), []).append((path, stretch))
            self._tables[path] = [stretch for stretch in stretches if stretch.frame is None]
        for held in alike.values():
            for together in _cut(held, lambda each: each[1]):
                file = self._store(_read([stretch for _, stretch in together]))
                start = 0
                for path, of_table in itertools.groupby(together, key=lambda each: each[0]):
                    parts = [stretch for _, stretch in of_table]
                    stop = start + sum(part.rows for part in parts)
                    self._tables[path].append(_Stretch(None, file, start, stop, sum(part.bytes for part in parts)))
                    start = stop
        self._used = 0

    def _store(self, frame: pl.DataFrame) -> str:
        path = self._folder.location(f"{SCRATCH}/rows/{next(self._files)}.arrow")
        frame.write_ipc(path, compression="uncompressed")
        return path


def _split(owned: Iterable[tuple[_Stretch, int]]) -> Iterator[tuple[_Stretch, int]]:
    """Yield the stretches, split at the ends of batches."""
    room = _BATCH_ROWS
    for whole, number in owned:
        stretch = whole
        while stretch.rows > room:
            size = stretch.bytes * room // stretch.rows
            yield stretch._replace(stop=stretch.start + room, bytes=size), number
            stretch = stretch._replace(start=stretch.start + room, bytes=stretch.bytes - size)
            room = _BATCH_ROWS
        yield stretch, number
        room = room - stretch.rows or _BATCH_ROWS


def _cut(items: Iterable[_Item], stretch_of: Callable[[_Item], _Stretch]) -> Iterator[list[_Item]]:
    """Yield the items in lists that each fill a batch."""
    batch: list[_Item] = []
    rows = size = 0
    for item in items:
        stretch = stretch_of(item)
        if batch and (rows + stretch.rows > _BATCH_ROWS or size + stretch.bytes > _BATCH_BYTES):
            yield batch
            batch, rows, size = [], 0, 0
        batch.append(item)
        rows += stretch.rows
        size += stretch.bytes
    if batch:
        yield batch


def _read(stretches: list[_Stretch]) -> pl.DataFrame:
    """Return the rows of stretches, concatenated."""
    parts: list[pl.DataFrame] = []
    for file, group in itertools.groupby(stretches, key=lambda stretch: stretch.file):
        if file:
            parts += _read_file(file, list(group))
        else:
            parts += [each.frame.slice(each.start, each.rows) for each in group if each.frame is not None]
    return pl.concat(parts, rechunk=True) if len(parts) > 1 else parts[0]


def _read_file(file: str, stretches: list[_Stretch]) -> Iterator[pl.DataFrame]:
    """Yield the rows of stretches of a file."""
    start, stop = min(each.start for each in stretches), max(each.stop for each in stretches)
    if sum(each.rows for each in stretches) * _SPARSE > stop - start:
        span = pl.scan_ipc(file, glob=False).slice(start, stop - start).collect()
        parts = [span.slice(each.start - start, each.rows) for each in stretches]
        yield pl.concat(parts, rechunk=True) if len(parts) > 1 else parts[0]  # frees the rows between
    else:
        for each in stretches:
            yield pl.scan_ipc(file, glob=False).slice(each.start, each.rows).collect()
