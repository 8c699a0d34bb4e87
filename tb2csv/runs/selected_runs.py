"""The selected runs of a log directory, read in threads, and their report."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from tb2csv.decoders import DecodeOptions
from tb2csv.errors import check_whole_number
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.late_modules import load_polars
from tb2csv.logdir import logdir_of
from tb2csv.parallel import map_runs
from tb2csv.report import Report
from tb2csv.runs.run_batch import Plans, read_unit, units
from tb2csv.runs.run_reader import RunReader
from tb2csv.selection import Selection, raise_no_match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tb2csv.logdir import Logdir, LogdirSource, Run
    from tb2csv.report import RunReport
    from tb2csv.runs.run_batch import RunBatch
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.time_series import SeriesStats

_Result = TypeVar("_Result")


@dataclass(slots=True, eq=False, repr=False)
class SelectedRuns(Generic[_Result]):
    """The results of reading each selected run, in the order of the runs."""

    logdir: Logdir
    selection: Selection
    results: list[_Result]

    def report(self, runs: Iterable[RunReport]) -> Report:
        """Return the report of the log directory, given the report of each run."""
        return Report(list(runs), self.logdir.damage, logdirs=self.logdir.parts)

    def selected_series(self, runs: Iterable[RunStats]) -> list[SeriesStats]:
        """Return the selected series that have values, given the statistics of each run.

        Raises:
            Tb2csvError: there are series with values, but none of them is selected.
        """
        everything = [stats for run in runs for stats in run.series if stats.points]
        selected = [stats for stats in everything if stats.is_selected]
        if everything and not selected:
            raise_no_match(self.selection, (stats.series for stats in everything))
        return selected


def read_runs(
    logdir: LogdirSource,
    read: Callable[[Run, Callable[[int], None]], _Result],
    *,
    selection: Selection | None = None,
    workers: int | None = None,
    report_bytes: Callable[[int], None] = lambda _: None,
    decodes: bool = True,
    read_batch: Callable[[RunBatch, Callable[[int], None]], Sequence[_Result]] | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
) -> SelectedRuns[_Result]:
    """Call ``read`` for each selected run, several runs at once, and return the results.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        read: called with a run, and a function to call with the number of bytes read since the last call.
        selection: which runs to read; all by default.
        workers: the number of runs to read at once; by default one per processor.
        report_bytes: called with the number of bytes read since the last call, from any thread.
        decodes: whether ``read`` decodes values. If so, polars is imported while the first bytes are read.
        read_batch: if given, it is called with each batch of small runs, and ``read`` with the other runs.
        chunk_size: the number of bytes of a small file to hold at once.

    Raises:
        LogdirError: the log directory has no runs, or no run is selected.
    """
    check_whole_number("chunk_size", chunk_size, 1)
    found = logdir_of(logdir)
    selection = selection or Selection()
    warm_up = load_polars if decodes else None
    workers = found.workers(workers)
    runs = selection.choose_runs(found)
    if read_batch is None:
        results = map_runs(read, runs, workers=workers, report_bytes=report_bytes, warm_up=warm_up)
        return SelectedRuns(found, selection, results)
    plans = Plans(selection, DecodeOptions(limits=found.limits))

    def read_together(unit: list[Run], report_bytes: Callable[[int], None]) -> list[_Result]:
        return read_unit(unit, plans, chunk_size, report_bytes, read, read_batch)

    of_units = map_runs(
        read_together, units(runs, workers), workers=workers, report_bytes=report_bytes, warm_up=warm_up
    )
    return SelectedRuns(found, selection, list(itertools.chain.from_iterable(of_units)))


def count_runs(
    logdir: LogdirSource,
    selection: Selection,
    *,
    workers: int | None = None,
    report_bytes: Callable[[int], None] = lambda _: None,
) -> SelectedRuns[RunStats]:
    """Return the statistics of the selected runs, without decoding values; arguments and errors as of ``read_runs``."""

    def count(run: Run, report_bytes: Callable[[int], None]) -> RunStats:
        reader = RunReader(run, selection=selection, report_bytes=report_bytes)
        reader.count()
        return reader.stats

    return read_runs(
        logdir,
        count,
        selection=selection,
        workers=workers,
        report_bytes=report_bytes,
        decodes=False,
        read_batch=lambda batch, _: [run.stats for run in batch.runs],
    )
