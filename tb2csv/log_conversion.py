"""The conversion of the runs of a log directory, several at once, and of the tables that belong to several runs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tb2csv.late_modules import load_polars
from tb2csv.layouts.joined_parts import EarlierWide, JoinedParts
from tb2csv.layouts.manifest import AllEntries, TableEntry, write_manifest
from tb2csv.layouts.table_paths import HPARAMS_PATH
from tb2csv.notes import Note
from tb2csv.parallel import map_runs
from tb2csv.run_conversion import RunConversion
from tb2csv.runs.hparams_table import trials
from tb2csv.runs.merged_runs import with_parents
from tb2csv.runs.run_metrics import METRICS_FACT, ReadMetrics, RunMetrics, read_metrics, read_metrics_again
from tb2csv.runs.trial_metrics import LogScalars
from tb2csv.sinks.ledger import LedgerRow
from tb2csv.sinks.row_files import kept_file
from tb2csv.update_plan import versions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tb2csv.dask_cluster import DaskCluster
    from tb2csv.event_files.event_file import FileStats
    from tb2csv.layouts.converted_run import ConvertedRun
    from tb2csv.layouts.output import Output
    from tb2csv.logdir import EventFile, Run
    from tb2csv.report import Report, RunReport
    from tb2csv.run_conversion import LogRuns
    from tb2csv.runs.reading_options import ReadingOptions
    from tb2csv.runs.run_metrics import MetricSummary
    from tb2csv.update_plan import EarlierRuns, UpdatePlan


class LogConversion:
    """A conversion of runs, several at once, and of the tables that belong to several runs."""

    def __init__(
        self,
        runs: LogRuns,
        reading: ReadingOptions,
        output: Output,
        plan: UpdatePlan,
        earlier_runs: EarlierRuns | None = None,
    ) -> None:
        """Prepare to convert ``runs`` into ``output``; ``plan`` has the runs that are continued."""
        self._runs = runs
        self._reading = reading
        self._output = output
        self._plan = plan
        self._earlier_runs = earlier_runs
        self._metrics: dict[str, ReadMetrics] = {}
        #: The files of each run as they were read.
        self._files_read: dict[str, list[FileStats]] = {}
        #: The results of the runs that were converted now.
        self._converted: dict[str, ConvertedRun] = {}
        self._is_restored = False
        #: The files of the tables of several runs, if they were written.
        self._shared_files: list[str] | None = None
        #: The tables in the index, and the folders of their files, after ``finish``.
        self.entries: Collection[TableEntry] = ()
        self.stored: list[str] = []

    def convert(
        self, workers: int | None, progress: Callable[[int], None], cluster: DaskCluster | None = None
    ) -> list[RunReport]:
        """Convert the runs that have changed; return the reports of all, in the order of the runs."""
        unchanged = self._plan.unchanged
        names = [name for name in self._runs.by_name if name not in unchanged]
        if cluster is not None:
            from tb2csv.cluster_conversion import convert_on_cluster

            with cluster:
                self._converted = convert_on_cluster(cluster, self._runs, self._reading, self._output, progress)
        elif names:
            self._restore_joined()
            conversion = RunConversion(self._runs, self._reading, self._output, self._plan.grown)
            done_units = map_runs(
                conversion.convert_unit,
                conversion.units(names, workers),
                workers=workers,
                report_bytes=progress,
                warm_up=load_polars,
            )
            self._converted = {each.report.run: each for unit in done_units for each in unit}
            self._metrics = conversion.metrics
        return [(self._converted.get(name) or unchanged[name]).report for name in self._runs.by_name]

    @functools.cached_property
    def _sources(self) -> dict[str, Run]:
        """The runs by name, also those that are merged into others."""
        return {run.name: run for merged in self._runs.by_name.values() for run in merged}

    @functools.cached_property
    def results(self) -> list[ConvertedRun]:
        """The results of all runs, in their order. Those of unchanged runs are loaded now."""
        earlier = self._earlier_runs.results(self._plan.unchanged) if self._earlier_runs else {}
        return [self._converted.get(name) or earlier[name] for name in self._runs.by_name]

    def finish_runs(self) -> None:
        """Complete the tables of the runs that have changed, but neither those of several runs nor the manifest."""
        lost_cells, _ = self._output.flush()
        for each in self._converted.values():
            each.set_lost_cells(lost_cells)

    def _restore_joined(self) -> None:
        """Restore the tables of several runs, and the rows of joined tables, as far as their runs are not read anew."""
        plan, output = self._plan, self._output
        if self._earlier_runs is None or self._is_restored:
            return
        self._is_restored = True
        ledger = output.folder.ledger
        kept = ledger.fact("kept")
        unchanged = self._earlier_runs.results(plan.unchanged if kept else ())
        continued = [*unchanged.values(), *(grown.earlier for grown in plan.grown.values())]
        paths = {table.path for each in continued for table in each.held}
        with ledger.errors():
            output.earlier = {path: JoinedParts.from_data(parts) for path, parts in ledger.fact("joined").items()}
            output.held.restore(kept, paths)
        for run, grown in plan.grown.items():
            earlier = grown.earlier
            notes = (note for note in earlier.report.notes if note.kind == "duplicates_left_out")
            own = {table.entry for table in earlier.tables}
            for number, entry in enumerate(earlier.entries):
                if number not in own:  # it joins the held tables
                    output.earlier_wide[run] = EarlierWide(
                        entry,
                        [held.path for held in earlier.held],
                        earlier.held[0].origin,
                        earlier.lengths[entry.path],
                        left_out=sum(note.count or 0 for note in notes),
                    )

    def finish(self, report: Report) -> None:
        """Write the tables of several runs, and the manifest."""
        output, converted = self._output, self.results
        self._restore_joined()
        kept = [entry for each in converted if each.report.run not in self._converted for entry in each.entries]
        if lost := {entry.path: entry.lost_cells for entry in kept if entry.lost_cells}:
            output.tree_writer().lost_cells.update(lost)
        joined = output.layout.write_log(output, [table for each in converted for table in each.held])
        for each in self._converted.values():  # the account of other runs has been written by the update that did
            joined.account(each.report)
        report.shared_notes += [note for note in joined.notes if note.run is None]
        self._joined = joined.parts
        stored = [folder for each in converted for folder in each.stored] + joined.stored
        hparams = self._write_hparams(converted, report)
        shared = [*joined.entries, *hparams]
        lost_cells, notes = output.flush()
        report.shared_notes += notes
        self._lost_cells = lost_cells
        for each in converted:
            each.set_lost_cells(lost_cells)
        for entry in shared:
            entry.lost_cells = lost_cells.get(entry.path, 0)
        entries = AllEntries([*(each.entries for each in converted), shared])
        report.shared_tables = len(entries) - sum(each.report.tables for each in converted)
        options = output.options
        write_manifest(
            output.folder, entries, stored, report, options.table_format, escape_formulas=options.escape_formulas
        )
        self._shared_files = [*(entry.path for entry in shared), *joined.stored]
        self.entries, self.stored = entries, stored

    def restore(self, report: Report) -> None:
        """Complete the report of an update that does not write tables of several runs."""
        report.shared_tables, notes = self._output.folder.ledger.fact("shared")
        report.shared_notes = [Note.from_data(note) for note in notes]

    def record_versions(self) -> None:
        """Remember the versions of the files of unchanged runs."""
        if self._plan.versions:
            ledger = self._output.folder.ledger
            ledger.put_files(self._plan.versions)
            ledger.commit()

    def record(self, report: Report, options: dict[str, Any]) -> None:
        """Put what the next update must know into the ledger and into the earlier runs, and commit it.

        If ``finish`` was not called, the tables of several runs and the manifest are marked as out of date.
        """
        folder, plan = self._output.folder, self._plan
        ledger = folder.ledger
        ledger.put_fact("options", options)
        ledger.remove_runs(plan.removed)
        ledger.put_files(plan.versions)
        ledger.put_runs(self._rows())
        ledger.remove_facts(METRICS_FACT + name for name in plan.replaced)
        for name, metrics in self._metrics.items():
            if metrics.data is not None:
                ledger.put_fact(METRICS_FACT + name, metrics.data)
        removed = [path for each in plan.replaced.values() for path in _paths(each)]
        if self._shared_files is not None:
            removed += self._record_shared(self._shared_files, report)
        ledger.put_fact("is_manifest_due", self._shared_files is None)
        ledger.put_fact("folder_damage", [[damage.path, *damage.to_data()] for damage in report.folder_damage])
        folder.commit(removed)
        if self._earlier_runs is not None:
            reports = {
                name: (versions_of(self._files(name), each.report), each.report_data())
                for name, each in self._converted.items()
            }
            self._earlier_runs.put(reports, plan.removed, plan.versions)

    def _rows(self) -> Iterator[LedgerRow]:
        """Yield what the ledger gets of each run that was converted."""
        for name, each in self._converted.items():
            yield LedgerRow(
                name,
                versions_of(self._files(name), each.report),
                each.report_data(),
                each.tables_texts(self._output.folder.length),
                each.state,
            )
            each.state = None

    def _record_shared(self, files: list[str], report: Report) -> Iterator[str]:
        """Put the tables of several runs and the kept rows into the ledger; yield the paths of what must be removed."""
        folder, held = self._output.folder, self._output.held
        ledger = folder.ledger
        yield from (path for path in ledger.fact("shared_files") or () if path not in files)
        ledger.put_fact("shared_files", files)
        ledger.put_fact("shared", [report.shared_tables, [note.to_data() for note in report.shared_notes]])
        for path, parts in self._joined.items():
            parts.length, parts.lost_cells = folder.length(path), self._lost_cells.get(path, 0)
        ledger.put_fact("joined", {path: parts.to_data() for path, parts in self._joined.items()})
        kept = held.keep()
        yield from (kept_file(int(number)) for number in (ledger.fact("kept") or {}) if number not in kept)
        ledger.put_fact("kept", kept)
        # The folders of files that are elsewhere now, or made anew.
        folders = {part.path: part.folder for table in self._joined.values() for part in table.parts}
        for table in self._output.earlier.values():
            for part in table.parts:
                is_kept = held.is_restored(part.path) and folders.get(part.path) == part.folder
                if part.folder and not is_kept:
                    yield part.folder

    def _files(self, name: str) -> list[EventFile]:
        """Return the event files of a run, or of all runs that are merged into it."""
        return [file for run in self._runs.by_name[name] for file in run.files]

    def _write_hparams(self, converted: list[ConvertedRun], report: Report) -> list[TableEntry]:
        """Write the table of trials from the values of all runs, and return its entry, if there are trials."""
        values = [value for each in converted for value in each.hparams]
        if not values:
            return []
        self._files_read = {each.report.run: each.report.sources for each in converted}
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

        Any scalar can be the metric of a trial, so the few runs that have metrics are read again, but only once: later
        updates continue what the ledger has.
        """
        if name not in self._metrics:
            self._metrics[name] = self._read_metrics(name)
        return self._metrics[name].summaries

    def _read_metrics(self, name: str) -> ReadMetrics:
        run, chunk_size = self._sources.get(name), self._reading.chunk_size
        options, plan, ledger = self._output.options, self._plan, self._output.folder.ledger
        is_continued = not self._runs.is_merged and self._reading.rows.is_everything and options.is_continued
        is_known = is_continued and (name in plan.unchanged or name in plan.grown)
        saved = ledger.fact(METRICS_FACT + name) if is_known else None
        if saved is not None:
            with ledger.errors():
                return ReadMetrics(RunMetrics.from_data(saved, name).summaries(), None)
        if run is None:
            return ReadMetrics({}, None)
        if not is_continued:
            return ReadMetrics(read_metrics(run, chunk_size), None)
        return read_metrics_again(run, self._files_read[name], self._reading.decoding, chunk_size)


def _paths(converted: ConvertedRun) -> list[str]:
    """Return the paths of the tables of a run, and those of their folders of files."""
    return [*(entry.path for entry in converted.entries), *converted.stored]
