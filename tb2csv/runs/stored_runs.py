"""The columns of a run's values, kept in memory, so that tables are decoded when somebody asks for them.

Scanning is done once; payloads stay in the event files and are read again where they are wanted. A file that has grown
is read on from where it ended.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.event_files.values import COLUMN_NAMES, ValueBlock, ValueColumns
from tb2csv.runs.restarts import RunHistory
from tb2csv.runs.run_reader import RunReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from tb2csv.decoders import DecodeOptions
    from tb2csv.event_files.event_file import FileAccount
    from tb2csv.logdir import EventFile, Run
    from tb2csv.runs.restarts import FileHistory
    from tb2csv.runs.row_selection import RowPlan, RowSelection
    from tb2csv.runs.run_reader import Rows, SeriesAccount, UndecodableValue
    from tb2csv.runs.subruns import Subrun
    from tb2csv.selection import Selection

#: Payloads that lie so many bytes apart, or fewer, are read at one stroke: a seek costs more than they do.
_GAP: Final = 1 << 18


class Growth(NamedTuple):
    """What became of a run's files since they were read."""

    #: Whether one is gone, or shorter than what was read of it: then all is to be read again.
    is_replaced: bool
    is_unchanged: bool
    #: Bytes that have not been read.
    unread: int


def growth_of(run: Run, accounts: Iterable[FileAccount]) -> Growth:
    """Compare the files that a run has now with the accounts of what was read of them."""
    sizes = {file.path: file.size() for file in run.files}
    known = {account.path: account for account in accounts}
    read = {path: account.bytes - account.incomplete_tail_bytes for path, account in known.items()}
    return Growth(
        any(sizes.get(path, 0) < length for path, length in read.items()),
        bool(known) and all(path in known and known[path].bytes == size for path, size in sizes.items()),
        sum(sizes.values()) - sum(read.values()),
    )


@dataclass(slots=True)
class _StoredBlock:
    """The values of a stretch of a file."""

    file: EventFile
    columns: ValueColumns


class StoredRun:
    """One run, scanned; ``series`` and ``files`` are the accounts of what ``refresh`` has read so far."""

    def __init__(
        self,
        run: Run,
        *,
        selection: Selection | None = None,
        options: DecodeOptions | None = None,
        subrun: Subrun | None = None,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
    ) -> None:
        """Prepare to read ``run``; ``refresh`` reads it. The arguments are a RunReader's."""
        self._chunk_size = chunk_size
        self._new_reader = functools.partial(
            RunReader, selection=selection, options=options, subrun=subrun, chunk_size=chunk_size
        )
        self._begin(run)

    def _begin(self, run: Run) -> None:
        self._reader = self._new_reader(run)
        self._blocks: list[_StoredBlock] = []

    @property
    def run(self) -> Run:
        """The run and its files, as they were when it was last read."""
        return self._reader.run

    @property
    def series(self) -> list[SeriesAccount]:
        """The accounts of all series, in the order of their first values."""
        return self._reader.series

    @property
    def files(self) -> list[FileAccount]:
        """The accounts of all files."""
        return self._reader.files

    @property
    def started(self) -> float:
        """The wall time of the run's first event in seconds since the epoch; infinity where it is not known."""
        return self._reader.started

    @property
    def session_count(self) -> int:
        """How many sessions the run has, of those that have values."""
        return self._reader.session_count

    def signature(self, number: int) -> str:
        """Return what the columns of the tables of a series depend on, by the series' number."""
        return self._reader.signature(number)

    def refresh(self, run: Run | None = None, on_bytes: Callable[[int], None] = lambda _: None) -> bool:
        """Read what was written since the last time, and return whether there was anything new.

        ``run`` tells the files that it has now, where others may have come. Where one is gone, or shorter than what was
        read of it, all is read again.
        """
        run = run or self.run
        growth = growth_of(run, self.files)
        if growth.is_replaced:
            self._begin(run)
        elif growth.is_unchanged:
            return False
        self._reader.run = run
        self._reader.on_bytes = on_bytes
        for file, block in self._reader.scan_files():
            self._reader.group(block)
            self._blocks.append(_StoredBlock(file, _copy(block.columns)))
        return True

    def decode(
        self,
        is_wanted: Callable[[SeriesAccount], bool],
        rows: RowSelection | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the wanted series, in file order; payloads are read again.

        ``on_bytes`` is called with 0 now and then, and may raise to end it. Raises OSError where a file cannot be read
        any more.
        """
        self._reader.on_bytes = on_bytes
        wanted = np.array([is_wanted(account) for account in self.series], np.bool_)
        blocks = self._blocks_in_order()
        plan = None if rows is None or rows.is_everything else self._plan(blocks, rows)
        for account, is_decoded in zip(self.series, wanted, strict=True):
            if is_decoded:
                account.undecodable = account.left_out = 0
        decoded: dict[int, int] = {}
        first = 0
        for stored in blocks:
            block = ValueBlock(stored.columns, memoryview(b""), 0)
            numbers = self._reader.series_numbers(block)
            stretch = slice(first, first + len(block))
            first += len(block)
            keep = wanted[numbers]
            if plan:
                for number, count in enumerate(np.bincount(numbers[keep & ~plan.keep[stretch]])):
                    self.series[number].left_out += int(count)
                keep &= plan.keep[stretch]
            for part, kept in _with_payloads(stored, np.flatnonzero(keep), self._chunk_size):
                grouping = self._reader.regroup(part, decoded)
                if plan and plan.sessions is not None:
                    grouping.sessions = plan.sessions[stretch][kept]
                for number in grouping.present:
                    decoded[number] = decoded.get(number, 0) + int(np.diff(grouping.bounds[number : number + 2])[0])
                yield from self._reader.decode_grouping(grouping, lambda _: True)

    def _blocks_in_order(self) -> list[_StoredBlock]:
        """Return the blocks as one reading would give them: files in their order, though they may grow in turn."""
        place = {file.path: number for number, file in enumerate(self._reader.ordered_files())}
        return sorted(self._blocks, key=lambda block: place[block.file.path])

    def _plan(self, blocks: list[_StoredBlock], rows: RowSelection) -> RowPlan:
        tags: dict[bytes, int] = {}
        tag_of_form = np.array([tags.setdefault(form.tag, len(tags)) for form in self._reader.forms], np.int32)
        kind_of_form = np.array([form.kind for form in self._reader.forms], np.int8)
        columns = [block.columns for block in blocks]
        form_id = _column(columns, "form_id")
        history = RunHistory(
            tag_of_form[form_id],
            kind_of_form[form_id],
            _column(columns, "step"),
            _column(columns, "wall_time"),
            self._file_histories(),
        )
        tables = [self._reader.series_numbers(ValueBlock(each, memoryview(b""), 0)) for each in columns]
        return rows.plan(history, np.concatenate(tables or [np.empty(0, np.int32)]))

    def _file_histories(self) -> list[FileHistory]:
        values = {account.path: account.values for account in self.files}
        histories: list[FileHistory] = []
        row = 0
        for file in self._reader.ordered_files():
            histories.append(self._reader.file_history(file, row))
            row += values[file.path]
        return histories


class RowReader:
    """Reads a run once, as a RunReader does, but decodes only the rows that a row selection asks for."""

    def __init__(self, stored: StoredRun, rows: RowSelection, on_bytes: Callable[[int], None]) -> None:
        """Read all of ``stored``, which has not been read yet; ``on_bytes`` is told of bytes as they are passed."""
        self.run = stored.run
        self._stored = stored
        self._rows = rows
        self._on_bytes = on_bytes

    @property
    def series(self) -> list[SeriesAccount]:
        """The accounts of all series, in the order of their first values."""
        return self._stored.series

    @property
    def files(self) -> list[FileAccount]:
        """The accounts of all files."""
        return self._stored.files

    @property
    def started(self) -> float:
        """The wall time of the run's first event in seconds since the epoch; infinity where it is not known."""
        return self._stored.started

    @property
    def session_count(self) -> int:
        """How many sessions the run has."""
        return self._stored.session_count

    def signature(self, number: int) -> str:
        """Return what the columns of the tables of a series depend on, by the series' number."""
        return self._stored.signature(number)

    def decode(self) -> Iterator[Rows | UndecodableValue]:
        """Yield the chosen rows of all selected series, each series' rows in file order."""
        self._stored.refresh(on_bytes=self._on_bytes)
        yield from self._stored.decode(lambda account: account.is_selected, self._rows, self._on_bytes)


def _column(blocks: list[ValueColumns], name: str) -> npt.NDArray[Any]:
    """Return a column of all blocks together."""
    return np.concatenate([getattr(ValueColumns(), name), *(getattr(columns, name) for columns in blocks)])


def _copy(columns: ValueColumns) -> ValueColumns:
    """Return a copy without the room beyond the last row, for the memory of a block is used again."""
    return _taken(columns, slice(0, columns.size), columns.size)


def _taken(columns: ValueColumns, rows: npt.NDArray[np.int64] | slice, size: int) -> ValueColumns:
    taken = ValueColumns()
    for name in COLUMN_NAMES:
        setattr(taken, name, getattr(columns, name)[rows].copy())
    taken.size = size
    return taken


def _with_payloads(
    stored: _StoredBlock, rows: npt.NDArray[np.int64], chunk_size: int
) -> Iterator[tuple[ValueBlock, npt.NDArray[np.int64]]]:
    """Yield some rows of a block as blocks of their own, with the bytes that their payloads lie in; and which they are.

    Payloads that lie close together are read together, up to a chunk's size.
    """
    columns = stored.columns
    has_payload = columns.payload_length[rows] > 0
    if not has_payload.any():
        if rows.size:
            alone = columns if rows.size == columns.size else _taken(columns, rows, len(rows))
            yield ValueBlock(alone, memoryview(b""), 0), rows
        return
    with stored.file.open() as source:
        for part in _stretches(columns, rows, has_payload, chunk_size):
            taken = _taken(columns, part, len(part))
            begins = taken.payload_offset[taken.payload_length > 0]
            start, stop = 0, 0
            if begins.size:
                start = int(begins.min())
                stop = int((taken.payload_offset + taken.payload_length).max())
            data = source.read_at(start, stop - start)
            if len(data) < stop - start:
                raise OSError(0, "the file is shorter than it was")
            yield ValueBlock(taken, memoryview(data), start), part


def _stretches(
    columns: ValueColumns, rows: npt.NDArray[np.int64], has_payload: npt.NDArray[np.bool_], chunk_size: int
) -> list[npt.NDArray[np.int64]]:
    """Split rows where their payloads lie far apart in the file, or would be more than a chunk together."""
    # A row without a payload lies where the one before it does.
    ends = np.where(has_payload, columns.payload_offset[rows] + columns.payload_length[rows], 0)
    ends = np.maximum.accumulate(ends)
    begins = np.where(has_payload, columns.payload_offset[rows], ends)
    is_far = begins[1:] - ends[:-1] > _GAP
    pieces = np.split(rows, np.flatnonzero(is_far) + 1)
    positions = np.split(ends, np.flatnonzero(is_far) + 1)
    stretches = []
    for piece, position in zip(pieces, positions, strict=True):
        chunk = (position - position[0]) // chunk_size
        stretches += np.split(piece, np.flatnonzero(np.diff(chunk)) + 1)
    return stretches
