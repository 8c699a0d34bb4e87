"""Batches of small runs, which are grouped and decoded together.

numpy and polars take longer for a call than for a thousand values, so hundreds of small runs are decoded in one call.
Every run keeps its own series and statistics, and gets the rows that ``RunReader`` would give it, in the same order.
Runs that are not small and regular are left to ``RunReader``: see ``small_files`` for what is regular.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from tb2csv.event_files.scanners import default_scanner
from tb2csv.event_files.small_files import SmallFiles
from tb2csv.event_files.values import COLUMN_NAMES, ValueBlock, ValueColumns, ValueKind, ValueSchema
from tb2csv.file_batches import are_compiled, file_batches
from tb2csv.late_modules import np
from tb2csv.logdir import Run
from tb2csv.parallel import Turns, check_workers, default_workers
from tb2csv.runs.groupings import Grouping
from tb2csv.runs.restarts import GRAPH_KINDS
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.run_stats import RunStats
from tb2csv.runs.series_decoding import decode_series
from tb2csv.runs.step_orders import StepOrder, StepOrders
from tb2csv.tensor_protos import is_string
from tb2csv.time_series import Series, SeriesColumns, SeriesStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.decoders import DecodeOptions, Decoder
    from tb2csv.event_files.event_file import FileStats
    from tb2csv.runs.decoded_rows import Rows, UndecodableValue
    from tb2csv.selection import Selection

_Result = TypeVar("_Result")

#: The maximum size of a small file in bytes; for larger files, the cost of a separate reader does not matter.
SMALL_FILE: Final = 1 << 20

#: The maximum size of a tiny file in bytes: the interpreter takes longer for it than the scanner and polars, which do
#: not hold the interpreter's lock.
_TINY_FILE: Final = 64 << 10

#: The maximum number of bytes of files that are decoded together.
BATCH_BYTES: Final = 4 << 20

#: The maximum number of runs in a unit of work, and the number of units per worker.
UNIT_RUNS: Final = 256
_UNITS_OF_WORKER: Final = 4

#: A run with values of these kinds is not regular: empty values have no series, and graphs count among the marks of
#: restarts.
_IRREGULAR_KINDS: Final = frozenset({ValueKind.NONE, *GRAPH_KINDS})

_DROPPED: Final = -1

#: From this number of values on, a few calls of numpy take less time than a dictionary of all values.
_MANY_VALUES: Final = 1000


class _Plan(NamedTuple):
    """The series that a sequence of schemas leads to, except for the name of the run."""

    #: The series in the order of their first values, with ids and variants.
    series: tuple[Series, ...]
    is_selected: tuple[bool, ...]
    decoders: tuple[Decoder, ...]
    #: The number of each schema's series.
    series_of_schema: npt.NDArray[np.int32]


class Plans:
    """The plans of runs by the keys of their schemas, learned by ``RunReader`` from the first run that has them."""

    def __init__(self, selection: Selection, options: DecodeOptions) -> None:
        """Learn series for these options. Several threads may use the plans, in turns."""
        self.selection = selection
        self.options = options
        self.turns = Turns()
        self._known: dict[tuple[bytes, ...], _Plan | None] = {}

    def of(self, keys: tuple[bytes, ...], block: Callable[[], ValueBlock]) -> _Plan | None:
        """Return the plan of a run, or None if the run is not regular.

        Args:
            keys: the keys of its schemas, in the order of their first values.
            block: returns the values of the run, whose schemas are numbered in this order.
        """
        if keys in self._known:
            return self._known[keys]
        schemas = [ValueSchema.from_key(key) for key in keys]
        if any(schema.kind in _IRREGULAR_KINDS for schema in schemas):
            self._known[keys] = None
            return None
        plan = self._learn(keys, block())
        # The decoder of a string may depend on the first value, and so does metadata with the value's own content.
        if not any(schema.kind == ValueKind.PLUGIN_CONTENT or is_string(schema.dtype) for schema in schemas):
            self._known[keys] = plan
        return plan

    def are_learned(self, keys: tuple[bytes, ...]) -> bool:
        """Return whether the plan is the same for all runs with these schemas."""
        return keys in self._known

    def _learn(self, keys: tuple[bytes, ...], block: ValueBlock) -> _Plan:
        reader = RunReader(Run("", ()), selection=self.selection, options=self.options)
        reader.learn(keys, block)
        stats = reader.stats.series
        return _Plan(
            tuple(each.series for each in stats),
            tuple(each.is_selected for each in stats),
            tuple(reader.decoder(number) for number in range(len(stats))),
            reader.series_of_schema,
        )


class BatchedRun:
    """A run that was read in a batch: the part of ``SeriesReader`` about what has been read."""

    def __init__(self, run: Run, stats: RunStats, orders: StepOrders, first: int) -> None:
        """Use the orders of the batch, in which the series of the run are numbered from ``first``."""
        self.run = run
        self.stats = stats
        self.first = first
        self._orders = orders

    @property
    def started(self) -> float:
        """The wall time of the run's first event in seconds since the epoch; infinity if it is not known."""
        return RunReader(self.run).started

    @property
    def session_count(self) -> int:
        """The number of sessions that wrote values: one, if there are values."""
        return int(bool(self.stats.series))

    def stats_of(self, series: Series) -> SeriesStats:
        """Return the statistics of a series."""
        return self.stats.series[series.id]

    def step_orders(self) -> Iterator[tuple[Series, StepOrder]]:
        """Yield each series that was decoded with its plugin contents, and the order of its steps; none if all rise."""
        if self._orders.all_rise:
            return
        for number, stats in enumerate(self.stats.series, self.first):
            yield stats.series, self._orders.order(number)


class _BatchSeries(list[Series]):
    """The series of several small runs."""

    def form(self, number: int) -> Series:
        """Return a series."""
        return self[number]


class RunBatch:
    """Small runs whose files have been read into one block."""

    def __init__(self, plans: Plans, files: SmallFiles) -> None:
        """Start without runs; ``files`` are the files of the runs that are added."""
        self.runs: list[BatchedRun] = []
        self._plans = plans
        self._files = files
        self._schemas: list[ValueSchema] = []
        self._orders = StepOrders()
        #: The series of all runs, one run after the other.
        self._series = _BatchSeries()
        self._stats = SeriesColumns(self._series)
        self._is_selected: list[bool] = []
        self._decoders: list[Decoder] = []
        self._numbers: list[npt.NDArray[np.int32]] = []
        #: By the numbers of a run's schemas in the batch: its plan, and the number of each schema's series in the run.
        self._known: dict[tuple[int, ...], tuple[_Plan, npt.NDArray[np.int32]] | None] = {}

    def add(self, run: Run, file: FileStats) -> bool:
        """Add a run whose file is the last that was read, and return whether it is regular; if not, nothing is added.

        The counts of its series are filled by ``group``.
        """
        columns = self._files.columns
        start, stop = columns.size - file.values, columns.size
        ids = columns.schema_id[start:stop]
        found = self._plan(_in_order(ids, len(self._files.schemas)), start, stop)
        if found is None:
            columns.cut(start)
            return False
        plan, series_of_schema = found
        first = len(self._series)
        self._series += [
            Series(
                each.id, run.name, each.tag, each.kind, each.plugin_name, each.metadata, each.tag_bytes, each.signature,
                each.variant,
            )
            for each in plan.series
        ]  # fmt: skip
        self._is_selected += plan.is_selected
        self._decoders += plan.decoders
        self._numbers.append(series_of_schema[ids] + np.int32(first))
        stats = [SeriesStats(self._stats, number) for number in range(first, len(self._series))]
        self.runs.append(BatchedRun(run, RunStats(run.name, stats, [file]), self._orders, first))
        return True

    def _plan(self, ids: tuple[int, ...], start: int, stop: int) -> tuple[_Plan, npt.NDArray[np.int32]] | None:
        if ids in self._known:
            return self._known[ids]
        table = self._files.schemas
        for number in range(len(self._schemas), len(table)):
            self._schemas.append(ValueSchema.from_key(table.key(number)))
        series_of_schema = np.full(len(table), _DROPPED, np.int32)
        places = np.array(ids, np.int64)

        def block() -> ValueBlock:
            local = np.zeros(len(table), np.int32)
            local[places] = np.arange(len(ids), dtype=np.int32)
            columns = ValueColumns()
            for name in COLUMN_NAMES:
                setattr(columns, name, getattr(self._files.columns, name)[start:stop])
            columns.schema_id = local[columns.schema_id]
            columns.size = stop - start
            return ValueBlock(columns, self._files.block.buffer, 0)

        keys = tuple(table.key(number) for number in ids)
        plan = self._plans.of(keys, block)
        if plan is None:
            self._known[ids] = None
            return None
        series_of_schema[places] = plan.series_of_schema
        if self._plans.are_learned(keys):
            self._known[ids] = plan, series_of_schema
        return plan, series_of_schema

    def group(self) -> None:
        """Sort the values by series, and fill the statistics of the series."""
        columns, count = self._files.columns, len(self._series)
        size = columns.size
        numbers = np.concatenate([*self._numbers, np.empty(0, np.int32)])
        self._order, self._bounds = np.empty(size, np.int64), np.empty(count + 1, np.int64)
        default_scanner().group(numbers, np.arange(count, dtype=np.int32), self._order, self._bounds)
        first, last = self._order[self._bounds[:-1]], self._order[self._bounds[1:] - 1]
        starts = np.cumsum([0, *(len(each) for each in self._numbers)])[:-1]
        row_in_run = last - np.repeat(starts, [len(run.stats.series) for run in self.runs])
        for name, column in {
            "is_selected": np.array(self._is_selected, np.int8),
            "points": np.diff(self._bounds),
            "left_out": np.zeros(count, np.int64),
            "undecodable": np.zeros(count, np.int64),
            "first_step": columns.step[first],
            "last_step": columns.step[last],
            "first_wall_time": columns.wall_time[first],
            "last_wall_time": columns.wall_time[last],
            "last_row": row_in_run,
        }.items():
            getattr(self._stats, name).frombytes(column.tobytes())

    def decode(
        self,
        kind: str | None = None,
        *,
        with_contents: bool = False,
        is_wanted: Callable[[Series], bool] = lambda _: True,
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the selected series that are wanted; the rows of several runs may come together.

        The other arguments are those of ``RunReader.decode``; regular runs have no changes of plugin content.
        """
        present = list(range(len(self._series)))
        grouping = Grouping(self._files.block, 1, self._order, self._bounds, present)
        orders = self._orders if with_contents else None
        for batches in self._alike(kind, is_wanted):
            for decoder, numbers in batches:
                yield from decode_series(
                    decoder, numbers, grouping, self._stats, self._schemas, self._plans.options, orders, None
                )

    def _alike(
        self, kind: str | None, is_wanted: Callable[[Series], bool]
    ) -> Iterator[list[tuple[Decoder, list[int]]]]:
        """Yield the decoders of runs whose decoders come in the same order, each with the numbers of its series.

        So the rows of each run come in the order in which the run alone would give them.
        """
        groups: dict[tuple[tuple[Decoder, str], ...], dict[tuple[Decoder, str], tuple[Decoder, list[int]]]] = {}
        for run in self.runs:
            own: dict[tuple[Decoder, str], list[int]] = {}
            for number, stats in enumerate(run.stats.series, run.first):
                if stats.is_selected and kind in {None, stats.series.kind} and is_wanted(stats.series):
                    own.setdefault((self._decoders[number], stats.series.signature), []).append(number)
            group = groups.setdefault(tuple(own), {})
            for key, numbers in own.items():
                group.setdefault(key, (self._decoders[numbers[0]], []))[1].extend(numbers)
        for group in groups.values():
            yield list(group.values())


def _in_order(ids: npt.NDArray[np.int32], schemas: int) -> tuple[int, ...]:
    """Return the numbers of schemas that occur, below ``schemas``, in the order of their first values."""
    if len(ids) < _MANY_VALUES:
        return tuple(dict.fromkeys(ids.tolist()))
    first = np.full(schemas, -1)
    first[ids[::-1]] = np.arange(len(ids))[::-1]  # of several rows with a number, the last one counts: the first value
    present = np.flatnonzero(first >= 0)
    return tuple(present[np.argsort(first[present])].tolist())


def read_batches(
    runs: Sequence[Run], plans: Plans, chunk_size: int, report_bytes: Callable[[int], None]
) -> Iterator[RunBatch | Run]:
    """Yield the small runs in batches, and each other run unread, in any order.

    A batch is valid until the next item is requested. ``report_bytes`` is called with the number of bytes read since
    the last call. No more than ``chunk_size`` bytes of a file are held at once.
    """
    files = SmallFiles(default_scanner(), BATCH_BYTES, min(SMALL_FILE, chunk_size))
    small = [run for run in runs if len(run.files) == 1]
    yield from (run for run in runs if len(run.files) != 1)
    done = 0
    while done < len(small):
        batch = RunBatch(plans, files)
        waiting = small[done:]
        for run, stats in zip(waiting, files.read([run.files[0] for run in waiting]), strict=False):
            done += 1
            if stats is None or not batch.add(run, stats):
                yield run
            else:
                report_bytes(stats.bytes)
        if batch.runs:
            batch.group()
            yield batch
        files.clear()


def units(runs: Sequence[Run], workers: int | None) -> list[list[Run]]:
    """Return the runs in order, in units for a worker: a run of any size, or small local runs for ``read_batches``.

    There are several units for each worker, so that all of them end at about the same time.
    """
    check_workers(workers)
    is_small = _are_small(runs)
    limit = min(UNIT_RUNS, max(1, sum(is_small) // (_UNITS_OF_WORKER * (workers or default_workers()))))
    found: list[list[Run]] = []
    has_room = False
    for run, is_one in zip(runs, is_small, strict=True):
        if has_room and is_one:
            found[-1].append(run)
        else:
            found.append([run])
        has_room = is_one and len(found[-1]) < limit
    return found


def read_unit(
    runs: Sequence[Run],
    plans: Plans,
    chunk_size: int,
    report_bytes: Callable[[int], None],
    read: Callable[[Run, Callable[[int], None]], _Result],
    read_batch: Callable[[RunBatch, Callable[[int], None]], Sequence[_Result]],
) -> list[_Result]:
    """Return a result for each run of a unit, in their order.

    Args:
        runs: the runs.
        plans: the series of small runs.
        chunk_size: the number of bytes of a file to hold at once.
        report_bytes: called with the number of bytes read since the last call.
        read: returns the result of a run that is read on its own.
        read_batch: returns the results of the runs of a batch, in their order.
    """
    if len(runs) == 1:
        return [read(runs[0], report_bytes)]
    results: dict[str, _Result] = {}
    takes_turns = not are_compiled() and _are_tiny(runs)
    with plans.turns.turn() if takes_turns else contextlib.nullcontext():
        for item in read_batches(runs, plans, chunk_size, report_bytes):
            if isinstance(item, RunBatch):
                names = (each.run.name for each in item.runs)
                results.update(zip(names, read_batch(item, report_bytes), strict=True))
            else:
                results[item.name] = read(item, report_bytes)
    return [results[run.name] for run in runs]


def _are_small(runs: Sequence[Run]) -> list[bool]:
    """Return whether each run seems to be small; its file is measured again when it is opened."""
    single = [len(run.files) == 1 and not run.files[0].source.is_remote for run in runs]
    sizes = iter(file_batches().file_sizes([run.files[0].location for run in itertools.compress(runs, single)]))
    return [is_single and 0 <= next(sizes) <= SMALL_FILE for is_single in single]


def _are_tiny(runs: Sequence[Run]) -> bool:
    """Return whether the runs of a unit, which are small, seem to be tiny, by the first and the last."""
    sizes = file_batches().file_sizes([run.files[0].location for run in (runs[0], runs[-1])])
    return all(0 <= size <= _TINY_FILE for size in sizes)
