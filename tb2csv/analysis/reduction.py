"""``reduce``: tables of statistics across the runs of each group, such as seeds, for every step."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.aggregates import STATISTICS, aggregate, check_nan_policy
from tb2csv.analysis.alignment import DEFAULT_ALIGNMENTS, alignment_of
from tb2csv.analysis.bands import LIMITS, check_band
from tb2csv.analysis.run_groups import GroupPattern
from tb2csv.analysis.scalar_event_files import event_file_name, write_scalar_events
from tb2csv.conversion import check_apart
from tb2csv.dataframes import scan
from tb2csv.display import count
from tb2csv.errors import DamagedError, OptionError, OutputError, check_choice
from tb2csv.late_modules import np, pl
from tb2csv.layouts.bins import AXES, STEP
from tb2csv.layouts.manifest import TableEntry, write_manifest
from tb2csv.layouts.table_paths import TreePaths
from tb2csv.logdir import logdir_of
from tb2csv.messages import advice, command_line_spelling
from tb2csv.notes import Note
from tb2csv.report import Report, RunReport
from tb2csv.selection import select
from tb2csv.sinks.append_writer import TableRows
from tb2csv.sinks.formats import choose_format
from tb2csv.sinks.output_folder import OutputFolder
from tb2csv.sinks.row_buffer import RowBuffer
from tb2csv.sinks.table_writer import TableWriter, lost_cells

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from tb2csv.analysis.aggregates import Aggregate, AggregatedTag
    from tb2csv.logdir import LogdirSource
    from tb2csv.messages import Spelling
    from tb2csv.runs.run_reader import RunReader
    from tb2csv.scanned_logdir import ScannedLogdir
    from tb2csv.selection import Patterns, Selection
    from tb2csv.time_series import SeriesStats

_SCALARS: Final = "scalars"


@dataclass(frozen=True, slots=True)
class ReducedGroup:
    """A group of runs and its tags."""

    group: str
    runs: list[str]
    tags: list[AggregatedTag]


@dataclass(slots=True, repr=False)
class ReductionReport(Report):
    """The report of a reduction.

    Values of reduced series count as written, others as filtered. ``groups`` shows how many of the written values a
    later one of the same step replaced.
    """

    groups: list[ReducedGroup] = field(default_factory=list)
    #: Runs that the pattern does not match.
    unmatched_runs: list[str] = field(default_factory=list)

    def _display(self) -> Iterator[object]:
        yield from super(ReductionReport, self)._display()
        yield [
            f"group {each.group!r}: {count(len(each.tags), 'tag')} of {count(len(each.runs), 'run')}"
            for each in self.groups
        ]

    def members(self, spelling: Spelling = command_line_spelling) -> Iterator[tuple[str, Any]]:
        """Yield the members of ``to_dict``; see ``Report.members``."""
        yield from super(ReductionReport, self).members(spelling)
        yield "groups", [asdict(group) for group in self.groups]
        yield "unmatched_runs", self.unmatched_runs


def reduce(
    logdir: LogdirSource,
    out: str | os.PathLike[str],
    *,
    by: str,
    run: Patterns = None,
    tag: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    nan: str = "keep",
    align: str | None = None,
    band: str | None = None,
    x: str = "step",
    format: str = "csv",
    escape_formulas: bool = False,
    event_files: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> ReductionReport:
    """Write the statistics of each group of runs, with a row for each step, into the folder ``out``.

    Tables are at ``<group>/scalars/<tag>``, with the columns ``step, n, mean, std, min, median, max``, sorted by step.
    In a run the last value of a step counts; ``n`` is the number of runs with the step. ``std`` is the sample standard
    deviation, which divides by n - 1; missing if n is 1. With a band, ``low`` and ``high`` follow.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        out: the output folder, written atomically; if anything fails, an earlier one is unchanged.
        by: the pattern for groups of runs: see run_groups.py.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        nan: ``keep`` makes all statistics except ``n`` NaN if a value of the step is NaN; ``omit`` leaves NaN out, so
            that ``n`` is smaller.
        align: how runs of a group get common steps. ``exact`` compares equal steps only. ``bin:N`` takes the mean of
            each run in stretches of N steps or seconds. ``interpolate`` (linearly) and ``nearest`` give each run a
            value at all steps of the group between its first and its last step. The default is ``exact`` for steps,
            and ``interpolate`` for times.
        band: add the columns ``low`` and ``high``: ``std`` (mean and sample standard deviation), ``stderr`` (mean and
            standard error), ``bootstrap`` (95 % interval of the mean), ``minmax`` or ``quartiles``.
        x: the first column: ``step``, or ``relative`` for ``relative_time``, the seconds since the run's first event.
        format: the format of the tables, as in ``convert``.
        escape_formulas: as in ``convert``.
        event_files: write the statistics as event files as well, in the folders ``<group>/<statistic>``.
        overwrite: replace ``out`` if it holds only an earlier conversion or reduction.
        strict: raise DamagedError if any byte of any event file is damaged, and write nothing.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        OptionError: an option has an invalid value.
        LogdirError: there is nothing to read, or no run is in a group.
        OutputError: ``out`` cannot be used, or could not be written.
        DamagedError: bytes are damaged, and ``strict`` is true.
        Tb2csvError: no scalar is selected.
    """
    pattern = GroupPattern(by)
    check_nan_policy(nan)
    check_band(band)
    axis = _axis(x, event_files=event_files)
    alignment = alignment_of(align or axis.align)
    selected = select(selection, run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)
    if selected.kinds not in {(), (_SCALARS,)}:
        message = f"Only {_SCALARS} can be reduced, not {' and '.join(selected.kinds)}."
        raise OptionError(message)
    selected = replace(selected, kinds=(_SCALARS,))
    table_format = choose_format(format, escape_formulas=escape_formulas)
    folder = OutputFolder(out, overwrite=overwrite)
    check_apart(logdir_of(logdir), out)
    frames = scan(logdir, workers=workers, progress=progress)
    if strict:
        _check_undamaged(frames.report)
    chosen = {scanned.run.name: (scanned, stats) for scanned, stats in frames.choose(selected)}
    by_group, unmatched = pattern.group(chosen)
    with folder:  # published on exit
        try:
            writer = TableWriter(folder, table_format, RowBuffer(folder))
            reduction = _Reduction(folder, writer, list(by_group), axis)
            for group, members in by_group.items():
                rows = (axis.placed(frames.rows_of(*chosen[name]), chosen[name][0].reader) for name in members)
                statistics = aggregate(rows, nan, alignment=alignment, band=band)
                if statistics is not None:
                    reduction.write(group, members, statistics, has_event_files=event_files)
            reduced_series = {name: chosen[name][1] for members in by_group.values() for name in members}
            report = _report(frames, reduction.groups, reduced_series)
            report.unmatched_runs = unmatched
            report.shared_notes = _notes(report, nan, alignment.method)
            if axis.dateless:
                report.shared_notes.append(Note("values_dateless", count=axis.dateless))
            reduction.finish(report, escape_formulas=escape_formulas)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            message = (
                f"The tables could not be written to {folder.out} ({error.strerror or error}); nothing was changed."
            )
            raise OutputError(message) from error
    return report


@dataclass(slots=True)
class _Axis:
    """The x axis of a reduction, and the number of values without a place on it."""

    column: str
    align: str
    dateless: int = 0

    def placed(
        self, rows: list[tuple[SeriesStats, pl.DataFrame]], reader: RunReader
    ) -> Iterator[tuple[SeriesStats, pl.DataFrame]]:
        """Yield rows of a run whose ``step`` is their place on the axis."""
        if self.column == AXES[STEP]:
            yield from rows
            return
        times = [frame["wall_time"].to_numpy() for _, frame in rows]
        started = reader.started
        if not np.isfinite(started):
            started = min((float(each[0]) for each in times if each.size), default=0.0)
        for (stats, frame), wall_time in zip(rows, times, strict=True):
            seconds = pl.Series("step", wall_time - started)
            is_dated = seconds.is_finite()
            self.dateless += int((~is_dated).sum())
            yield stats, frame.with_columns(seconds).filter(is_dated)


def _axis(x: str, *, event_files: bool) -> _Axis:
    check_choice("axis", x, DEFAULT_ALIGNMENTS)
    if event_files and x != STEP:
        raise OptionError("Event files have steps, not times", advice("leave out {}", "event_files"))
    return _Axis(AXES[x], DEFAULT_ALIGNMENTS[x])


def _check_undamaged(report: Report) -> None:
    if report.damage:
        first = report.damage[0]
        fact = f"{first.path} is damaged at byte {first.offset} ({first.detail})"
        raise DamagedError(fact, *first.message.advice, advice("without {} the rest is reduced", "strict"))


class _Reduction:
    """The tables of all groups during the reduction."""

    def __init__(self, folder: OutputFolder, writer: TableWriter, groups: list[str], axis: _Axis) -> None:
        self.writer = writer
        self._axis = axis
        self.groups: list[ReducedGroup] = []
        self.entries: list[TableEntry] = []
        #: The folders of event files.
        self.event_folders: list[str] = []
        self._folder = folder
        self._paths = TreePaths(groups)
        self._event_paths = TreePaths(groups, holds_tables=False)

    def write(self, group: str, runs: list[str], found: Aggregate, *, has_event_files: bool) -> None:
        """Write the tables of a group."""
        self.groups.append(ReducedGroup(group, runs, found.tags))
        bounds = np.searchsorted(found.frame["series"].to_numpy(), np.arange(len(found.series) + 1))
        entries = []
        for number, (series, dtype) in enumerate(zip(found.series, found.dtypes, strict=True)):
            start, stop = int(bounds[number]), int(bounds[number + 1])
            table_path = self._paths.place(series._replace(run=group, variant=""), _SCALARS, "")
            frame = _table(found.frame[start:stop], dtype, self._axis.column)
            path = table_path.path + self.writer.format.suffix
            entry = TableEntry(
                path, group, series.tag, _SCALARS, _SCALARS, frame.schema, series.metadata, rows=len(frame)
            )
            if len(frame) and "step" in frame.columns:
                entry.first_step, entry.last_step = frame["step"][0], frame["step"][-1]
            self.writer.append(frame, [TableRows(path, 0, len(frame), is_first=True)])
            self.writer.finish(path)
            entries.append(entry)
        self.entries += sorted(entries, key=lambda entry: entry.path.split("/"))
        if has_event_files:
            self._write_event_files(group, found)

    def _write_event_files(self, group: str, found: Aggregate) -> None:
        """Write an event file for each statistic, in a run of its own."""
        frame = found.frame.sort("step", "series")
        tags = [series.tag for series in found.series]
        for name in STATISTICS:
            rows = frame.select("series", "wall_time", "step", name).drop_nulls(name)
            if not len(rows):
                continue
            folder = self._event_paths.below(group, name)
            self.event_folders.append(folder)
            with self._folder.open(f"{folder}/{event_file_name(rows['wall_time'][0])}") as file:
                write_scalar_events(file, ((tags[series], *others) for series, *others in rows.iter_rows()))

    def finish(self, report: ReductionReport, *, escape_formulas: bool) -> None:
        """Write the rest of the tables and the manifest, and add tables and notes to the report."""
        report.shared_tables = len(self.entries)
        self.writer.flush()
        lost, notes = lost_cells([self.writer])
        report.shared_notes += notes
        for entry in self.entries:
            entry.lost_cells = lost.get(entry.path, 0)
        write_manifest(
            self._folder,
            self.entries,
            self.event_folders,
            report,
            self.writer.format,
            escape_formulas=escape_formulas,
        )


def _table(rows: pl.DataFrame, dtype: pl.DataType, axis: str) -> pl.DataFrame:
    """Return the table of one tag; columns with values of the log have the type on disk."""
    value_dtype = pl.UInt8() if dtype == pl.Boolean else dtype
    limits = [name for name in LIMITS if name in rows.columns]
    table = rows.select(pl.col("step").alias(axis), *STATISTICS, *limits)
    return table.cast({"min": value_dtype, "max": value_dtype})


def _report(
    frames: ScannedLogdir, groups: list[ReducedGroup], series_by_run: dict[str, list[SeriesStats]]
) -> ReductionReport:
    """Return the report of all runs that were read; ``series_by_run`` has the reduced series."""
    report = frames.report
    runs = []
    for run_report in report.runs:
        reduced_series = series_by_run.get(run_report.run, [])
        undecodable = sum(stats.undecodable for stats in reduced_series)
        written = sum(stats.points for stats in reduced_series) - undecodable
        filtered = run_report.values_read - written - undecodable - run_report.values_empty
        counts = (run_report.values_read, written, filtered, undecodable)
        runs.append(RunReport(run_report.run, *counts, sources=run_report.sources, empty=run_report.empty))
    return ReductionReport(runs, report.folder_damage, groups=groups)


def _notes(report: ReductionReport, nan: str, align: str) -> list[Note]:
    """Return notes on differences between the runs of a group."""
    notes = []
    if report.unmatched_runs:
        runs = tuple(report.unmatched_runs)
        notes.append(Note("runs_in_no_group", count=len(runs), details={"runs": runs}))
    alone = {group.group: group.runs[0] for group in report.groups if len(group.runs) == 1}
    if alone:
        details = {"groups": tuple(alone), "runs": tuple(alone.values())}
        notes.append(Note("groups_of_one", count=len(alone), details=details))
    for group in report.groups:
        notes += _notes_on_group(group, nan, align)
    return notes


def _notes_on_group(group: ReducedGroup, nan: str, align: str) -> Iterator[Note]:
    size = len(group.runs)
    details = {"group": group.group}
    lacking = tuple((each.tag, each.runs) for each in group.tags if each.runs < size)
    if lacking:
        yield Note("group_tags_missing", count=size, counts=lacking, details=details)
    partial = [each for each in group.tags if each.partial_steps]
    if partial:
        counts = tuple((each.tag, each.partial_steps) for each in partial)
        steps = {"steps": tuple(each.steps for each in partial), "align": align}
        yield Note("group_steps_missing", counts=counts, details={**details, **steps})
    replaced = tuple((each.tag, each.replaced) for each in group.tags if each.replaced)
    if replaced:
        yield Note("group_values_replaced", counts=replaced, details=details)
    not_numbers = tuple((each.tag, each.nan) for each in group.tags if each.nan)
    if not_numbers:
        yield Note("group_nan", counts=not_numbers, details={**details, "nan": nan})
