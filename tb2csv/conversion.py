"""Conversion of a log directory into a folder of tables."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from tb2csv.decoders import DecodeOptions, load_polars
from tb2csv.errors import UNREADABLE, DamagedError, LogdirError, OutputError
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.layouts.batch_writer import BatchWriter
from tb2csv.layouts.manifest import TableEntry, write_manifest
from tb2csv.layouts.output import Output
from tb2csv.layouts.output_options import OutputOptions
from tb2csv.layouts.run_writer import RunWriter
from tb2csv.layouts.table_paths import HPARAMS_PATH
from tb2csv.layouts.time_columns import TimeColumns
from tb2csv.logdir import logdir_of
from tb2csv.messages import advice
from tb2csv.parallel import map_runs
from tb2csv.report import Report, RunReport
from tb2csv.runs.hparams_table import HparamsValue, trials
from tb2csv.runs.merged_runs import ORIGINAL_RUN, families, with_parents
from tb2csv.runs.reading_options import ReadingOptions
from tb2csv.runs.row_selection import RowSelection
from tb2csv.runs.run_batch import Plans, read_unit, units
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.scalar_statistics import read_metrics
from tb2csv.runs.subruns import find_subruns, notes_on
from tb2csv.runs.trial_metrics import LogScalars
from tb2csv.selection import raise_no_match, select
from tb2csv.sinks.output_folder import OutputFolder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from tb2csv.errors import Damage
    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.logdir import Logdir, LogdirSource, Run
    from tb2csv.runs.run_batch import RunBatch
    from tb2csv.runs.scalar_statistics import MetricSummary
    from tb2csv.runs.series_reader import ReadRun
    from tb2csv.runs.subruns import Subrun
    from tb2csv.selection import Patterns, Selection
    from tb2csv.time_series import Series


class _ConvertedRun(NamedTuple):
    report: RunReport
    #: The index entries of the run's tables, and their folders of files.
    entries: list[TableEntry]
    stored: list[str]
    #: The tables whose rows are held until all runs have been read.
    held: list[HeldTable]
    #: The values of the hparams plugin, each with the run that it was written to.
    hparams: list[HparamsValue]
    series: list[Series]
    #: Whether any of the series is selected.
    is_selected: bool


def convert(
    logdir: LogdirSource,
    out: str | os.PathLike[str],
    *,
    run: Patterns = None,
    tag: Patterns = None,
    kind: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    rows: RowSelection | None = None,
    layout: str = "tree",
    format: str = "csv",
    header: str = "plain",
    on_duplicate: str = "last",
    tensors: str = "elements",
    merge_subruns: bool = False,
    time: Sequence[str] = ("epoch",),
    relative_to: str = "run",
    escape_formulas: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    workers: int | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Write every value below ``logdir`` as tables to the folder ``out``, and return a report.

    Args:
        logdir: a folder, an event file, an fsspec URL, what ``discover`` returned for it, or open frames.
        out: the output folder. It is written atomically: if the conversion fails, an earlier ``out`` stays as it was.
        run: runs: a shell pattern, several of them, or None for all.
        tag: tags, in the same way.
        kind: kinds by name.
        exclude_run: runs to leave out.
        exclude_tag: tags to leave out.
        selection: a Selection, for the arguments that are not given.
        rows: the rows to convert, by step and restart, and whether to add their sessions; all rows if None.
        layout: ``tree`` (a table for each run and tag), ``tags`` (for each tag, with a column ``run``), ``wide``
            (for each run, scalars side by side by step) or ``long`` (for each kind, with columns ``run`` and ``tag``).
        format: the format of the tables: ``csv``, ``csv.gz``, ``csv.zst``, ``parquet``, ``arrow``, ``jsonl``, or the
            name of an entry point of the group ``tb2csv.sinks``.
        header: ``plain``, or ``tensorboard`` for scalars with the file names, the header and the numbers of
            TensorBoard's own download.
        on_duplicate: which of a tag's values for one step the ``wide`` layout keeps: the ``last``, the ``first``, or
            ``error`` to raise an error.
        tensors: the layout of tensors: ``elements`` (a row for each element), ``wide`` (a row for each step),
            ``base64`` or ``npy`` (files next to the table).
        merge_subruns: merge the sub-runs that ``add_scalars`` and ``add_hparams`` of PyTorch and tensorboardX made into
            their parents, and add a column ``original_run`` with the run that each row was written to.
        time: the time columns: ``epoch`` (``wall_time``, in seconds since 1970), ``iso`` (``time_utc``, to the
            microsecond) and ``relative`` (``relative_time``, in seconds).
        relative_to: the origin of relative times: the first event of the ``run``, or the tag's ``first-step``.
        escape_formulas: put an apostrophe before text in CSV that a spreadsheet would take for a formula.
        overwrite: replace an ``out`` that contains an earlier conversion and nothing else.
        strict: if any byte of an event file is damaged, raise DamagedError and write nothing.
        workers: the number of runs to convert at once; by default the number of processors, or more
            for a URL.
        chunk_size: the number of bytes of an event file to hold at once; larger records are held whole.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        OptionError: an option has an unknown value, or two options exclude each other.
        LogdirError: there is nothing to convert.
        OutputError: ``out`` cannot be used or written.
        DamagedError: an event file is damaged, and ``strict`` is set.
        Tb2csvError: nothing is selected, or a tag has several values for a step and ``on_duplicate`` is ``error``.
    """
    selection = select(selection, run=run, tag=tag, kind=kind, exclude_run=exclude_run, exclude_tag=exclude_tag)
    rows = rows or RowSelection()
    times = TimeColumns((time,) if isinstance(time, str) else tuple(time), relative_to)
    output_options = OutputOptions(
        layout, format, header, on_duplicate, times, escape_formulas, rows.sessions, merge_subruns
    )
    reading = ReadingOptions(selection, rows, DecodeOptions(tensors), chunk_size)
    folder = OutputFolder(out, overwrite=overwrite)
    found = logdir_of(logdir)
    check_apart(found, folder.out)
    workers = found.workers(workers)
    runs = _Runs.choose(selection.choose_runs(found), workers, chunk_size, merge_subruns=merge_subruns)
    conversion = _Conversion(runs, reading, Output(folder, runs.by_name, output_options))
    with folder:
        try:
            of_units = map_runs(
                conversion.convert_unit,
                conversion.units(workers),
                workers=workers,
                report_bytes=progress,
                warm_up=load_polars,
            )
            converted = list(itertools.chain.from_iterable(of_units))
            report = Report([each.report for each in converted], found.damage)
            if not runs.is_merged:
                report.shared_notes = notes_on(find_subruns({each.report.run: each.series for each in converted}))
            report.check_event_files()
            if strict and report.damage:
                _raise_damage(report.damage[0])
            if report.values_read and report.values_filtered == report.values_read:
                if any(each.is_selected for each in converted):
                    rows.raise_no_match()
                raise_no_match(selection, (series for each in converted for series in each.series))
            conversion.finish(converted, report)
        except OSError as error:
            if isinstance(error, (OutputError, LogdirError)):
                raise
            reason = error.strerror or error
            message = f"The tables could not be written to {folder.out} ({reason}); nothing was changed."
            raise OutputError(message) from error
    return report


def _raise_damage(first: Damage) -> NoReturn:
    if first.kind == UNREADABLE:
        what = f"{first.path}: {first.detail}"
    else:
        what = f"{first.path} is damaged at byte {first.offset} ({first.detail})"
    raise DamagedError(what, advice("without {} the rest is converted", "strict"))


def check_apart(logdir: Logdir, out: Path) -> None:
    """Raise OutputError if ``out`` is in the log directory, or would replace a folder that contains it."""
    if logdir.is_remote:
        return
    inside = Path(logdir.path).resolve()
    if inside.is_file():
        inside = inside.parent
    target = out.resolve()
    if target == inside or inside in target.parents:
        message = f"{out} is in the log directory, so the next conversion would read it; choose a folder elsewhere."
        raise OutputError(message)
    if target in inside.parents and out.exists():
        message = f"{out} contains the log directory; choose a folder elsewhere."
        raise OutputError(message)


def _series_by_run(runs: list[Run], workers: int | None, chunk_size: int) -> dict[str, list[Series]]:
    """Scan runs for their series, which show the sub-runs."""

    def series_of(run: Run, report_bytes: Callable[[int], None]) -> list[Series]:
        # Report 0 bytes, because the conversion reads and reports them again.
        reader = RunReader(run, chunk_size=chunk_size, report_bytes=lambda _: report_bytes(0))
        reader.count()
        return [stats.series for stats in reader.stats.series]

    series = map_runs(series_of, runs, workers=workers)
    return {run.name: each for run, each in zip(runs, series, strict=True)}


class _Runs(NamedTuple):
    """The runs of a conversion."""

    #: The runs that each run of the output is read from; several if sub-runs are merged into it.
    by_name: dict[str, list[Run]]
    is_merged: bool
    #: If sub-runs are merged: the sub-runs, and the series of each run before the merge.
    subruns: Mapping[str, Subrun]
    original_series: Mapping[str, list[Series]]

    @classmethod
    def choose(cls, runs: list[Run], workers: int | None, chunk_size: int, *, merge_subruns: bool) -> _Runs:
        """Return the runs, each with the sub-runs that are merged into it."""
        series_by_run = _series_by_run(runs, workers, chunk_size) if merge_subruns else {}
        subruns = find_subruns(series_by_run)
        return cls(families(runs, subruns), merge_subruns, subruns, series_by_run)


class _Conversion:
    """A conversion of runs, several at once, and of the tables that belong to several runs."""

    def __init__(self, runs: _Runs, reading: ReadingOptions, output: Output) -> None:
        """Prepare to convert ``runs`` into ``output``."""
        self._runs = runs
        self._reading = reading
        self._output = output
        self._sources = {run.name: run for merged in runs.by_name.values() for run in merged}
        self._plans = Plans(reading.selection, reading.decoding)
        self._metrics: dict[str, Mapping[str, MetricSummary]] = {}

    def units(self, workers: int | None) -> list[list[str]]:
        """Return the runs in units for ``convert_unit``."""
        if self._runs.is_merged or not self._reading.rows.is_everything:
            return [[name] for name in self._runs.by_name]
        runs = [run for merged in self._runs.by_name.values() for run in merged]
        return [[run.name for run in unit] for unit in units(runs, workers)]

    def convert_unit(self, names: list[str], report_bytes: Callable[[int], None]) -> list[_ConvertedRun]:
        """Read some runs and write their tables, except those that are joined with tables of other runs."""
        return read_unit(
            [self._sources[name] for name in names],
            self._plans,
            self._reading.chunk_size,
            report_bytes,
            lambda run, report_bytes: self._convert_run(run.name, report_bytes),
            self._convert_batch,
        )

    def _convert_batch(self, batch: RunBatch, report_bytes: Callable[[int], None]) -> list[_ConvertedRun]:
        writer = BatchWriter(self._output, batch.runs)
        for item in batch.decode(with_contents=True):
            report_bytes(0)  # the callback may raise to cancel
            writer.add(item)
        converted = []
        for run in batch.runs:
            own = writer.writers[run.run.name]
            converted.append(self._finished(run.run.name, run, own, own.finish()))
        return converted

    def _convert_run(self, name: str, report_bytes: Callable[[int], None]) -> _ConvertedRun:
        """Read a run and write its tables, except those that are joined with tables of other runs."""
        runs = self._runs.by_name[name]
        if self._runs.is_merged:
            reader = self._reading.merged_reader(name, runs, self._runs.subruns, report_bytes)
        else:
            reader = self._reading.reader(runs[0], report_bytes)
        writer = RunWriter(self._output, reader)
        return self._finished(name, reader, writer, writer.write(reader.decode(with_contents=True)))

    def _finished(self, name: str, reader: ReadRun, writer: RunWriter, report: RunReport) -> _ConvertedRun:
        """Write the tables that are joined within the run, and return what was converted."""
        joined = self._output.layout.write_run(self._output, name, writer.held)
        report.values_written -= joined.left_out
        report.values_filtered += joined.left_out
        report.notes += joined.notes
        entries = sorted([*writer.entries, *joined.entries], key=lambda entry: entry.path.split("/"))
        report.tables = len(entries)
        return _ConvertedRun(
            report,
            entries,
            [*writer.stored, *joined.stored],
            joined.held,
            [
                HparamsValue(*value)
                for frame in writer.gathered.get("hparams", [])
                for value in zip(
                    frame[ORIGINAL_RUN] if self._runs.is_merged else [name] * len(frame),
                    frame["wall_time"],
                    frame["content"],
                    strict=True,
                )
            ],
            [stats.series for stats in reader.stats.series],
            any(stats.is_selected for stats in reader.stats.series),
        )

    def finish(self, converted: list[_ConvertedRun], report: Report) -> None:
        """Write the tables of several runs, and the manifest."""
        output = self._output
        joined = output.layout.write_log(output, [table for each in converted for table in each.held])
        entries = [entry for each in converted for entry in each.entries] + joined.entries
        stored = [folder for each in converted for folder in each.stored] + joined.stored
        entries += self._write_hparams(converted, report)
        lost, notes = output.flush()
        report.shared_notes += notes
        for entry in entries:
            entry.lost_cells = lost.get(entry.path, 0)
        report.shared_tables = len(entries) - sum(each.report.tables for each in converted)
        options = output.options
        write_manifest(
            output.folder, entries, stored, report, options.table_format, escape_formulas=options.escape_formulas
        )

    def _write_hparams(self, converted: list[_ConvertedRun], report: Report) -> list[TableEntry]:
        """Write the table of trials from the values of all runs, and return its entry, if there are trials."""
        values = [value for each in converted for value in each.hparams]
        if not values:
            return []
        series = self._runs.original_series or {each.report.run: each.series for each in converted}
        table, notes = trials(values, LogScalars(series, self._metrics_of))
        report.shared_notes += notes
        if self._runs.is_merged:
            parents = {value.run: each.report.run for each in converted for value in each.hparams}
            table = with_parents(table, parents)
        writer = self._output.tree_writer()
        path = HPARAMS_PATH + writer.format.suffix
        writer.write(path, [table])
        return [TableEntry(path, None, None, "hparams", "hparams", table.schema, rows=len(table))]

    def _metrics_of(self, name: str) -> Mapping[str, MetricSummary]:
        """Return the statistics of a run's scalars, whether they are selected or not.

        Any scalar can be the metric of a trial, so the few runs that have metrics are read again.
        """
        if name not in self._metrics:
            run = self._sources.get(name)
            self._metrics[name] = read_metrics(run, chunk_size=self._reading.chunk_size) if run else {}
        return self._metrics[name]
