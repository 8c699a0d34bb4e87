"""The conversion of a log directory into an open output folder, once or again and again."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from tb2csv.decoders import DecodeOptions
from tb2csv.errors import UNREADABLE, DamagedError, LogdirError, OutputError
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.layouts.output import Output
from tb2csv.layouts.table_paths import TreePaths
from tb2csv.log_conversion import LogConversion
from tb2csv.messages import advice
from tb2csv.report import Report
from tb2csv.run_conversion import LogRuns
from tb2csv.runs.reading_options import ReadingOptions
from tb2csv.runs.subruns import find_subruns, notes_on
from tb2csv.selection import raise_no_match
from tb2csv.size_limits import EVENT_FILE_LIMITS
from tb2csv.sources.urls import is_url, refuse_caches
from tb2csv.update_plan import EarlierRuns, check_options, plan_update

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Sequence

    from tb2csv.dask_cluster import DaskCluster
    from tb2csv.errors import Damage
    from tb2csv.layouts.manifest import TableEntry
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.logdir import Logdir
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.selection import Selection
    from tb2csv.sinks.table_folder import TableFolder


class ConversionSettings(NamedTuple):
    """What to convert, and how; the fields are as the arguments of ``convert``."""

    selection: Selection
    rows: RowSelection
    output: OutputOptions
    tensors: str = "elements"
    strict: bool = False
    workers: int | None = None
    chunk_size: int = DEFAULT_CHUNK_SIZE
    progress: Callable[[int], None] = lambda _: None
    #: The cluster that converts the runs, if there is one.
    cluster: DaskCluster | None = None

    def choose(self, found: Logdir) -> LogRuns:
        """Return the selected runs of a log directory.

        Raises:
            LogdirError: no run is selected.
        """
        workers = found.workers(self.workers)
        runs = self.selection.choose_runs(found)
        return LogRuns.choose(runs, workers, self.chunk_size, merge_subruns=self.output.merge_subruns)

    @property
    def is_continued(self) -> bool:
        """Whether new values of a run are appended to its tables; otherwise the run is converted from its start."""
        return self.output.is_continued and self.rows.is_everything

    @property
    def is_appended(self) -> bool:
        """Whether an update appends rows to the files of grown runs, and leaves other files alone."""
        return self.output.is_appended and self.rows.is_everything and self.output.keeps_rows

    def recorded(self, found: Logdir) -> dict[str, Any]:
        """Return what must be the same for an update, by the names of arguments, as data for JSON."""
        output, selection = self.output, self.selection
        return {
            "logdir": _recorded_place(found),
            "run": list(selection.runs),
            "tag": list(selection.tags),
            "kind": list(selection.kinds),
            "exclude_run": list(selection.exclude_runs),
            "exclude_tag": list(selection.exclude_tags),
            **asdict(self.rows),
            "layout": output.layout,
            "format": output.format,
            "header": output.header,
            "on_duplicate": output.on_duplicate,
            "time": list(output.times.styles),
            "relative_to": output.times.relative_to,
            **({"x": output.axis, "align": output.align} if output.bins else {}),
            "escape_formulas": output.escape_formulas,
            "merge_subruns": output.merge_subruns,
            "tensors": self.tensors,
            # None, as in earlier ledgers, if it is the default
            "max_expansion": None if found.limits == EVENT_FILE_LIMITS else found.limits.max_expansion,
        }


class FolderConversion:
    """The conversion into one output folder, which is entered and stays locked.

    It keeps facts about the runs in memory, so that an update after the first one costs little if few runs have
    changed.
    """

    def __init__(self, settings: ConversionSettings, folder: TableFolder) -> None:
        """Prepare to write into ``folder``, which is new or has an earlier conversion."""
        self._settings = settings
        self._folder = folder
        self._earlier = EarlierRuns(folder.ledger) if folder.earlier else None
        #: The tables that the last update wrote or left as they were, and the folders of their files.
        self.entries: Collection[TableEntry] = ()
        self.stored: Sequence[str] = ()

    @property
    def is_manifest_due(self) -> bool:
        """Whether an update has left out the tables of several runs, the index and the data package."""
        return bool(self._folder.ledger.fact("is_manifest_due"))

    def update(
        self, found: Logdir, runs: LogRuns, *, changed: Container[str] | None = None, with_manifest: bool = True
    ) -> Report:
        """Convert what is new, commit it, and return the report on all runs.

        Args:
            found: the log directory as it is now.
            runs: its selected runs.
            changed: the runs whose files may have changed; all if None. With some, it is not an error if nothing is
                selected.
            with_manifest: write the tables of several runs, the index and the data package. Otherwise the next update
                writes them, even if it finds nothing new.

        Raises:
            OutputError: the tables cannot be written, or they are those of other options.
            LogdirError: no file is an event file.
            DamagedError: an event file is damaged, and ``strict`` is set.
            Tb2csvError: nothing is selected.
        """
        settings, folder = self._settings, self._folder
        decoding = DecodeOptions(settings.tensors, found.limits)
        reading = ReadingOptions(settings.selection, settings.rows, decoding, settings.chunk_size)
        options = settings.recorded(found)
        if self._earlier is not None:
            check_options(folder.ledger, options, folder.out)
            for path in filter(is_url, found.paths):
                refuse_caches(path)
            if hidden := self._earlier.hidden(found):
                runs = runs.with_hidden(hidden)
        output = Output(folder, TreePaths(runs.by_name), settings.output)
        plan = plan_update(
            self._earlier,
            runs.by_name,
            output,
            found.damage,
            is_continued=settings.is_continued,
            changed=changed,
        )
        conversion = LogConversion(runs, reading, output, plan, self._earlier)
        try:
            reports = conversion.convert(found.workers(settings.workers), settings.progress, settings.cluster)
            report = Report(reports, found.damage, logdirs=found.parts)
            if plan.is_empty and not (with_manifest and self.is_manifest_due):
                conversion.restore(report)
                conversion.record_versions()
                report.update = plan.summary(report)
                return report
            if changed is None:
                self._check(conversion, report)
            if with_manifest:
                if not runs.is_merged:
                    series = {each.report.run: each.series for each in conversion.results}
                    report.shared_notes = notes_on(find_subruns(series))
                conversion.finish(report)
                self.entries, self.stored = conversion.entries, conversion.stored
            else:
                conversion.finish_runs()
                conversion.restore(report)
            summary = plan.summary(report) if self._earlier is not None else None
            conversion.record(report, options)
            report.update = summary  # not before, because the data package does not depend on updates
        except OSError as error:
            if isinstance(error, (OutputError, LogdirError)):
                raise
            reason = error.strerror or error
            message = f"The tables could not be written to {folder.out} ({reason}); nothing was changed."
            raise OutputError(message) from error
        return report

    def _check(self, conversion: LogConversion, report: Report) -> None:
        """Raise an error if there is nothing to write, or damage is not accepted."""
        settings = self._settings
        report.check_event_files()
        if settings.strict and report.damage:
            _raise_damage(report.damage[0])
        if report.values_read and report.values_filtered == report.values_read:
            if any(each.is_selected for each in conversion.results):
                settings.rows.raise_no_match()
            raise_no_match(settings.selection, (series for each in conversion.results for series in each.series))


def _recorded_place(found: Logdir) -> str | list[list[str]]:
    """Return the place of a log directory, or those of several with the prefixes of their runs, in any order alike."""

    def real(path: str) -> str:
        return path if is_url(path) else os.path.realpath(path)

    return sorted([prefix, real(path)] for prefix, path in found.parts) or real(found.path)


def _raise_damage(first: Damage) -> NoReturn:
    if first.kind == UNREADABLE:
        what = f"{first.path}: {first.detail}"
    else:
        what = f"{first.path} is damaged at byte {first.offset} ({first.detail})"
    raise DamagedError(what, *first.message.advice, advice("without {} the rest is converted", "strict"))
