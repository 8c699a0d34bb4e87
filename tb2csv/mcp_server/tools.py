"""The tools that an agent can call: each reads the log and returns a page of a table.

No tool takes a path: all of them read the log directory that the server was started with. Names and docstrings of the
tools and their arguments are what the agent is given.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Literal

from tb2csv.analysis.diagnosis.diagnose import diagnose
from tb2csv.analysis.summaries import summary, with_short_numbers
from tb2csv.dataframes import LogdirFrames
from tb2csv.errors import OptionError
from tb2csv.logdir import logdir_of
from tb2csv.mcp_server.pages import DEFAULT_ROWS, Cursor, page, parse_cursor
from tb2csv.messages import LISTED, python_spelling
from tb2csv.ranking.best import best
from tb2csv.runs.row_selection import RowSelection

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import polars as pl

    from tb2csv.logdir import LogdirSource

#: The maximum length of a query, because polars' parser needs more stack for a longer one.
MAX_QUERY: Final = 4000
#: The number of tables that are kept for their next pages.
_KEPT: Final = 4

#: The end of each description: the arguments and the members of the answer that all tools share.
PAGING: Final = (
    "Returns JSON: columns, rows (lists in the order of columns), total_rows, and next_cursor, which is null on the "
    "last page; for more, call again with cursor=next_cursor and the same arguments. limit is the maximum number of "
    "rows. NaN, Infinity and -Infinity are texts. A text of more than 10,000 characters is cut and listed in shortened."
)


class LogTools:
    """The tools for one log directory, which is read when a tool is first called."""

    def __init__(self, logdir: LogdirSource, *, workers: int | None = None) -> None:
        """Find the log directory.

        Raises:
            LogdirError: there is nothing to read.
        """
        self._log = logdir if isinstance(logdir, LogdirFrames) else LogdirFrames(logdir_of(logdir), workers=workers)
        self._lock = threading.Lock()
        #: The number of times that the log had changed when it was read.
        self._generation = 0
        self._kept: dict[Hashable, tuple[pl.DataFrame, dict[str, Any]]] = {}

    def functions(self) -> list[Callable[..., str]]:
        """Return the tools."""
        return [
            self.list_runs,
            self.list_tags,
            self.summary,
            self.rows,
            self.compare,
            self.best,
            self.hparams,
            self.diagnose,
            self.sql,
        ]

    def list_runs(self, limit: int = DEFAULT_ROWS, cursor: str | None = None) -> str:
        """List the runs: number of tags and points, first and last step and wall time, and damage of the files."""

        def make() -> tuple[pl.DataFrame, dict[str, Any]]:
            table, report = self._log.sql("select * from runs"), self._log.report
            lost = [f"{each.path}: {each.message}" for each in report.damage]
            notes = [*lost[:LISTED], *report.notes_in(python_spelling)[:LISTED]]
            return table, {"damaged_stretches": report.damage_count, "notes": [note[:500] for note in notes]}

        return self._answer("list_runs", make, limit, cursor)

    def list_tags(
        self,
        run: str | list[str] | None = None,
        tag: str | list[str] | None = None,
        kind: str | list[str] | None = None,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
    ) -> str:
        """List the tags of runs with kind, points, and first and last step and wall time.

        run and tag are shell patterns, in which * also matches /; kind is one of scalars, histograms, tensors, text,
        images, audio, hparams, pr_curves, graphs, custom_scalars, meshes, blobs.
        """
        key = ("list_tags", _key(run), _key(tag), _key(kind))
        return self._answer(key, lambda: (self._log.tags(run, tag, kind), {}), limit, cursor)

    def summary(
        self,
        run: str | list[str] | None = None,
        tag: str | list[str] | None = None,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
    ) -> str:
        """Summarize scalars: first, last, min and max with their steps, mean, and counts of NaN, for each tag of a run.

        run and tag are shell patterns, in which * also matches /.
        """

        def make() -> tuple[pl.DataFrame, dict[str, Any]]:
            return with_short_numbers(summary(self._log, run=run, tag=tag, kind="scalars").table), {}

        return self._answer(("summary", _key(run), _key(tag)), make, limit, cursor)

    def rows(
        self,
        run: str,
        tag: str,
        kind: str | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        every: int = 1,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
    ) -> str:
        """Read the rows of one tag of one run, such as wall_time, step and value of a scalar.

        run and tag are names, not patterns. kind is needed if the tag has values of several kinds. every=10 gives every
        tenth row.
        """
        selected = RowSelection(min_step=min_step, max_step=max_step, every=every)
        key = ("rows", run, tag, kind, min_step, max_step, every)
        return self._answer(key, lambda: (self._log.table(run, tag, kind, rows=selected), {}), limit, cursor)

    def compare(
        self,
        tag: str | list[str],
        run: str | list[str] | None = None,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
    ) -> str:
        """Put scalars of several runs side by side: a row for each step, and a column for each run (and tag).

        run and tag are shell patterns, in which * also matches /. A step that a run lacks is null. If a run has a step
        several times, its last value counts.
        """
        return self._answer(("compare", _key(tag), _key(run)), lambda: (self._log.wide(run, tag), {}), limit, cursor)

    def best(
        self,
        by: str,
        goal: Literal["min", "max"] | None = None,
        at: str = "best",
        run: str | list[str] | None = None,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
    ) -> str:
        """Rank runs by a scalar, best first: rank, run, value, step, duration and hyperparameters.

        by is a tag, or a shell pattern that matches one tag. goal is min or max; without it, the name of the tag
        decides. at is best, last, or a step. run is a shell pattern, in which * also matches /. notes name what is left
        out.
        """

        def make() -> tuple[pl.DataFrame, dict[str, Any]]:
            ranking = best(self._log, by, goal=goal, at=at, run=run)
            return ranking.table, {"goal": ranking.goal, "notes": [str(note)[:500] for note in ranking.notes]}

        return self._answer(("best", by, goal, at, _key(run)), make, limit, cursor)

    def hparams(self, run: str | list[str] | None = None, limit: int = DEFAULT_ROWS, cursor: str | None = None) -> str:
        """List the trials with their hyperparameters and metrics; no rows if the log does not have any.

        run is a shell pattern, in which * also matches /.
        """
        return self._answer(("hparams", _key(run)), lambda: (self._log.hparams(run), {}), limit, cursor)

    def diagnose(self, run: str | list[str] | None = None, limit: int = DEFAULT_ROWS, cursor: str | None = None) -> str:
        """Find training problems: vanishing or exploding gradients, dead layers, NaN, losses that diverge or overfit.

        A row for each finding, the worst first. examined has what the runs recorded; other problems cannot be found.
        run is a shell pattern, in which * also matches /.
        """

        def make() -> tuple[pl.DataFrame, dict[str, Any]]:
            found = diagnose(self._log, run=run)
            families = found.coverage.group_by("family", maintain_order=True).agg(runs="run")
            counts = {family: len(runs) for family, runs in families.iter_rows()}
            return found.findings, {"examined": counts}

        return self._answer(("diagnose", _key(run)), make, limit, cursor)

    def sql(self, query: str, limit: int = DEFAULT_ROWS, cursor: str | None = None) -> str:
        """Run one SELECT statement, which may begin with WITH, in the SQL of polars. Nothing else is run.

        Tables: scalars(run, tag, wall_time, step, value); histograms(run, tag, wall_time, step, bucket, left, right,
        count); text(run, tag, wall_time, step, text); tensors(run, tag, wall_time, step, i0, …, value); pr_curves;
        images; audio; graphs; hparams(run, …); runs(run, tags, points, first_step, last_step, …); tags(run, tag, kind,
        points, first_step, last_step, …). Wall times are seconds since 1970. min and max skip NaN, which is greater
        than every number. Quote names such as "left" and "hparam/accuracy". Give results names with as.
        """
        if len(query) > MAX_QUERY:
            message = f"The query has {len(query):,} characters; give at most {MAX_QUERY:,}."
            raise OptionError(message)
        return self._answer(("sql", query), lambda: (self._log.sql(query), {}), limit, cursor)

    def _answer(
        self,
        key: Hashable,
        make: Callable[[], tuple[pl.DataFrame, dict[str, Any]]],
        limit: int,
        cursor: str | None,
    ) -> str:
        """Return a page of the table that ``make`` returns; without a cursor, what was written since is read first."""
        with self._lock:
            if cursor is None:
                if self._log.refresh():
                    self._generation += 1
                    self._kept.clear()
                start = Cursor(self._generation, 0)
            else:
                start = parse_cursor(cursor)
                if not self._generation == start.generation > 0:
                    message = "The log has changed since this cursor was given; call again without a cursor."
                    raise OptionError(message)
            if key not in self._kept:
                self._kept[key] = make()
                if len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
            table, facts = self._kept[key]
            return page(table, start, limit, facts)


def _key(patterns: str | list[str] | None) -> Hashable:
    return tuple(patterns) if isinstance(patterns, list) else patterns
