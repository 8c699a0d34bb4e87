"""The tables of a log directory as polars frames, without files on the way.

Event files are scanned once; what a method is asked for is decoded when it is called, and nothing else.
"""

from __future__ import annotations

import html
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Literal, overload

import numpy as np

from tb2csv.concat_frames import fitted, joined, joint_schema
from tb2csv.errors import LogdirError, Tb2csvError
from tb2csv.logdir import Logdir, Run, discover
from tb2csv.report import Report
from tb2csv.runs.scanned_hparams import scanned_hparams
from tb2csv.runs.scanned_run import ScannedRun
from tb2csv.runs.selected_runs import read_runs
from tb2csv.runs.series_frames import CHANGED, Read, decode_all, series_frames
from tb2csv.selection import KINDS, KINDS_BESIDE, Selection, literal_pattern

if TYPE_CHECKING:
    import os

    import polars as pl

    from tb2csv.runs.hparams_table import Trials
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.time_series import SeriesStats

#: Runs, with those of their series that are asked for.
_Chosen = list[tuple[ScannedRun, "list[SeriesStats]"]]

#: What chooses runs or tags: a shell pattern, several of them, or None for all.
Pattern = str | Iterable[str] | None


def open_logdir(
    path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> LogdirFrames:
    """Scan the log directory at ``path`` and return what gives its tables as frames.

    ``path`` is a folder, a single event file or an fsspec URL; ``workers`` is how many runs to scan at once, as many as
    there are processors where it is None; ``on_bytes`` is told of bytes as they are passed, from any thread.
    Raises LogdirError where there is nothing to read.
    """
    frames = LogdirFrames(path, workers=workers)
    frames.refresh(on_bytes)
    return frames


class LogdirFrames:
    """The tables of one log directory; made by ``open_logdir``.

    Runs and tags are chosen by shell patterns, in which ``*`` matches ``/`` as well, or by several of them; None is
    all. Wall times are seconds since the epoch. Methods may be called from several threads, one after the other.
    """

    def __init__(self, path: str | os.PathLike[str], *, workers: int | None = None) -> None:
        """Stand for a log directory of which nothing has been read; ``refresh`` reads it."""
        self._logdir: Logdir | None = None
        self._path = path
        self._workers = workers
        self._runs: dict[str, ScannedRun] = {}
        self._lock = threading.RLock()

    @property
    def path(self) -> str:
        """Where the event files are."""
        return self._logdir.path if self._logdir else str(self._path)

    @property
    def runs(self) -> list[str]:
        """The names of the runs, in their order."""
        return list(self._runs)

    @property
    def report(self) -> Report:
        """The account of all event files: values, bytes and damage; nothing counts as written."""
        return Report([run.stats.report() for run in self._runs.values()], self._logdir.damage if self._logdir else [])

    def refresh(self, on_bytes: Callable[[int], None] = lambda _: None) -> bool:
        """Read what was written since the last time, and nothing else; return whether there was anything new.

        Raises LogdirError where the log directory is gone.
        """
        with self._lock:
            self._logdir = discover(self._path)
            known = self._runs
            runs = {run.name: known.get(run.name) or ScannedRun(run) for run in self._logdir.runs}

            def read(run: Run, passed: Callable[[int], None]) -> bool:
                return runs[run.name].refresh(run, passed)

            changes = read_runs(self._logdir, read, workers=self._workers, on_bytes=on_bytes)
            self._runs = runs
            self.report.refuse_other_files()
            return any(changes.results) or known.keys() != runs.keys()

    def series(self, run: Pattern = None, tag: Pattern = None, kind: str | None = None) -> list[SeriesStats]:
        """Return the accounts of the time series that are asked for, run by run, in the order of first values.

        Raises Tb2csvError where there are none; it names the nearest.
        """
        if kind is not None and kind not in KINDS:
            message = f"There is no kind {kind!r}; give one of {', '.join(KINDS)}."
            raise Tb2csvError(message)
        selection = Selection(_patterns(run), _patterns(tag), () if kind is None else (kind,))
        return [account for _, accounts in self._chosen(selection) for account in accounts]

    def tags(self, run: Pattern = None, tag: Pattern = None, kind: str | None = None) -> pl.DataFrame:
        """Return what there is, a row for each table.

        Columns ``run, tag, kind, plugin_name, points, first_step, last_step, first_wall_time, last_wall_time``.
        """
        import polars as pl

        columns = {
            "run": pl.String,
            "tag": pl.String,
            "kind": pl.String,
            "plugin_name": pl.String,
            "points": pl.Int64,
            "first_step": pl.Int64,
            "last_step": pl.Int64,
            "first_wall_time": pl.Float64,
            "last_wall_time": pl.Float64,
        }
        accounts = self.series(run, tag, kind)
        cells = [
            [getattr(account.series if name in _OF_SERIES else account, name) for account in accounts]
            for name in columns
        ]
        return pl.DataFrame(cells, columns, orient="col")

    @overload
    def scalars(
        self, run: Pattern = ..., tag: Pattern = ..., *, rows: RowSelection | None = ..., lazy: Literal[False] = ...
    ) -> pl.DataFrame: ...
    @overload
    def scalars(
        self, run: Pattern = ..., tag: Pattern = ..., *, rows: RowSelection | None = ..., lazy: Literal[True]
    ) -> pl.LazyFrame: ...
    def scalars(
        self, run: Pattern = None, tag: Pattern = None, *, rows: RowSelection | None = None, lazy: bool = False
    ) -> pl.DataFrame | pl.LazyFrame:
        """Return scalars as ``run, tag, wall_time, step, value``, one row per value.

        ``value`` has the type that all have on disk; where they differ, float64, which holds each of them exactly.
        ``rows`` selects by step and restart; with ``lazy`` one value of each tag is decoded now, for the columns and
        their types, and the others by ``collect``.
        Raises Tb2csvError where nothing is asked for, or where the types cannot be joined without loss, and LogdirError
        where a file is gone since it was read.
        """
        return self._of_kind("scalars", run, tag, rows, lazy=lazy)

    @overload
    def histograms(
        self, run: Pattern = ..., tag: Pattern = ..., *, rows: RowSelection | None = ..., lazy: Literal[False] = ...
    ) -> pl.DataFrame: ...
    @overload
    def histograms(
        self, run: Pattern = ..., tag: Pattern = ..., *, rows: RowSelection | None = ..., lazy: Literal[True]
    ) -> pl.LazyFrame: ...
    def histograms(
        self, run: Pattern = None, tag: Pattern = None, *, rows: RowSelection | None = None, lazy: bool = False
    ) -> pl.DataFrame | pl.LazyFrame:
        """Return histograms as ``run, tag, wall_time, step, bucket, left, right, count``, one row per bucket.

        Arguments and errors as of ``scalars``.
        """
        return self._of_kind("histograms", run, tag, rows, lazy=lazy)

    @overload
    def tensors(
        self, run: Pattern = ..., tag: Pattern = ..., *, rows: RowSelection | None = ..., lazy: Literal[False] = ...
    ) -> pl.DataFrame: ...
    @overload
    def tensors(
        self, run: Pattern = ..., tag: Pattern = ..., *, rows: RowSelection | None = ..., lazy: Literal[True]
    ) -> pl.LazyFrame: ...
    def tensors(
        self, run: Pattern = None, tag: Pattern = None, *, rows: RowSelection | None = None, lazy: bool = False
    ) -> pl.DataFrame | pl.LazyFrame:
        """Return tensors as ``run, tag, wall_time, step, i0 … ik, value``, one row per element.

        A tensor of a lower rank than others has no index in the columns behind its own. Arguments and errors as of
        ``scalars``.
        """
        return self._of_kind("tensors", run, tag, rows, lazy=lazy)

    def table(self, run: str, tag: str, kind: str | None = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return the table of one tag of one run, with the columns that ``tb2csv convert`` gives it.

        Images and audio have their stored bytes as ``data`` instead of a path. ``run`` and ``tag`` are names, not
        patterns. ``kind`` chooses among several tables, and also gives those beside the values: ``histogram_stats``
        and ``plugin_contents``. Raises Tb2csvError if there is not a table, or if there are several without ``kind``.
        """
        beside = kind if kind is not None and kind in KINDS_BESIDE else ""
        kinds: tuple[str, ...] = () if kind is None or beside else (kind,)
        chosen = self._chosen(Selection((literal_pattern(run),), (literal_pattern(tag),), kinds))
        if beside:
            frames = list(self._frames(chosen, rows, with_names=False, read=decode_all, kind=beside))
            if not frames:
                message = f"Tag {tag!r} of run {run!r} does not have a table of the kind {kind!r}."
                raise Tb2csvError(message)
            return joined(frames, f"tag {tag!r} of run {run!r}")
        found = [account.series for _, accounts in chosen for account in accounts]
        several = list(dict.fromkeys(series.kind for series in found))
        if len(several) > 1:
            message = f"Tag {tag!r} of run {run!r} has tables of the kinds {' and '.join(several)}; say which by kind."
            raise Tb2csvError(message)
        return joined(self._frames(chosen, rows, with_names=False), f"tag {tag!r} of run {run!r}")

    def hparams(self, selection: Selection | None = None) -> pl.DataFrame:
        """Return the trials, a row for each: see docs/tables.md for the columns; no rows where there are none.

        ``selection`` chooses the runs that get rows. If it names tags, the scalars that match get columns as metrics,
        whether an experiment names them or not. Raises LogdirError or Tb2csvError if it leaves no run or no metric.
        """
        return self.trials(selection).table

    def trials(self, selection: Selection | None = None) -> Trials:
        """Return the table of ``hparams`` together with notes on what it does not show; errors as of ``hparams``."""
        with self._lock:
            chosen = None if selection is None else {run.name for run in selection.choose_runs(self._scanned())}
            return scanned_hparams(self._runs, chosen, selection)

    def choose(self, selection: Selection) -> _Chosen:
        """Return the runs that are asked for, with those of their series that are; errors as of ``series``."""
        return self._chosen(selection)

    def rows_of(
        self, run: ScannedRun, accounts: list[SeriesStats], rows: RowSelection | None = None
    ) -> list[tuple[SeriesStats, pl.DataFrame]]:
        """Return the rows of some series of a run, one series after the other, each in one part or in several."""
        with self._lock:
            return series_frames(run, accounts, rows)

    def _of_kind(
        self, kind: str, run: Pattern, tag: Pattern, rows: RowSelection | None, *, lazy: bool
    ) -> pl.DataFrame | pl.LazyFrame:
        selection = Selection(_patterns(run), _patterns(tag), (kind,))
        chosen, what = self._chosen(selection), f"these {kind}"
        if not lazy:
            return joined(self._frames(chosen, rows, with_names=True), what)
        from polars.io.plugins import register_io_source

        # Every series has one schema, but which ones have rows is not known before some are decoded.
        samples = self._frames(chosen, rows, with_names=True, read=ScannedRun.samples)
        schema = joint_schema((frame.schema for frame in samples), what)

        def read(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for frame in self._frames(chosen, rows, with_names=True):
                if joint_schema((schema, frame.schema), what) != schema:
                    raise Tb2csvError(CHANGED)
                part = fitted(frame, schema)
                if left is not None:
                    part = part.head(left)
                    left -= len(part)
                if predicate is not None:
                    part = part.filter(predicate)
                yield part if columns is None else part.select(columns)
                if left == 0:
                    return

        return register_io_source(read, schema=schema)

    def _scanned(self) -> Logdir:
        if self._logdir is None:
            message = f"{self.path} has not been read yet; call refresh first."
            raise LogdirError(message)
        return self._logdir

    def _chosen(self, selection: Selection) -> _Chosen:
        names = {run.name for run in selection.choose_runs(self._scanned())}
        everything = [(run, run.stats.series) for name, run in self._runs.items() if name in names]
        chosen = [
            (run, [account for account in accounts if selection.includes(account.series.tag, account.series.kind)])
            for run, accounts in everything
        ]
        if not any(accounts for _, accounts in chosen) and (selection.tags or selection.kinds):
            selection.raise_no_match(account.series for _, accounts in everything for account in accounts)
        return [(run, accounts) for run, accounts in chosen if accounts]

    def _frames(
        self,
        chosen: _Chosen,
        rows: RowSelection | None,
        *,
        with_names: bool,
        read: Read = ScannedRun.decode,
        kind: str = "",
    ) -> Iterator[pl.DataFrame]:
        """Yield the tables of the chosen series that ``kind`` chooses; undecodable values are left out."""
        for run, accounts in chosen:
            with self._lock:
                parts = series_frames(run, accounts, rows, read, kind)
            for tables in _alike(parts):
                yield _named(tables) if with_names else _below([frame for _, frame in tables])

    def __repr__(self) -> str:
        """Tell how much there is."""
        accounts = [account for run in self._runs.values() for account in run.stats.series]
        points = sum(account.points for account in accounts)
        tags = len({account.series.tag for account in accounts})
        return f"<LogdirFrames {self.path!r}: {len(self._runs):,} runs, {tags:,} tags, {points:,} values>"

    def _repr_html_(self) -> str:
        """Show the tags in a notebook."""
        return f"<p>{html.escape(repr(self))}</p>{self.tags()._repr_html_()}"


#: The columns of ``tags`` that are of a series; the others are of its account.
_OF_SERIES: Final = frozenset(("run", "tag", "kind", "plugin_name"))


def _patterns(pattern: Pattern) -> tuple[str, ...]:
    if pattern is None:
        return ()
    return (pattern,) if isinstance(pattern, str) else tuple(pattern)


def _alike(
    parts: list[tuple[SeriesStats, pl.DataFrame]],
) -> Iterator[list[tuple[SeriesStats, pl.DataFrame]]]:
    """Yield stretches of parts that have the same columns."""
    for _, stretch in itertools.groupby(parts, key=lambda part: tuple(part[1].schema.items())):
        yield list(stretch)


def _below(frames: list[pl.DataFrame]) -> pl.DataFrame:
    import polars as pl

    return pl.concat(frames, rechunk=False)


def _named(tables: list[tuple[SeriesStats, pl.DataFrame]]) -> pl.DataFrame:
    """Return the frames one below the other, with ``run`` and ``tag`` before their columns."""
    import polars as pl

    frame = _below([part for _, part in tables])
    series = [account.series for account, _ in tables]
    names = pl.DataFrame({"run": [each.run for each in series], "tag": [each.tag for each in series]})
    of_row = np.repeat(np.arange(len(tables)), [len(part) for _, part in tables])
    return names[of_row].hstack(frame) if len(frame) else names.clear().hstack(frame)
