"""The tables of a log directory as polars frames, without files in between.

Event files are scanned once. Values are decoded when a method returns them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tb2csv.concat_frames import fitted, joined, joint_schema
from tb2csv.display import count, displayed
from tb2csv.errors import NameNotFoundError, Tb2csvError
from tb2csv.kind_methods import METHOD_KINDS, KindMethods, LogMethod
from tb2csv.late_modules import pl
from tb2csv.logdir import Logdir, LogdirSource, logdir_of
from tb2csv.name_predicates import may_pass
from tb2csv.run_frames import RunFrames
from tb2csv.runs.series_frames import CHANGED, decode_all
from tb2csv.scanned_logdir import ScannedLogdir
from tb2csv.selection import SECONDARY_KINDS, Patterns, Selection, literal_pattern, nearest, select
from tb2csv.series_info import SeriesInfo, series_frame, series_info
from tb2csv.sql_queries import run_query
from tb2csv.wide_frames import wide_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.logdir import LogdirPath
    from tb2csv.report import Report
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.scanned_logdir import Chosen, HparamsTable


def open_logdir(
    path: LogdirPath | Logdir,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> LogdirFrames:
    """Scan the event files of a log directory, and return an object that gives its tables as frames.

    Args:
        path: a folder, a single event file or an fsspec URL, several of them, or what ``discover`` returned for it.
        workers: the number of runs to scan at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read.
    """
    frames = LogdirFrames(path, workers=workers)
    frames.refresh(progress)
    return frames


def scan(
    source: LogdirSource, *, workers: int | None = None, progress: Callable[[int], None] = lambda _: None
) -> ScannedLogdir:
    """Return the scanned runs of what a public function was given; open frames are used as they are."""
    if isinstance(source, LogdirFrames):
        return source._scanned  # noqa: SLF001 - the public class hides what analysis reads
    scanned = ScannedLogdir(logdir_of(source), workers=workers)
    scanned.refresh(progress)
    return scanned


@displayed(is_brief=True)
class LogdirFrames(KindMethods[LogMethod]):
    """The tables of one log directory; made by ``open_logdir``.

    Runs, tags and kinds are selected by shell patterns, in which ``*`` also matches ``/``: one, several, or None for
    all. Wall times are seconds since 1970. Methods may be called from several threads, which wait for each other.
    ``log[run]`` gives the tables of one run.
    """

    def __init__(self, path: LogdirPath | Logdir, *, workers: int | None = None) -> None:
        """Open an unread log directory; ``refresh`` scans it."""
        self._scanned = ScannedLogdir(path, workers=workers)

    @property
    def path(self) -> str:
        """The folder, file or URL of the event files, or all of several log directories."""
        return self._scanned.path

    @property
    def logdir(self) -> Logdir:
        """The runs and event files that the last ``refresh`` found."""
        return self._scanned.logdir

    @property
    def runs(self) -> list[str]:
        """The names of the runs, in their order."""
        return list(self._scanned.runs)

    @property
    def report(self) -> Report:
        """The report on all event files: values, bytes and damage; no value counts as written."""
        return self._scanned.report

    def refresh(self, progress: Callable[[int], None] = lambda _: None) -> bool:
        """Read only what was written since the last call, and return whether anything was new.

        Raises:
            LogdirError: the log directory is gone, or has no event files.
        """
        return self._scanned.refresh(progress)

    def __getitem__(self, run: str) -> RunFrames:
        """Return the tables of the run of this name, which is not a pattern.

        Raises:
            NameNotFoundError: the log does not have a run of this name.
        """
        if run not in self._scanned.runs:
            message = f"{self.path} does not have a run {run!r}; {nearest([run], self.runs)}."
            raise NameNotFoundError(message)
        return RunFrames(self, run)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the runs."""
        return iter(self.runs)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.runs)

    def __contains__(self, run: object) -> bool:
        """Return whether there is a run of this name."""
        return run in self._scanned.runs

    def series(self, run: Patterns = None, tag: Patterns = None, kind: Patterns = None) -> list[SeriesInfo]:
        """Return the selected time series, run by run in the order of first values.

        Raises:
            OptionError: a kind is unknown.
            Tb2csvError: nothing matches; the message has the nearest names.
        """
        chosen = self._scanned.choose(select(run=run, tag=tag, kind=kind))
        return [series_info(stats) for _, series in chosen for stats in series]

    def tags(self, run: Patterns = None, tag: Patterns = None, kind: Patterns = None) -> pl.DataFrame:
        """Return a row for each selected time series, with the fields of SeriesInfo as columns.

        Raises:
            Tb2csvError: as ``series``.
        """
        return series_frame(self.series(run, tag, kind))

    @staticmethod
    def _method_of(kind: str) -> Callable[..., pl.DataFrame | pl.LazyFrame]:
        def method(
            self: LogdirFrames,
            run: Patterns = None,
            tag: Patterns = None,
            *,
            rows: RowSelection | None = None,
            lazy: bool = False,
        ) -> pl.DataFrame | pl.LazyFrame:
            return self._of_kind(kind, run, tag, rows, lazy=lazy)

        return method

    def wide(
        self,
        run: Patterns = None,
        tag: Patterns = None,
        *,
        rows: RowSelection | None = None,
        on_duplicate: str = "last",
    ) -> pl.DataFrame:
        """Return scalars side by side: ``step``, and a column for each series; one row for each step.

        Columns are named by run if one tag is selected, by tag if one run is, and otherwise ``<run>: <tag>``. A step
        that a series lacks is null.

        Args:
            run: one or more shell patterns for run names; None selects all runs.
            tag: one or more shell patterns for tags; None selects all tags.
            rows: the rows to return, by step and restart; None returns all rows.
            on_duplicate: the value to keep if a series has a step twice: ``last``, ``first``, or ``error`` to raise.

        Raises:
            OptionError: ``on_duplicate`` has an unknown value.
            Tb2csvError: nothing matches, a series has a step twice and ``on_duplicate`` is ``error``, or two columns
                would have one name.
        """
        return wide_frame(self.scalars(run, tag, rows=rows), on_duplicate)

    def table(self, run: str, tag: str, kind: str | None = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return the table of one tag of one run, with the columns that ``convert`` gives it.

        Images and audio have their stored bytes as ``data`` instead of a path.

        Args:
            run: the name of the run, not a pattern.
            tag: the name of the tag, not a pattern.
            kind: the kind of the table, if the tag has tables of several kinds, or a secondary kind:
                ``histogram_stats`` or ``plugin_contents``.
            rows: the rows to return, by step and restart; None returns all rows.

        Raises:
            Tb2csvError: the table does not exist, or there are several and ``kind`` is None.
        """
        secondary = kind if kind is not None and kind in SECONDARY_KINDS else ""
        kinds = None if kind is None or secondary else kind
        selection = select(run=literal_pattern(run), tag=literal_pattern(tag), kind=kinds)
        chosen, what = self._scanned.choose(selection), f"tag {tag!r} of run {run!r}"
        if secondary:
            frames = list(self._scanned.frames(chosen, rows, with_names=False, read=decode_all, kind=secondary))
            if not frames:
                message = f"Tag {tag!r} of run {run!r} does not have a table of the kind {kind!r}."
                raise Tb2csvError(message)
            return joined(frames, what)
        found = [stats.series for _, series in chosen for stats in series]
        kinds_found = list(dict.fromkeys(series.kind for series in found))
        if len(kinds_found) > 1:
            message = (
                f"Tag {tag!r} of run {run!r} has tables of the kinds {' and '.join(kinds_found)}; choose one with kind."
            )
            raise Tb2csvError(message)
        return joined(self._scanned.frames(chosen, rows, with_names=False), what)

    def hparams(
        self,
        run: Patterns | Selection = None,
        tag: Patterns = None,
        *,
        exclude_run: Patterns = None,
        exclude_tag: Patterns = None,
    ) -> pl.DataFrame:
        """Return the trials, one row for each, or no rows if there are none; docs/tables.md has the columns.

        Args:
            run: one or more shell patterns for the runs that get rows, or a Selection instead of all arguments.
            tag: one or more shell patterns for the scalars that get columns as metrics, whether or not an experiment
                names them.
            exclude_run: shell patterns for runs to leave out.
            exclude_tag: shell patterns for scalars to leave out.

        Raises:
            LogdirError: no run matches.
            Tb2csvError: no metric matches.
        """
        if not isinstance(run, Selection):
            run = select(run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)
        return self.trials(run).table

    def trials(self, selection: Selection | None = None) -> HparamsTable:
        """Return the table of ``hparams`` together with notes on what it leaves out; errors as of ``hparams``."""
        return self._scanned.trials(None if selection is None else select(selection))

    def sql(self, query: str, *, run: Patterns = None) -> pl.DataFrame:
        """Return the rows that a SELECT statement gives; docs/sql.md describes its tables and its SQL.

        The tables are those of all kinds, such as ``scalars``, and ``hparams``, ``runs`` and ``tags``. Only tables that
        the query names are read, and if it compares runs or tags with names, only these are decoded.

        Args:
            query: one SELECT statement, which may begin with WITH. It cannot change anything, nor read a file.
            run: shell patterns for the runs whose rows the tables have; all by default.

        Raises:
            OptionError: the query is not a SELECT statement, names what is not a table, or cannot be run.
            Tb2csvError: a kind is not in the log, no type holds all its values exactly, or polars is too old.
            LogdirError: a file is gone since it was read.
        """
        return run_query(query, self._sql_tables(run))

    def _sql_tables(self, run: Patterns) -> dict[str, Callable[[], pl.LazyFrame]]:
        """Return the functions that return the tables of ``sql``, with the rows of selected runs."""
        own: dict[str, Callable[[Patterns], pl.DataFrame]] = {
            "hparams": self.hparams,
            "runs": self._run_table,
            "tags": self.tags,
        }
        return {
            **{kind: functools.partial(getattr(self, kind), run, lazy=True) for kind in METHOD_KINDS},
            **{name: functools.partial(_lazy, make, run) for name, make in own.items()},
        }

    def best(
        self,
        by: str,
        *,
        goal: str | None = None,
        at: str | int = "best",
        top: int | None = None,
        run: Patterns = None,
        exclude_run: Patterns = None,
    ) -> pl.DataFrame:
        """Return the runs ranked by a scalar, best first: the ``table`` of ``tb2csv.best``, which has the arguments.

        Raises:
            OptionError: an option has an invalid value, several tags match, or the goal does not follow from the tag.
            LogdirError: no run matches, or a file is gone.
            NameNotFoundError: no scalar has the tag, or no run has a value at the step.
        """
        from tb2csv.ranking.best import best

        return best(self.logdir, by, goal=goal, at=at, top=top, run=run, exclude_run=exclude_run).table

    def _of_kind(
        self, kind: str, run: Patterns, tag: Patterns, rows: RowSelection | None, *, lazy: bool
    ) -> pl.DataFrame | pl.LazyFrame:
        chosen, what = self._scanned.choose(select(run=run, tag=tag, kind=kind)), f"these {kind}"
        if not lazy:
            return joined(self._scanned.frames(chosen, rows, with_names=True), what)
        # Every series has one schema, but which series have rows is unknown until some values are decoded.
        schema = joint_schema(self._scanned.schemas(chosen, rows), what)

        def read(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            # The first rows are counted before they are filtered.
            wanted = chosen if predicate is None or n_rows is not None else _that_may_pass(predicate, chosen)
            used = {
                *(schema if columns is None else columns),
                *(predicate.meta.root_names() if predicate is not None else ()),
            } or {"run"}  # polars asks for no column if only the number of rows matters
            used_schema = pl.Schema({name: dtype for name, dtype in schema.items() if name in used})
            for frame in self._scanned.frames(wanted, rows, with_names=True, columns=used):
                if joint_schema((used_schema, frame.schema), what) != used_schema:
                    raise Tb2csvError(CHANGED)
                part = fitted(frame, used_schema)
                if left is not None:
                    part = part.head(left)
                    left -= len(part)
                if predicate is not None:
                    part = part.filter(predicate)
                if columns is not None:  # a selection of no columns has no rows
                    part = part.select(columns) if columns else pl.DataFrame(height=len(part))
                yield part
                if left == 0:
                    return

        return pl.io.plugins.register_io_source(read, schema=schema)

    def _run_table(self, run: Patterns) -> pl.DataFrame:
        """Return a row for each run: how many tags and points, and the range of steps and wall times."""
        ends = [f"{end}_{what}" for what in ("step", "wall_time") for end in ("first", "last")]
        tags = (
            self.tags(run)
            .group_by("run")
            .agg(
                pl.len().cast(pl.Int64).alias("tags"),
                pl.col("points").sum(),
                *(pl.col(name).min() if name.startswith("first") else pl.col(name).max() for name in ends),
            )
        )
        names = [each.name for each in select(run=run).choose_runs(self.logdir)]
        runs = pl.DataFrame({"run": names}, {"run": pl.String}).join(tags, "run", "left", maintain_order="left")
        return runs.with_columns(pl.col("tags", "points").fill_null(0))

    def _display(self) -> Iterator[object]:
        all_stats = [stats for run in self._scanned.runs.values() for stats in run.stats.series]
        points = sum(stats.points for stats in all_stats)
        tags = len({stats.series.tag for stats in all_stats})
        counts = f"{count(len(self.runs), 'run')}, {count(tags, 'tag')}, {count(points, 'value')}"
        yield f"<LogdirFrames {self.path!r}: {counts}>"
        yield self.tags()


def _lazy(make: Callable[[Patterns], pl.DataFrame], run: Patterns) -> pl.LazyFrame:
    return make(run).lazy()


def _that_may_pass(predicate: pl.Expr, chosen: Chosen) -> Chosen:
    """Return the series whose names do not exclude their rows from a filter."""
    series = [stats.series for _, each in chosen for stats in each]
    passes = iter(may_pass(predicate, [each.run for each in series], [each.tag for each in series]).tolist())
    left = [(run, [stats for stats in each if next(passes)]) for run, each in chosen]
    return [(run, each) for run, each in left if each]
