"""The runs of a log directory, scanned once, and the rows of selected series."""

from __future__ import annotations

import functools
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.column_names import free_name
from tb2csv.display import count, displayed
from tb2csv.errors import LogdirError
from tb2csv.late_modules import np, pl
from tb2csv.logdir import Logdir, Run, discover
from tb2csv.report import Report
from tb2csv.runs.scanned_run import ScannedRun
from tb2csv.runs.selected_runs import read_runs
from tb2csv.runs.series_frames import Read, series_frames
from tb2csv.selection import raise_no_match
from tb2csv.size_limits import DEFAULT_EVENT_EXPANSION

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from tb2csv.logdir import LogdirPath
    from tb2csv.notes import Note
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.selection import Selection
    from tb2csv.time_series import SeriesStats

    #: Runs, each with the statistics of its selected series.
    Chosen = list[tuple[ScannedRun, list[SeriesStats]]]

#: The number of rows from which on a frame does not get the rows of another series.
_ROWS_AT_ONCE: Final = 1 << 16


@displayed()
class HparamsTable(NamedTuple):
    """The trials of a log directory.

    ``table`` has a row for each trial; docs/tables.md has its columns. ``notes`` name values that it lacks.
    """

    table: pl.DataFrame
    notes: list[Note]
    report: Report

    def _display(self) -> Iterator[object]:
        yield f"<HparamsTable: {count(len(self.table), 'trial')}>"
        yield self.table
        yield self.notes
        yield self.report


class ScannedLogdir:
    """The runs of a log directory and their scans."""

    def __init__(self, source: LogdirPath | Logdir, *, workers: int | None) -> None:
        """Prepare to read; ``refresh`` scans the log directory."""
        self.runs: dict[str, ScannedRun] = {}
        self.lock = threading.RLock()
        self._given = source if isinstance(source, Logdir) else None
        self._logdir: Logdir | None = None
        self._paths: LogdirPath = source.paths if isinstance(source, Logdir) else source
        self._expansion = source.limits.max_expansion if isinstance(source, Logdir) else DEFAULT_EVENT_EXPANSION
        self._workers = workers

    @property
    def path(self) -> str:
        """The folder, file or URL of the event files, or all of several log directories."""
        paths = [self._paths] if isinstance(self._paths, (str, os.PathLike)) else self._paths
        return ", ".join(os.fspath(path) for path in paths)

    @property
    def logdir(self) -> Logdir:
        """The log directory as it was found by the last ``refresh``.

        Raises:
            LogdirError: it has not been read yet.
        """
        if self._logdir is None:
            message = f"{self.path} has not been read yet; call refresh first."
            raise LogdirError(message)
        return self._logdir

    @property
    def report(self) -> Report:
        """The report on all event files; no value counts as written, and as undecodable those that were tried."""
        reports = [run.stats.report() for run in self.runs.values()]
        for report, run in zip(reports, self.runs.values(), strict=True):
            report.values_undecodable = sum(stats.undecodable for stats in run.stats.series)
        if self._logdir is None:
            return Report(reports)
        return Report(reports, list(self._logdir.damage), logdirs=self._logdir.parts)

    def refresh(
        self, progress: Callable[[int], None], found: Logdir | None = None, changed: Container[str] | None = None
    ) -> bool:
        """Read what was written since the last call, and return whether anything was new.

        Runs in folders that cannot be read now stay as they were.

        Args:
            progress: called with the number of bytes read since the last call, from any thread.
            found: the log directory as it is now; it is listed if None.
            changed: the runs that may have changed, beside new ones; all if None.

        Raises:
            LogdirError: no event files were found.
        """
        with self.lock:
            found = found or self._given or discover(self._paths, max_expansion=self._expansion)
            self._given = None
            known = self.runs
            self._logdir = found.with_hidden(run.run for run in known.values())
            self._paths = found.paths
            runs = {run.name: known.get(run.name) or ScannedRun(run) for run in self._logdir.runs}

            def read(run: Run, report_bytes: Callable[[int], None]) -> bool:
                return runs[run.name].refresh(run, report_bytes)

            unread = tuple(run for run in found.runs if changed is None or run.name in changed or run.name not in known)
            changes: list[bool] = []
            if unread:
                part = replace(found, runs=unread)
                changes = read_runs(part, read, workers=self._workers, report_bytes=progress).results
            self.runs = runs
            self.report.check_event_files()
            return any(changes) or known.keys() != runs.keys()

    def choose(self, selection: Selection) -> Chosen:
        """Return each selected run that has selected series, together with those series.

        Raises:
            LogdirError: no run matches.
            Tb2csvError: no tag matches; the message has the nearest names.
        """
        names = {run.name for run in selection.choose_runs(self.logdir)}
        runs = [run for name, run in self.runs.items() if name in names]
        chosen = [
            (run, [stats for stats in run.stats.series if selection.includes(stats.series.tag, stats.series.kind)])
            for run in runs
        ]
        has_patterns = selection.tags or selection.kinds or selection.exclude_tags
        if has_patterns and not any(series for _, series in chosen):
            raise_no_match(selection, (stats.series for run in runs for stats in run.stats.series))
        return [(run, series) for run, series in chosen if series]

    def rows_of(
        self, run: ScannedRun, series: list[SeriesStats], rows: RowSelection | None = None
    ) -> list[tuple[SeriesStats, pl.DataFrame]]:
        """Return the rows of some series of a run, series by series, each in one part or in several."""
        with self.lock:
            return series_frames(run, series, rows)

    def trials(self, selection: Selection | None) -> HparamsTable:
        """Return the trials of the selected runs, and notes on values that their table lacks."""
        from tb2csv.runs.scanned_hparams import scanned_hparams

        with self.lock:
            chosen = None if selection is None else {run.name for run in selection.choose_runs(self.logdir)}
            trials = scanned_hparams(self.runs, chosen, selection)
            return HparamsTable(trials.table, trials.notes, self.report)

    def frames(
        self,
        chosen: Chosen,
        rows: RowSelection | None,
        *,
        with_names: bool,
        read: Read = ScannedRun.decode,
        kind: str = "",
        columns: Container[str] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Yield the tables of the chosen series; with a ``kind``, their secondary tables of this kind.

        A frame has the rows of consecutive series with the same columns, also of several runs, because polars takes
        longer for a call than for the values of a small run.

        ``with_names`` adds the columns run and tag; then ``columns`` are those to return, all if None. Values that
        cannot be decoded are left out.
        """
        make = functools.partial(_named, columns=columns) if with_names else _concatenated
        tables: list[tuple[SeriesStats, pl.DataFrame]] = []
        rows_so_far = 0
        for run, series in chosen:
            with self.lock:
                parts = series_frames(run, series, rows, read, kind)
            for stats, frame in parts:
                if tables and (rows_so_far >= _ROWS_AT_ONCE or not _have_equal_columns(tables[-1][1], frame)):
                    yield make(tables)
                    tables, rows_so_far = [], 0
                tables.append((stats, frame))
                rows_so_far += len(frame)
        if tables:
            yield make(tables)

    def schemas(self, chosen: Chosen, rows: RowSelection | None) -> Iterator[pl.Schema]:
        """Yield the schemas of the tables of the chosen series, with names.

        The signature of a series determines its columns, so one series of each signature is decoded, up to its first
        row.
        """
        known: set[str] = set()
        for run, series in chosen:
            unknown = [stats for stats in series if stats.series.signature not in known]
            if unknown:
                with self.lock:
                    parts = series_frames(run, unknown, rows, ScannedRun.samples)
                for stats, frame in parts:
                    known.add(stats.series.signature)
                    yield _named([(stats, frame)], None).schema


def _have_equal_columns(first: pl.DataFrame, second: pl.DataFrame) -> bool:
    return first.columns == second.columns and first.dtypes == second.dtypes


def _concatenated(tables: list[tuple[SeriesStats, pl.DataFrame]]) -> pl.DataFrame:
    return pl.concat([frame for _, frame in tables], rechunk=False)


def _named(tables: list[tuple[SeriesStats, pl.DataFrame]], columns: Container[str] | None) -> pl.DataFrame:
    """Return the rows of all frames of one kind, with ``run`` and ``tag`` as first columns.

    A column of the kind that has one of these names gets the kind as a prefix, as in the layout ``long``.
    """
    series = [stats.series for stats, _ in tables]
    kind = series[0].kind
    frame = _concatenated(tables).rename(lambda name: free_name(name, kind, ("run", "tag")))
    names = pl.DataFrame({"run": [each.run for each in series], "tag": [each.tag for each in series]})
    if columns is not None:
        names, frame = (pl.DataFrame([column for column in each if column.name in columns]) for each in (names, frame))
    series_index = np.repeat(np.arange(len(tables)), [len(part) for _, part in tables])
    if not names.width:
        return frame
    if not frame.width:
        return names[series_index]
    return names[series_index].hstack(frame) if len(frame) else names.clear().hstack(frame)
