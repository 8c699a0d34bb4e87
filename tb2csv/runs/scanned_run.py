"""The columns of a run's values, kept in memory, so that tables can be decoded on demand.

A run is scanned once. Payloads stay in the event files and are read again when they are decoded. If a file has grown,
only the new part is read.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import UNREADABLE, Damage, LogdirError
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.event_files.values import ValueBlock, ValueColumns
from tb2csv.late_modules import np
from tb2csv.runs.column_subsets import byte_ranges, column_of, compact_copy, copy_rows, payloads, split_by_distance
from tb2csv.runs.decoded_rows import Rows, UndecodableValue
from tb2csv.runs.plugin_contents import ContentChanges
from tb2csv.runs.restarts import RunHistory
from tb2csv.runs.row_selection import RowSelection, row_plan
from tb2csv.runs.run_reader import RunReader
from tb2csv.sources.source import is_replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.logdir import EventFile, Run
    from tb2csv.runs.restarts import FileHistory
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.time_series import Series, SeriesStats


#: The number of values in which the first one of each series is sought at first.
_FIRST_SEARCH: Final = 4096


class Growth(NamedTuple):
    """The changes of a run's files since they were read."""

    #: Whether a file is gone, shorter than the part that was read, or another object of the same size; then everything
    #: must be read again.
    is_replaced: bool
    is_unchanged: bool
    #: The number of bytes that have not been read.
    unread: int


def file_changes(run: Run, stats: Iterable[FileStats]) -> Growth:
    """Compare the files that a run has now with the statistics of what was read of them."""
    sizes = {file.path: file.size() for file in run.files}
    known = {each.path: each for each in stats}
    read = {path: each.bytes - each.incomplete_tail_bytes for path, each in known.items()}
    others = (is_replaced(known[file.path].version, file.listed.text) for file in run.files if file.path in known)
    return Growth(
        any(sizes.get(path, 0) < length for path, length in read.items()) or any(others),
        bool(known) and all(path in known and known[path].bytes == size for path, size in sizes.items()),
        sum(sizes.values()) - sum(read.values()),
    )


class StoredBlock(NamedTuple):
    """The values of a stretch of a file."""

    file: EventFile
    columns: ValueColumns


class _Request(NamedTuple):
    """The values of a run to decode; the arrays have an element for each of its values, in the order of the blocks."""

    blocks: list[StoredBlock]
    #: The number of each value's series.
    numbers: npt.NDArray[np.int32]
    keep: npt.NDArray[np.bool_]
    sessions: npt.NDArray[np.int32] | None


class ScannedRun:
    """A scanned run; ``stats`` covers what ``refresh`` has read so far."""

    def __init__(
        self, run: Run, *, new_reader: Callable[[Run], RunReader] = RunReader, chunk_size: int = DEFAULT_CHUNK_SIZE
    ) -> None:
        """Prepare to read ``run``; ``refresh`` reads it.

        Args:
            run: the run and its files.
            new_reader: returns the reader that scans a run; it has the selection, and the way to decode values.
            chunk_size: the number of bytes of payloads to hold at once.
        """
        self._chunk_size = chunk_size
        self._new_reader = new_reader
        self._begin(run)

    def _begin(self, run: Run) -> None:
        self._reader = self._new_reader(run)
        self._blocks: list[StoredBlock] = []

    @property
    def run(self) -> Run:
        """The run with the files that it had when it was last read."""
        return self._reader.run

    @property
    def reader(self) -> RunReader:
        """The reader that has scanned the files."""
        return self._reader

    @property
    def stats(self) -> RunStats:
        """The statistics of everything that has been read so far."""
        return self._reader.stats

    @property
    def block_count(self) -> int:
        """The number of blocks that have been read so far."""
        return len(self._blocks)

    def blocks_since(self, count: int) -> list[StoredBlock]:
        """Return the blocks that were read after the first ``count``."""
        return self._blocks[count:]

    def is_current(self, stats: SeriesStats) -> bool:
        """Return whether these statistics of a series are current; they are not if the run was read again since."""
        return stats.columns is self._reader.columns

    def refresh(self, run: Run | None = None, report_bytes: Callable[[int], None] = lambda _: None) -> bool:
        """Read what was written since the last call, and return whether there was anything new.

        ``run`` is the run with its present files; if None, its files are the same as before. If a file is gone,
        shorter than the part that was read, or another object of the same size, everything is read again.
        """
        run = run or self.run
        if self.stats.files:
            growth = file_changes(run, self.stats.files)
            if growth.is_replaced:
                self._begin(run)
            elif growth.is_unchanged:
                return False
        self._reader.run = run
        self._reader.report_bytes = report_bytes
        for file, block in self._reader.scan_files():
            self._reader.group(block)
            self._blocks.append(StoredBlock(file, compact_copy(block.columns)))
        return True

    def decode(
        self,
        is_wanted: Callable[[Series], bool],
        rows: RowSelection | None = None,
        report_bytes: Callable[[int], None] = lambda _: None,
        *,
        skip_unreadable: bool = False,
        with_contents: bool = False,
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the wanted series in file order; payloads are read again.

        Args:
            is_wanted: returns whether a series is to be decoded.
            rows: the rows to decode; all if None.
            report_bytes: called with 0 now and then; it may raise to cancel.
            skip_unreadable: report a file that can no longer be read as damaged, and its values as undecodable, instead
                of raising an error.
            with_contents: yield the changes of plugin content as well, as rows of a table next to the series' own.

        Raises:
            LogdirError: a file can no longer be read.
        """
        self._reader.report_bytes = report_bytes
        request = self._request(is_wanted, rows)
        counts = np.bincount(request.numbers[request.keep], minlength=len(self.stats.series)).tolist()
        for stats, count in zip(self.stats.series, counts, strict=True):
            if is_wanted(stats.series):
                stats.undecodable, stats.left_out = 0, stats.points - count
        contents = ContentChanges() if with_contents else None
        yield from self._decode(request, request.keep, contents, skip_unreadable=skip_unreadable)

    def decode_blocks(
        self, blocks: list[StoredBlock], is_wanted: Callable[[Series], bool]
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the wanted series in some of the blocks; errors as of ``decode``."""
        self._reader.report_bytes = lambda _: None
        request = self._request(is_wanted, None, self._in_order(blocks))
        yield from self._decode(request, request.keep)

    def samples(
        self, is_wanted: Callable[[Series], bool], rows: RowSelection | None = None
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the first selected value of each wanted series, which show its columns.

        If a value cannot be decoded, the next ones are tried, four times as many each time.

        Raises:
            LogdirError: a file can no longer be read.
        """
        self._reader.report_bytes = lambda _: None
        request = self._request(is_wanted, rows)
        number_of = {stats.series: number for number, stats in enumerate(self.stats.series)}
        wanted = sum(is_wanted(stats.series) for stats in self.stats.series)
        left, size = _first_places(request.numbers, request.keep, wanted), 1
        is_unknown = np.zeros(len(self.stats.series) + 1, np.bool_)  # the last is that of empty values, number -1
        is_unknown[request.numbers[left]] = True
        while len(left):
            keep = np.zeros_like(request.keep)
            keep[left] = True
            request.keep[left] = False
            for item in self._decode(request, keep):
                if isinstance(item, Rows) and not item.part.kind:
                    is_unknown[[number_of[series] for series in item.series]] = False
                yield item
            if not is_unknown.any():
                return
            size *= 4
            places = np.flatnonzero(request.keep & is_unknown[request.numbers])
            left = places[_ranks(request.numbers[places]) < size]

    def _request(
        self, is_wanted: Callable[[Series], bool], rows: RowSelection | None, blocks: list[StoredBlock] | None = None
    ) -> _Request:
        # The last element is for empty values, whose number is -1.
        wanted = np.array([*(is_wanted(stats.series) for stats in self.stats.series), False], np.bool_)
        blocks = self._in_order(self._blocks) if blocks is None else blocks
        parts = [self._reader.series_numbers(ValueBlock(stored.columns, memoryview(b""), 0)) for stored in blocks]
        numbers = np.concatenate([np.empty(0, np.int32), *parts])
        rows = RowSelection.of(rows)
        if rows.is_everything:
            return _Request(blocks, numbers, wanted[numbers], None)
        plan = row_plan(rows, self._history(blocks), numbers + 1)
        return _Request(blocks, numbers, wanted[numbers] & plan.keep, plan.sessions)

    def _decode(
        self,
        request: _Request,
        keep: npt.NDArray[np.bool_],
        contents: ContentChanges | None = None,
        *,
        skip_unreadable: bool = False,
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the values in ``keep``."""
        ordinals = functools.cache(lambda: _ranks(request.numbers))
        file_numbers = {file.path: number for number, file in enumerate(self._reader.ordered_files(), 1)}
        first = 0
        for stored in request.blocks:
            columns = stored.columns
            rows = np.flatnonzero(keep[first : first + columns.size])
            with contextlib.ExitStack() as opened:
                source = functools.cache(lambda file=stored.file, opened=opened: opened.enter_context(file.open()))
                for part in split_by_distance(columns, rows, self._chunk_size):
                    kept, data, base = part, b"", 0
                    try:
                        data, base = payloads(columns, part, source)
                    except OSError as error:
                        if not skip_unreadable:
                            message = _unreadable(stored.file.location, error) + "; call refresh to read the log again."
                            raise LogdirError(message) from error
                        begins, ends = byte_ranges(columns, part)
                        is_lost = ends > begins
                        lost, kept = part[is_lost], part[~is_lost]
                        yield from self._lost(stored, lost, request.numbers[first + lost], error)
                    places = first + kept
                    taken = columns if kept.size == columns.size else copy_rows(columns, kept, kept.size)
                    is_unpacked = bool(data) and source().is_unpacked
                    block = ValueBlock(taken, memoryview(data), base, is_unpacked)
                    grouping = self._reader.regroup(block, {})
                    grouping.file = file_numbers[stored.file.path]
                    grouping.sessions = None if request.sessions is None else request.sessions[places]
                    grouping.ordinals = lambda places=places: ordinals()[places]
                    yield from self._reader.decode_grouping(grouping, lambda _: True, contents)
            first += columns.size

    def _lost(
        self, stored: StoredBlock, rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.int32], error: OSError
    ) -> Iterator[UndecodableValue]:
        """Yield the values of a file that can no longer be read, and report the file as damaged."""
        columns, detail = stored.columns, _unreadable("the file", error)
        file = next(each for each in self.stats.files if each.path == stored.file.path)
        damage = Damage(stored.file.path, int(columns.payload_offset[rows[0]]), 0, UNREADABLE, detail)
        if all((each.kind, each.detail) != (damage.kind, damage.detail) for each in file.damage):
            file.damage.append(damage)
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
            stats = self.stats.series[number]
            stats.undecodable += 1
            time = float(columns.wall_time[row]), int(columns.step[row])
            yield UndecodableValue(stats.series, *time, detail, b"")

    def _in_order(self, blocks: list[StoredBlock]) -> list[StoredBlock]:
        """Return blocks in the order of one scan: file by file, even if several files grew in turn."""
        place = {file.path: number for number, file in enumerate(self._reader.ordered_files())}
        return sorted(blocks, key=lambda block: place[block.file.path])

    def _history(self, blocks: list[StoredBlock]) -> RunHistory:
        tags: dict[bytes, int] = {}
        tag_of_schema = np.array([tags.setdefault(schema.tag, len(tags)) for schema in self._reader.schemas], np.int32)
        kind_of_schema = np.array([schema.kind for schema in self._reader.schemas], np.int8)
        columns = [block.columns for block in blocks]
        schema_id = column_of(columns, "schema_id")
        return RunHistory(
            tag_of_schema[schema_id],
            kind_of_schema[schema_id],
            column_of(columns, "step"),
            column_of(columns, "wall_time"),
            self._file_histories(),
        )

    def _file_histories(self) -> list[FileHistory]:
        values = {file.path: file.values for file in self.stats.files}
        histories: list[FileHistory] = []
        row = 0
        for file in self._reader.ordered_files():
            histories.append(self._reader.file_history(file, row))
            row += values[file.path]
        return histories


def _unreadable(what: str, error: OSError) -> str:
    return f"{what} can no longer be read ({error.strerror or error})"


def _first_places(numbers: npt.NDArray[np.int32], keep: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.int64]:
    """Return the place of the first element of each number, of those in ``keep``; there are at most ``count`` numbers.

    All numbers are usually among the first elements, so the search ends when all are found.
    """
    first = np.full(int(numbers.max(initial=-1)) + 2, -1, np.int64)
    start, length = 0, _FIRST_SEARCH
    while start < len(numbers) and np.count_nonzero(first >= 0) < count:
        places = start + np.flatnonzero(keep[start : start + length])[::-1]
        places = places[first[numbers[places]] < 0]
        first[numbers[places]] = places  # of equal numbers, the last assignment counts
        start, length = start + length, 2 * length
    return np.sort(first[first >= 0])


def _ranks(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return for each element how many equal ones come before it."""
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers + 1)
    ranks = np.empty(len(numbers), np.int64)
    ranks[order] = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks
