"""The conversion of some runs of a log directory, in the process that has them: here, or elsewhere on a cluster."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import LogdirError, OutputError
from tb2csv.layouts.batch_writer import BatchWriter
from tb2csv.layouts.converted_run import ConvertedRun, kept, series_tags
from tb2csv.layouts.held_tables import SavedTable
from tb2csv.layouts.manifest import in_index_order
from tb2csv.layouts.run_writer import RunWriter
from tb2csv.messages import Option, advice
from tb2csv.parallel import map_runs
from tb2csv.runs.hparams_table import HparamsValue
from tb2csv.runs.merged_runs import ORIGINAL_RUN, runs_by_parent
from tb2csv.runs.run_batch import Plans, read_unit, units
from tb2csv.runs.run_metrics import RunMetrics
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.subruns import find_subruns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from tb2csv.event_files.event_file import FileStats, Fingerprint
    from tb2csv.layouts.output import Output
    from tb2csv.logdir import Run
    from tb2csv.report import RunReport
    from tb2csv.runs.reading_options import ReadingOptions
    from tb2csv.runs.run_batch import RunBatch
    from tb2csv.runs.run_metrics import ReadMetrics
    from tb2csv.runs.series_reader import ReadRun
    from tb2csv.runs.subruns import Subrun
    from tb2csv.time_series import Tagged
    from tb2csv.update_plan import GrownRun


#: The bytes that the state of reading has for each series, about, and how many times it has the tag.
_STATE_BYTES: Final = 256
_TAG_COPIES: Final = 3
#: A state of fewer bytes is kept in any case.
_SMALL_STATE: Final = 1 << 20


def _series_by_run(runs: list[Run], workers: int | None, chunk_size: int) -> dict[str, Collection[Tagged]]:
    """Scan runs for their series, which show the sub-runs."""

    def series_of(run: Run, report_bytes: Callable[[int], None]) -> Collection[Tagged]:
        # Report 0 bytes, because the conversion reads and reports them again.
        reader = RunReader(run, chunk_size=chunk_size, report_bytes=lambda _: report_bytes(0))
        reader.count()
        return [stats.series for stats in reader.stats.series]

    series = map_runs(series_of, runs, workers=workers)
    return {run.name: each for run, each in zip(runs, series, strict=True)}


class LogRuns(NamedTuple):
    """The runs of a conversion."""

    #: The runs that each run of the output is read from; several if sub-runs are merged into it, and none if it cannot
    #: be read now.
    by_name: dict[str, list[Run]]
    is_merged: bool
    #: If sub-runs are merged: the sub-runs, and the series of each run before the merge.
    subruns: Mapping[str, Subrun]
    original_series: Mapping[str, Collection[Tagged]]

    @classmethod
    def choose(cls, runs: list[Run], workers: int | None, chunk_size: int, *, merge_subruns: bool) -> LogRuns:
        """Return the runs, each with the sub-runs that are merged into it."""
        series_by_run = _series_by_run(runs, workers, chunk_size) if merge_subruns else {}
        subruns = find_subruns(series_by_run)
        return cls(runs_by_parent(runs, subruns), merge_subruns, subruns, series_by_run)

    def with_hidden(self, names: Iterable[str]) -> LogRuns:
        """Return these runs and those with ``names``, which cannot be read now, so that they have no files.

        Raises:
            LogdirError: sub-runs are merged, so that all runs would be converted anew.
        """
        if self.is_merged:
            message = (
                f"The run {min(names)!r} cannot be read now as a whole, and with merged sub-runs all runs are "
                "converted anew; the tables stay as they were until it can be read."
            )
            raise LogdirError(message)
        return self._replace(by_name={name: self.by_name.get(name, []) for name in sorted({*self.by_name, *names})})

    def part(self, names: Iterable[str]) -> LogRuns:
        """Return some runs of the output with what is needed to convert them."""
        by_name = {name: self.by_name[name] for name in names}
        merged = [run.name for runs in by_name.values() for run in runs]
        subruns = {name: self.subruns[name] for name in merged if name in self.subruns}
        return LogRuns(by_name, self.is_merged, subruns, {})


class RunConversion:
    """A conversion of runs into tables, except for the tables that are joined with those of other runs.

    Several threads may use it.
    """

    def __init__(
        self, runs: LogRuns, reading: ReadingOptions, output: Output, grown: Mapping[str, GrownRun] | None = None
    ) -> None:
        """Prepare to convert ``runs`` into ``output``; ``grown`` has the runs that are continued."""
        self._runs = runs
        self._reading = reading
        self._output = output
        self._grown = grown or {}
        self._sources = {run.name: run for merged in runs.by_name.values() for run in merged}
        self._series_plans = Plans(reading.selection, reading.decoding)
        #: The statistics of the scalars of runs that are continued, if the ledger has them.
        self.metrics: dict[str, ReadMetrics] = {}

    def units(self, names: list[str], workers: int | None) -> list[list[str]]:
        """Return runs in units for ``convert_unit``."""
        if self._runs.is_merged or not self._reading.rows.is_everything:
            return [[name] for name in names]
        new = [self._sources[name] for name in names if name not in self._grown]
        return [[name] for name in self._grown] + [[run.name for run in unit] for unit in units(new, workers)]

    def convert_unit(self, names: list[str], report_bytes: Callable[[int], None]) -> list[ConvertedRun]:
        """Read some runs and write their tables, except those that are joined with tables of other runs."""
        return read_unit(
            [self._sources[name] for name in names],
            self._series_plans,
            self._reading.chunk_size,
            report_bytes,
            lambda run, report_bytes: self._convert_run(run.name, report_bytes),
            self._convert_batch,
        )

    def _convert_batch(self, batch: RunBatch, report_bytes: Callable[[int], None]) -> list[ConvertedRun]:
        writer = BatchWriter(self._output, batch.runs)
        for item in batch.decode(with_contents=True):
            report_bytes(0)  # the callback may raise to cancel
            writer.add(item)
        converted = []
        for run in batch.runs:
            own = writer.writers[run.run.name]
            converted.append(self._finished(run.run.name, run, own, own.finish()))
        return converted

    def _convert_run(self, name: str, report_bytes: Callable[[int], None]) -> ConvertedRun:
        """Read a run and write its tables, except those that are joined with tables of other runs."""
        runs = self._runs.by_name[name]
        grown = self._grown.get(name)
        if self._runs.is_merged:
            reader = self._reading.merged_reader(name, runs, self._runs.subruns, report_bytes)
        else:
            reader = self._reading.reader(runs[0], report_bytes)
        writer = RunWriter(self._output, reader)
        if grown:
            assert isinstance(reader, RunReader)
            with self._output.folder.ledger.errors():
                if grown.state:
                    reader.resume(grown.state, grown.earlier.files, grown.unchanged_files)
                else:
                    for _ in reader.decode_again({file.path: file.bytes for file in grown.earlier.report.sources}):
                        pass
                    if _fingerprints(reader.stats.files) != _fingerprints(grown.earlier.report.sources):
                        return grown.earlier  # replaced since it was examined; the next update reads it anew
                    _check_kinds(grown.earlier, (stats.series for stats in reader.stats.series))
                writer.resume(grown.earlier)
        decoded = reader.decode(with_contents=True)
        metrics = None
        if grown and grown.metrics is not None:
            assert isinstance(reader, RunReader)
            with self._output.folder.ledger.errors():
                metrics = RunMetrics.from_data(grown.metrics, name, reader.stats.series)
            decoded = metrics.gathered_from(reader)
        converted = self._finished(name, reader, writer, writer.write(decoded))
        if metrics:
            self.metrics[name] = metrics.read(reader.stats_of)
        if grown:
            converted.hparams = [*grown.earlier.hparams, *converted.hparams]
        if isinstance(reader, RunReader) and self._output.options.is_continued:
            converted.files = reader.saved_files()
            converted.state = reader.save() if _is_state_smaller(reader) else None
        return converted

    def _finished(self, name: str, reader: ReadRun, writer: RunWriter, report: RunReport) -> ConvertedRun:
        """Write the tables that are joined within the run, and return what was converted."""
        held, entries, stored = writer.held, writer.entries, writer.stored
        if held:
            joined = self._output.layout.write_run(self._output, name, held)
            joined.account(report)
            entries = tuple(in_index_order([*entries, *joined.entries]))
            stored += joined.stored
        report.tables = len(entries)
        self._output.paths.release(name)
        series = reader.stats.series
        return ConvertedRun(
            report,
            entries,
            tuple(stored),
            tuple(held),
            tuple(self._hparams(name, writer)),
            series_tags(series),
            any(stats.is_selected for stats in series),
            self._output.paths.folder(name),
            kept(SavedTable, writer.save(entries)),
        )

    def _hparams(self, name: str, writer: RunWriter) -> Iterator[HparamsValue]:
        """Yield the values of the hparams plugin that were read."""
        for frame in writer.gathered.get("hparams", []):
            owners = frame[ORIGINAL_RUN] if self._runs.is_merged else [name] * len(frame)
            for value in zip(owners, frame["wall_time"], frame["content"], strict=True):
                yield HparamsValue(*value)


def _is_state_smaller(reader: RunReader) -> bool:
    """Return whether the state of reading takes fewer bytes than the files; else they are read again for an update."""
    size = sum(_STATE_BYTES + _TAG_COPIES * len(stats.series.tag_bytes) for stats in reader.stats.series)
    return size <= _SMALL_STATE or size < sum(file.bytes for file in reader.stats.files)


def _check_kinds(earlier: ConvertedRun, series: Iterable[Tagged]) -> None:
    """Check that a run that was read again has the series that it had.

    Raises:
        OutputError: it does not, because other decoders are installed.
    """
    for known, found in itertools.zip_longest(earlier.series, series):
        if not known or not found or (known.tag, known.kind) != (found.tag, found.kind):
            odd = known or found
            raise OutputError(
                f"The tag {odd.tag!r} of the run {earlier.report.run!r} has the kind {odd.kind} in the tables, but no "
                "longer, because another decoder is installed",
                advice("install the earlier one again"),
                advice("{} to convert everything anew", Option("overwrite", value=True)),
            )


def _fingerprints(files: Iterable[FileStats]) -> dict[str, Fingerprint]:
    return {stats.path: stats.fingerprint for stats in files}
