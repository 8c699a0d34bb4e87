"""Reader of a run: its event files in order, their values grouped by time series and decoded into table parts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders import DecodeOptions, Decoder
from tb2csv.errors import UNREADABLE
from tb2csv.event_files.event_file import (
    DEFAULT_CHUNK_SIZE,
    FINGERPRINT_SIZE,
    NO_HEAD,
    EventFileReader,
    FileStats,
    add_fault,
    first_event,
)
from tb2csv.event_files.file_changes import check_continued
from tb2csv.event_files.scanners import default_scanner
from tb2csv.late_modules import np
from tb2csv.parallel import ahead
from tb2csv.plain_data import check
from tb2csv.runs.brief_history import BriefHistory
from tb2csv.runs.file_copies import original_of
from tb2csv.runs.groupings import Grouping
from tb2csv.runs.plugin_contents import ContentChanges
from tb2csv.runs.restarts import FileHistory
from tb2csv.runs.run_schemas import RunSchemas
from tb2csv.runs.run_stats import RunStats, count_values
from tb2csv.runs.saved_run import STATE_SHAPE, SavedFile
from tb2csv.runs.series_decoding import decode_series
from tb2csv.runs.series_metadata import readable
from tb2csv.runs.series_reader import SeriesReader
from tb2csv.runs.series_registry import ReaderSeries, SeriesRegistry
from tb2csv.runs.step_orders import StepOrder, StepOrders
from tb2csv.selection import Selection
from tb2csv.sources.source import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tb2csv.event_files.event_file import EventHead
    from tb2csv.event_files.values import ValueBlock, ValueSchema
    from tb2csv.logdir import EventFile, Run
    from tb2csv.runs.decoded_rows import Rows, UndecodableValue
    from tb2csv.runs.subruns import Subrun
    from tb2csv.time_series import Series, SeriesColumns, SeriesStats

#: The number of values that are counted at once.
_VALUES_AT_ONCE: Final = 1 << 20


class RunReader(SeriesReader):
    """A reader of the event files of one run; ``stats`` is complete at the end.

    If the files grow, another call of ``scan`` reads the new values.
    """

    def __init__(
        self,
        run: Run,
        *,
        selection: Selection | None = None,
        options: DecodeOptions | None = None,
        subrun: Subrun | None = None,
        registry: SeriesRegistry | None = None,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        report_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare to read ``run``; nothing is opened yet.

        Args:
            run: the run and its files.
            selection: which series are selected; all by default.
            options: how to decode values, such as the style of tensors.
            subrun: if given, the series of the run become those of its parent. They are selected by their own names.
            registry: the registry of the series, which merged runs share.
            chunk_size: the number of bytes of a file to hold at once.
            report_bytes: called with the number of bytes read since the last call.
        """
        self._run = run
        self._series = ReaderSeries(registry or SeriesRegistry())
        self._stats = RunStats(run.name, self._series)
        self._step_orders = StepOrders()
        self._file_number = self._rows_before = 0
        self._scanner = default_scanner()
        self._selection = selection or Selection()
        self._options = options or DecodeOptions(limits=run.limits)
        self._chunk_size = chunk_size
        self.report_bytes = report_bytes
        self._schemas = RunSchemas(run.name, self._series, self._selection, self._options, subrun)
        self._has_more = False
        self._progress: dict[str, SavedFile] = {}
        self._unchanged: Container[str] = ()
        #: While earlier bytes are read again: the files that had them, and how many bytes each.
        self._stops: Mapping[str, int] | None = None
        self._brief_history = BriefHistory()
        self._contents = ContentChanges()

    @property
    def run(self) -> Run:
        """The run; it may be set to the same run with more or longer files."""
        return self._run

    @run.setter
    def run(self, run: Run) -> None:
        self._run = run

    @property
    def stats(self) -> RunStats:
        """The statistics of everything that has been read so far."""
        return self._stats

    @property
    def started(self) -> float:
        """The wall time of the run's first event in seconds since the epoch; infinity if it is not known."""
        return min(self.head(file).wall_time for file in self.run.files)

    @property
    def session_count(self) -> int:
        """The number of sessions that wrote values; each restart adds one."""
        if len(self.run.files) == 1 and not any(file.marks for file in self.stats.files):
            return int(bool(self.stats.series))
        histories = {file.path: self.file_history(file, 0) for file in self.ordered_files()}
        return self._brief_history.session_count(histories)

    def file_history(self, file: EventFile, row: int) -> FileHistory:
        """Return the history of a file that has been read; ``row`` values of the run are in earlier files."""
        head = self.head(file)
        return FileHistory(row, head.wall_time, head.step, head.version, self._progress[file.path].stats.marks)

    def step_orders(self) -> Iterator[tuple[Series, StepOrder]]:
        """Yield each series that was decoded with its plugin contents, and the order of its steps; none if all rise."""
        if self._step_orders.all_rise:
            return
        for number, stats in enumerate(self.stats.series):
            yield stats.series, self._step_orders.order(number)

    def stats_of(self, series: Series) -> SeriesStats:
        """Return the statistics of a series so far."""
        return self.columns[series.id]

    @property
    def columns(self) -> SeriesColumns:
        """The statistics of all series with the same registry so far, by id."""
        return self._series.registry.stats

    def decoder(self, number: int) -> Decoder:
        """Return the decoder of a series, by its index in ``stats.series``."""
        return self._schemas.decoders[number]

    def scan(self) -> Iterator[ValueBlock]:
        """Yield the values of all files, undecoded and not grouped; unreadable files are reported as damaged."""
        for _, block in self.scan_files():
            yield block

    def scan_files(self) -> Iterator[tuple[EventFile, ValueBlock]]:
        """Yield the values of each file that earlier scans have not yielded, undecoded and not grouped."""
        files = self.ordered_files()
        last = files[-1]
        for file in files:
            if self._stops is not None and file.path not in self._stops:
                continue
            progress = self._progress.get(file.path)
            if progress and file.path in self._unchanged:
                continue
            if progress is None:
                progress = self._progress[file.path] = SavedFile(FileStats(file.path))
                self.stats.files.append(progress.stats)
            stats = progress.stats
            stats.damage = [damage for damage in stats.damage if damage.kind != UNREADABLE]
            try:
                if not stats.records and (original := original_of(file, self.run)):
                    stats.copy_of, stats.bytes = original.path, file.size()
                    continue
                # The bytes before the offset come first, because the file may have been replaced since it was examined.
                with file.open(max(0, progress.offset - FINGERPRINT_SIZE)) as source:
                    check_continued(source, stats, progress.offset)
                    stats.version = source.version
                    if self._stops is not None:
                        source.size = min(source.size, self._stops[file.path])
                    reader = EventFileReader(
                        source,
                        self._scanner,
                        self._schemas.table,
                        chunk_size=self._chunk_size,
                        offset=progress.offset,
                        account=stats,
                        is_unpacked=source.is_unpacked,
                    )
                    progress.number = self._file_number = progress.number or len(self.stats.files)
                    for block in reader.blocks():
                        self._add_to_history(file, stats, block)
                        self._has_more = reader.offset < source.size or file is not last
                        # Before the yield, because the caller may end the scan there and continue after the block.
                        read, progress.offset = reader.offset - progress.offset, reader.offset
                        yield file, block
                        self.report_bytes(read)
                    progress.offset = reader.offset
                    self.report_bytes(stats.bytes - progress.offset)
                    add_fault(stats, source.fault)
            except OSError as error:
                add_fault(stats, fault_of(error))
        if len(files) > 1:  # an earlier scan may have found them in another order
            places = {file.path: place for place, file in enumerate(files)}
            self.stats.files.sort(key=lambda stats: places[stats.path])

    def _add_to_history(self, file: EventFile, stats: FileStats, block: ValueBlock) -> None:
        """Keep the rows that show restarts; the run may get a second file later."""
        self._schemas.learn(block)
        columns, size = block.columns, len(block)
        cells = columns.schema_id[:size], columns.step[:size], columns.wall_time[:size]
        marks = (mark.row for mark in columns.marks)
        self._brief_history.add(file.path, stats.values - size, cells, self._schemas.kinds, marks)

    def count(self) -> None:
        """Read all files without decoding payloads, and fill ``stats``."""
        for block in self.scan():
            self.group(block)

    def decode(
        self,
        kind: str | None = None,
        *,
        with_contents: bool = False,
        add_unselected_scalars: Callable[[Rows | UndecodableValue], None] | None = None,
    ) -> Generator[Rows | UndecodableValue, None, None]:
        """Yield the rows of all selected series, chunk by chunk, each series' rows in file order.

        With ``kind``, only series of that kind are decoded, but ``stats`` covers all. ``with_contents`` yields the
        changes of plugin content as well, as rows of a table next to the series' own. ``add_unselected_scalars`` gets
        the scalars that are not selected.
        """

        def is_wanted(number: int) -> bool:
            stats = self.stats.series[number]
            return stats.is_selected and (kind is None or kind == self._series.key(number)[0])

        contents = self._contents if with_contents else None
        known = self._schemas.known
        for grouping in ahead(map(self.group, self.scan()), lambda: self._has_more and known.are_remembered):
            yield from self.decode_grouping(grouping, is_wanted, contents)
            if add_unselected_scalars:
                for item in self.decode_grouping(grouping, self._is_unselected_scalar):
                    add_unselected_scalars(item)

    def _is_unselected_scalar(self, number: int) -> bool:
        return not self.stats.series[number].is_selected and self._series.key(number)[0] == "scalars"

    def decode_grouping(
        self, grouping: Grouping, is_wanted: Callable[[int], bool], contents: ContentChanges | None = None
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the wanted series of a grouped block; ``is_wanted`` is called with their numbers.

        With ``contents``, which has the plugin contents of earlier blocks, the changes of plugin content are yielded as
        well.
        """
        self.report_bytes(0)  # the import of polars takes long: the callback may raise to cancel
        batches: dict[tuple[Decoder, str], list[int]] = {}
        for number in grouping.present:
            if is_wanted(number):
                _, signature = self._series.key(number)
                batches.setdefault((self._schemas.decoders[number], signature), []).append(number)
        orders = self._step_orders if contents else None
        for (decoder, _), numbers in batches.items():
            for decoded in decode_series(
                decoder, numbers, grouping, self.stats.series, self._schemas.known, self._options, orders, contents
            ):
                self.report_bytes(0)  # a chunk may take long: the callback may raise to cancel
                yield decoded

    def ordered_files(self) -> list[EventFile]:
        """Return the files by the time of their first event; their names give only the second."""
        if len(self.run.files) == 1:
            return list(self.run.files)
        return sorted(self.run.files, key=lambda file: (self.head(file).wall_time, file.path))

    def head(self, file: EventFile) -> EventHead:
        """Return the content of the file's first event, which is read once."""
        progress = self._progress.get(file.path)
        if progress and progress.head:
            return progress.head
        head = NO_HEAD
        with contextlib.suppress(OSError), file.open() as source:
            head = first_event(source)
        if progress and head is not NO_HEAD:  # an empty file may get a first event later
            progress.head = head
        return head

    def save(self) -> dict[str, Any]:
        """Return the state of reading as data for JSON, with which ``resume`` continues, without ``saved_files``."""
        return {
            **self._schemas.to_data(),
            "empty": self.stats.empty,
            "empty_filtered": self.stats.empty_filtered,
            "rows_before": self._rows_before,
            "step_orders": self._step_orders.to_data(),
            "history": self._brief_history.to_data(),
            "contents": self._contents.to_data(),
        }

    def saved_files(self) -> list[SavedFile]:
        """Return the files and the positions up to which they were read."""
        return [self._progress[stats.path] for stats in self.stats.files]

    def decode_again(self, stops: Mapping[str, int]) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows in the first bytes of the files, of which ``stops`` has the number, and read on from there."""
        self._stops = stops
        yield from self.decode(with_contents=True)
        self._stops = None

    def resume(self, saved: Mapping[str, Any], files: Iterable[SavedFile], unchanged: Container[str]) -> None:
        """Continue from a state that ``save`` returned.

        Args:
            saved: the state.
            files: what ``saved_files`` returned with it.
            unchanged: the paths of files that need no reading.

        Raises:
            ValueError: this is not a state that ``save`` returned.
            OutputError: a decoder is no longer installed.
        """
        check(saved, STATE_SHAPE)
        for file in files:
            if not file.offset:  # such a file is read again, because its first event decides its place among the others
                continue
            self._progress[file.stats.path] = file
            self.stats.files.append(file.stats)
        self._schemas.restore(saved)
        self.stats.empty.update(saved["empty"])
        self.stats.empty_filtered = saved["empty_filtered"]
        self._rows_before = saved["rows_before"]
        self._step_orders = StepOrders.from_data(saved["step_orders"])
        self._brief_history = BriefHistory.from_data(saved["history"])
        self._contents = ContentChanges.from_data(saved["contents"])
        self._unchanged = unchanged

    @property
    def schemas(self) -> Sequence[ValueSchema]:
        """The value schemas of all values that were grouped, by number."""
        return self._schemas.known

    @property
    def series_of_schema(self) -> npt.NDArray[np.int32]:
        """The index of each schema's series in ``stats.series``; -1 for empty values."""
        return self._schemas.series_of_schema

    def learn(self, keys: Iterable[bytes], block: ValueBlock) -> None:
        """Find the series of schemas with these keys, whose first values are in a block, without a file."""
        for key in keys:
            self._schemas.table.intern(key)
        self._schemas.learn(block)

    def series_numbers(self, block: ValueBlock) -> npt.NDArray[np.int32]:
        """Return the index of each value's series in ``stats.series``; -1 for an empty value."""
        self._schemas.learn(block)
        return self._schemas.series_of_schema[block.columns.schema_id[: len(block)]]

    def regroup(self, block: ValueBlock, rows_before: Mapping[int, int]) -> Grouping:
        """Sort the values of a block by series; ``rows_before`` has the number of earlier values of each series."""
        size = len(block)
        self._schemas.learn(block)
        order, bounds = np.empty(size, np.int64), np.empty(len(self.stats.series) + 2, np.int64)
        self._scanner.group(block.columns.schema_id[:size], self._schemas.series_of_schema + 1, order, bounds)
        order, bounds = order[bounds[1] :], bounds[1:] - bounds[1]  # without the empty values
        present = np.flatnonzero(np.diff(bounds)).tolist()
        known = {number: rows_before[number] for number in present if number in rows_before} if rows_before else {}
        return Grouping(block, self._file_number, order, bounds, present, known)

    def group(self, block: ValueBlock) -> Grouping:
        """Sort the values of a block by series, and add them to ``stats``."""
        grouping = self.regroup(block, {})
        count_values(self._series, grouping, self._rows_before)
        self._rows_before += len(block)
        if len(grouping.order) < len(block):
            self._count_empty(block)
        return grouping

    def _count_empty(self, block: ValueBlock) -> None:
        series_of_schema = self._schemas.series_of_schema
        counts = np.zeros(len(series_of_schema))
        for start in range(0, len(block), _VALUES_AT_ONCE):
            stop = min(start + _VALUES_AT_ONCE, len(block))
            equal = block.columns.scalar[start:stop]  # of an empty value, the number of equal ones
            counts += np.bincount(block.columns.schema_id[start:stop], equal, len(counts))
        for number in np.flatnonzero((series_of_schema < 0) & (counts > 0)).tolist():  # NaN is not above 0
            count = int(counts[number])
            tag = readable(self._schemas.known[number].tag)
            if self._selection.includes_tag(tag):
                self.stats.empty[tag] += count
            else:
                self.stats.empty_filtered += count
