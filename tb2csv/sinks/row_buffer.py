"""Hold rows until their tables can be written: until a joined table is complete, or because a format needs all rows.

Rows are held in memory up to a budget, and then in uncompressed Arrow files in the scratch folder. A table is read back
in batches, so memory does not grow with the table. Rows of joined tables are kept in such files for the next update.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tb2csv.late_modules import np, pl
from tb2csv.sinks.new_folder import HELD_ROWS
from tb2csv.sinks.row_files import collected, damaged_rows, file_checksum, kept_file

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    import numpy.typing as npt

    from tb2csv.sinks.append_writer import TableRows
    from tb2csv.sinks.table_folder import TableFolder

#: The maximum number of bytes of rows in memory.
DEFAULT_BUDGET: Final = 128 << 20

#: The maximum rows of a batch, and their bytes; a single row may have more.
_BATCH_ROWS: Final = 1 << 18
_BATCH_BYTES: Final = 16 << 20

#: Rows of a file are read together with the rows between them, unless fewer than 1 in _SPARSE rows is needed.
_SPARSE: Final = 8

#: If there are more small files of kept rows than this, they become one. A file with fewer bytes of rows is small.
_SMALL_FILES: Final = 64
_SMALL_BYTES: Final = _BATCH_BYTES // 2

_Item = TypeVar("_Item")


class _Stretch(NamedTuple):
    """The rows ``start`` to ``stop`` of a frame, or of a file if the frame is None."""

    frame: pl.DataFrame | pl.LazyFrame | None
    file: str
    start: int
    stop: int
    #: The approximate size in memory.
    bytes: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


class HeldRows(NamedTuple):
    """Rows in Arrow files: for each table, the file, the first row, the row after the last, and the size in memory."""

    rows: dict[str, list[tuple[str, int, int, int]]]
    #: The tables whose rows are kept for the next update.
    kept: set[str]


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
        #: The tables whose rows are kept, and how many of them are from earlier conversions.
        self._kept: set[str] = set()
        self._earlier: dict[str, int] = {}
        #: The numbers and the checksums of files with kept rows, by their present locations.
        self._numbers: dict[str, int] = {}
        self._checksums: dict[str, int] = {}
        #: The files of earlier conversions that were not read yet, so that their bytes may have changed.
        self._unchecked: set[str] = set()
        self._lock = threading.Lock()
        self._files = itertools.count()

    def append(self, frame: pl.DataFrame, tables: Iterable[TableRows], *, is_kept: bool = False) -> None:
        """Hold rows of a frame for their tables, which may be none; ``is_kept`` keeps them for the next update."""
        size = frame.estimated_size() / max(len(frame), 1)
        with self._lock:
            for path, start, stop, _ in tables:
                stretch = _Stretch(frame, "", start, stop, int(size * (stop - start)))
                self._tables.setdefault(path, []).append(stretch)
                self._used += stretch.bytes
                if is_kept:
                    self._kept.add(path)
            if self._used > self._budget:
                self._spill()

    def put_first(self, path: str, rows: pl.DataFrame | pl.LazyFrame, count: int) -> None:
        """Hold the ``count`` rows of a table before those that were appended."""
        with self._lock:
            self._tables[path].insert(0, _Stretch(rows, "", 0, count, 0))

    def restore(self, files: Mapping[str, tuple[int, list[list[Any]]]], paths: Container[str]) -> None:
        """Hold the rows that ``keep`` kept, as far as they belong to tables at ``paths``.

        A file is compared with its checksum before it is read, because an update may leave most files unread.
        """
        earlier = self._folder.earlier
        assert earlier
        # Later rows are in later files.
        for number, (checksum, owned) in sorted(files.items(), key=lambda item: int(item[0])):
            location = earlier.published(kept_file(int(number)))
            self._numbers[location] = int(number)
            self._checksums[location] = checksum
            self._unchecked.add(location)
            for path, *numbers in owned:
                if path in paths:
                    self._kept.add(path)
                    stretch = _Stretch(None, location, *numbers)
                    self._tables.setdefault(path, []).append(stretch)
                    self._earlier[path] = self._earlier.get(path, 0) + stretch.rows
        self._files = itertools.count(1 + max(self._numbers.values(), default=-1))

    def keep(self) -> dict[str, tuple[int, list[list[Any]]]]:
        """Write kept rows that are still in memory to files; return what ``restore`` needs, by the file's number.

        For each file, it is the checksum, and a list for each stretch of rows: table, start, stop, and bytes.
        """
        with self._lock:
            sizes: dict[str, int] = dict.fromkeys(self._numbers, 0)
            for path in self._kept:
                for stretch in self._tables[path]:
                    if stretch.file:
                        sizes[stretch.file] += stretch.bytes
            newest_first = sorted(sizes, key=self._numbers.__getitem__, reverse=True)
            small = set(itertools.takewhile(lambda file: sizes[file] < _SMALL_BYTES, newest_first))
            self._spill(small if len(small) > _SMALL_FILES else ())
            files: dict[str, tuple[int, list[list[Any]]]] = {}
            for path in sorted(self._kept):
                for stretch in self._tables[path]:
                    number = str(self._numbers[stretch.file])
                    if number not in files:
                        if stretch.file not in self._checksums:
                            self._checksums[stretch.file] = file_checksum(stretch.file)
                        files[number] = self._checksums[stretch.file], []
                    files[number][1].append([path, stretch.start, stretch.stop, stretch.bytes])
        return files

    def has(self, path: str) -> bool:
        """Return whether rows of a table are held, which may be none."""
        return path in self._tables

    def earlier_rows(self, path: str) -> int:
        """Return the number of rows of a table that ``restore`` restored."""
        return self._earlier.get(path, 0)

    def is_restored(self, path: str) -> bool:
        """Return whether ``restore`` restored a table, which may have no rows."""
        return path in self._earlier

    def spill(self) -> HeldRows:
        """Move all rows to files, and return what another buffer needs to take them over."""
        with self._lock:
            self._spill()
            rows = {path: [each[1:] for each in stretches] for path, stretches in self._tables.items()}
            return HeldRows(rows, self._kept)

    def adopt(self, held: HeldRows) -> None:
        """Take over the rows that another buffer has spilled, whose files exist."""
        with self._lock:
            moved: dict[str, str] = {}
            for path, stretches in held.rows.items():
                if path in held.kept:
                    self._kept.add(path)
                    for file in {file for file, *_ in stretches} - moved.keys():
                        number = next(self._files)
                        moved[file] = self._folder.location(kept_file(number))
                        self._numbers[moved[file]] = number
                        os.rename(file, moved[file])
                own = self._tables.setdefault(path, [])
                own += [_Stretch(None, moved.get(file, file), *numbers) for file, *numbers in stretches]

    def release(self, path: str) -> None:
        """Drop the rows of a table, unless they are kept for the next update."""
        with self._lock:
            if path not in self._kept:
                self._used -= sum(stretch.bytes for stretch in self._tables.pop(path, []) if not stretch.file)

    def batches(self, paths: Iterable[str], *, is_new: bool = False) -> Iterator[Batch]:
        """Yield the rows of tables with the same columns, table by table, in the order in which they were appended.

        There is at least one batch if there is a table. The ends of batches depend only on the rows themselves.
        ``is_new`` leaves out the rows that ``restore`` restored.
        """
        with self._lock:
            owned = [
                (stretch, number)
                for number, path in enumerate(paths)
                for stretch in _after(self._tables[path], self.earlier_rows(path) if is_new else 0)
            ]
            self._check(stretch.file for stretch, _ in owned)
        yield from _recut(_read_owned(owned))

    def parts(self, path: str, *, is_new: bool = False) -> list[HeldPart]:
        """Return the rows of a table in parts that can be read one by one and repeatedly.

        ``is_new`` leaves out the rows that ``restore`` restored.
        """
        with self._lock:
            stretches = list(_after(self._tables[path], self.earlier_rows(path) if is_new else 0))
            self._check(stretch.file for stretch in stretches)
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

    def _spill(self, files: Container[str] = ()) -> None:
        """Move all rows from memory, and from some files, to new files; rows with the same columns go together.

        Each file has either rows that are kept or others, and the rows of a table are side by side.
        """
        alike: dict[tuple[bool, tuple[tuple[str, pl.DataType], ...]], list[tuple[str, _Stretch]]] = {}
        for path, stretches in self._tables.items():
            is_moved = [isinstance(each.frame, pl.DataFrame) or each.file in files for each in stretches]
            moved = list(itertools.compress(stretches, is_moved))
            if not moved:
                continue
            self._tables[path] = [each for each, moves in zip(stretches, is_moved, strict=True) if not moves]
            self._check(each.file for each in moved)
            frame = moved[0].frame
            schema = frame.schema if isinstance(frame, pl.DataFrame) else pl.read_ipc_schema(moved[0].file)
            alike.setdefault((path in self._kept, tuple(schema.items())), []).extend((path, each) for each in moved)
        for (is_kept, _), held in alike.items():
            for together in _cut(held, lambda each: each[1]):
                file = self._store(_read([stretch for _, stretch in together]), is_kept=is_kept)
                start = 0
                for path, of_table in itertools.groupby(together, key=lambda each: each[0]):
                    parts = [stretch for _, stretch in of_table]
                    stop = start + sum(part.rows for part in parts)
                    self._tables[path].append(_Stretch(None, file, start, stop, sum(part.bytes for part in parts)))
                    start = stop
        self._used = 0

    def _check(self, files: Iterable[str]) -> None:
        """Raise OutputError if the bytes of a file that is about to be read are not those that were kept."""
        for file in self._unchecked.intersection(files):
            if file_checksum(file) != self._checksums[file]:
                raise damaged_rows(f"{os.path.basename(file)} does not have its checksum")
            self._unchecked.remove(file)

    def _store(self, frame: pl.DataFrame, *, is_kept: bool = False) -> str:
        number = next(self._files)
        path = self._folder.location(kept_file(number) if is_kept else f"{HELD_ROWS}/{number}.arrow")
        frame.write_ipc(path, compression="uncompressed")
        if is_kept:
            self._numbers[path] = number
        return path


def _after(stretches: list[_Stretch], rows: int) -> Iterator[_Stretch]:
    """Yield the stretches without their first rows; at least one if there are any."""
    for number, stretch in enumerate(stretches, 1):
        left_out = min(rows, stretch.rows)
        rows -= left_out
        if left_out < stretch.rows or number == len(stretches):
            yield stretch._replace(start=stretch.start + left_out)


def _read_owned(owned: Iterable[tuple[_Stretch, int]]) -> Iterator[Batch]:
    """Yield the rows of stretches, each with the number of its table; none has many more rows than a batch."""
    for together in _cut(_split(owned), lambda each: each[0]):
        owners = np.repeat([number for _, number in together], [stretch.rows for stretch, _ in together])
        yield Batch(_read([stretch for stretch, _ in together]), owners)


def _split(owned: Iterable[tuple[_Stretch, int]]) -> Iterator[tuple[_Stretch, int]]:
    """Yield the stretches, split if they have more rows than a batch."""
    for stretch, number in owned:
        for start in range(stretch.start, max(stretch.stop, stretch.start + 1), _BATCH_ROWS):
            stop = min(stretch.stop, start + _BATCH_ROWS)
            size = stretch.bytes * (stop - start) // max(stretch.rows, 1)
            yield stretch._replace(start=start, stop=stop, bytes=size), number


def _recut(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the same rows in batches that are as large as they may be, whatever their rows were appended with."""
    parts: list[Batch] = []
    rows, size = _BATCH_ROWS, _BATCH_BYTES
    for batch in batches:
        start, ends = 0, np.cumsum(_row_bytes(batch.frame))
        while start < len(ends):
            before = ends[start - 1] if start else 0
            stop = min(start + rows, int(np.searchsorted(ends, before + size, "right")))
            stop = max(stop, start + 1 if (rows, size) == (_BATCH_ROWS, _BATCH_BYTES) else start)
            if stop > start:
                parts.append(Batch(batch.frame.slice(start, stop - start), batch.table[start:stop]))
                rows, size = rows - (stop - start), size - int(ends[stop - 1] - before)
            if stop < len(ends):
                yield _together(parts)
                parts, rows, size = [], _BATCH_ROWS, _BATCH_BYTES
            start = stop
        if not parts:  # there may be tables, but no rows
            parts.append(Batch(batch.frame, batch.table))
    if parts:
        yield _together(parts)


def _together(parts: list[Batch]) -> Batch:
    frames, tables = zip(*parts, strict=True)
    frame = pl.concat(frames, rechunk=True) if len(frames) > 1 else frames[0]
    # polars leaves any bits after the last one of the column's missing cells, and Arrow files would have them.
    with_missing = [number for number, column in enumerate(frame.get_columns()) if column.null_count()]
    frame = frame.with_columns(pl.when(pl.nth(i).is_not_null()).then(pl.nth(i)) for i in with_missing)
    return Batch(frame, np.concatenate(tables))


def _row_bytes(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Return the approximate size of each row: that of its texts, and 8 for every other cell."""
    sizes = np.full(len(frame), 8 * frame.width, np.int64)
    for column in frame.get_columns():
        if column.dtype == pl.String:
            sizes += column.str.len_bytes().fill_null(0).to_numpy()
    return sizes


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
            for each in group:
                assert each.frame is not None
                rows = each.frame.slice(each.start, each.rows)
                parts.append(collected(rows) if isinstance(rows, pl.LazyFrame) else rows)
    return pl.concat(parts, rechunk=True) if len(parts) > 1 else parts[0]


def _read_file(file: str, stretches: list[_Stretch]) -> Iterator[pl.DataFrame]:
    """Yield the rows of stretches of a file."""
    start, stop = min(each.start for each in stretches), max(each.stop for each in stretches)
    if sum(each.rows for each in stretches) * _SPARSE > stop - start:
        span = collected(pl.scan_ipc(file, glob=False).slice(start, stop - start))
        parts = [span.slice(each.start - start, each.rows) for each in stretches]
        yield pl.concat(parts, rechunk=True) if len(parts) > 1 else parts[0]  # frees the rows between
    else:
        for each in stretches:
            yield collected(pl.scan_ipc(file, glob=False).slice(each.start, each.rows))
