"""The functions ``ls`` and ``check``, which read a log directory without decoding its payloads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tb2csv.display import displayed
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.messages import command_line_spelling
from tb2csv.report import Report, RunReport
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.selected_runs import count_runs, read_runs
from tb2csv.runs.step_gaps import gaps_in_damaged_files
from tb2csv.selection import select
from tb2csv.series_info import SeriesInfo, series_frame, series_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from tb2csv.logdir import LogdirSource, Run
    from tb2csv.messages import Spelling
    from tb2csv.runs.run_batch import RunBatch
    from tb2csv.runs.step_gaps import StepGaps
    from tb2csv.selection import Patterns, Selection


@displayed()
class Listing(NamedTuple):
    """The result of ``ls``: the series, and the report on all event files."""

    series: list[SeriesInfo]
    report: Report

    @property
    def table(self) -> pl.DataFrame:
        """The series as a frame, one row each, with the fields of SeriesInfo as columns."""
        return series_frame(self.series)

    def _display(self) -> Iterator[object]:
        yield f"<Listing: {len(self.series):,} series>"
        yield self.table
        yield self.report


@dataclass(slots=True, repr=False)
class CheckReport(Report):
    """The report of ``check``: every byte, and the values that may be missing in damaged files."""

    #: The gaps in the steps of regular tags in files that lost bytes.
    gaps: list[StepGaps] = field(default_factory=list)

    @property
    def values_missing(self) -> int:
        """The number of values that fit into the gaps; others may be missing as well."""
        return sum(each.missing for each in self.gaps)

    def _display(self) -> Iterator[object]:
        yield from super(CheckReport, self)._display()
        yield [f"{each.path}: {each.missing:,} values of tag {each.tag!r} may be missing" for each in self.gaps]

    def members(self, spelling: Spelling = command_line_spelling) -> Iterator[tuple[str, Any]]:
        """Yield the members of ``to_dict``; see ``Report.members``."""
        yield from super(CheckReport, self).members(spelling)
        yield "values_missing", self.values_missing
        yield "gaps", [each._asdict() for each in self.gaps]


def ls(
    logdir: LogdirSource,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    kind: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Listing:
    """Return every selected time series, run by run in the order of first values, without decoding values.

    Points are counted from all records; nothing is sampled.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        kind: one or more names of kinds; None selects all kinds.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: no event files were found, or no run matches.
        OptionError: a kind is unknown.
        Tb2csvError: no tag matches.
    """
    selected = select(selection, run=run, tag=tag, kind=kind, exclude_run=exclude_run, exclude_tag=exclude_tag)

    counted = count_runs(logdir, selected, workers=workers, report_bytes=progress)
    report = counted.report(stats.report() for stats in counted.results)
    report.check_event_files()
    return Listing([series_info(stats) for stats in counted.selected_series(counted.results)], report)


def check(
    logdir: LogdirSource,
    *,
    run: Patterns = None,
    exclude_run: Patterns = None,
    selection: Selection | None = None,
    workers: int | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    progress: Callable[[int], None] = lambda _: None,
) -> CheckReport:
    """Read every record of the selected runs, verify its checksums, and return the report on all bytes.

    Nothing is written or decoded. Runs with lost bytes are read twice: ``gaps`` of the report has the tags whose steps
    are regular except for gaps, with the number of values that may be missing there.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        run: one or more shell patterns for run names; None selects all runs.
        exclude_run: shell patterns for runs to leave out.
        selection: a Selection to use for the filters that are not passed individually. Only its patterns for runs
            are used, because files are checked as a whole.
        workers: the number of runs to read at once; by default one per processor.
        chunk_size: the maximum number of bytes of an event file in memory, except for larger records.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: no event files were found, or no run matches.
    """
    selected = select(selection, run=run, exclude_run=exclude_run)

    def read(run: Run, report_bytes: Callable[[int], None]) -> tuple[RunReport, list[StepGaps]]:
        reader = RunReader(run, chunk_size=chunk_size, report_bytes=report_bytes)
        report = RunReport(run.name, sum(block.value_count for block in reader.scan()), sources=reader.stats.files)
        return report, gaps_in_damaged_files(run, reader.stats.files, chunk_size, report_bytes)

    def of_batch(batch: RunBatch, _: Callable[[int], None]) -> list[tuple[RunReport, list[StepGaps]]]:
        return [(RunReport(run.run.name, run.stats.values_read, sources=run.stats.files), []) for run in batch.runs]

    checked = read_runs(
        logdir,
        read,
        selection=selected,
        workers=workers,
        report_bytes=progress,
        decodes=False,
        read_batch=of_batch,
        chunk_size=chunk_size,
    )
    reports, gaps = zip(*checked.results, strict=True)
    report = CheckReport(list(reports), checked.logdir.damage, gaps=list(itertools.chain.from_iterable(gaps)))
    report.check_event_files()
    return report
