"""``Follower``: the loop that waits for changes of a log, and makes updates of them."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.dataframes import LogdirFrames
from tb2csv.errors import LogdirError, LogdirNotFoundError, NameNotFoundError, Tb2csvError
from tb2csv.following.follow_update import FollowUpdate, no_findings
from tb2csv.following.live_findings import LiveFindings
from tb2csv.following.live_log import LiveLog
from tb2csv.following.live_tables import LiveTables
from tb2csv.report import UpdateSummary

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable
    from collections.abc import Set as AbstractSet

    import polars as pl

    from tb2csv.folder_conversion import ConversionSettings
    from tb2csv.following.follow_update import NewValues
    from tb2csv.following.live_findings import DiagnosisOptions
    from tb2csv.logdir import Logdir
    from tb2csv.report import Report
    from tb2csv.watching.log_watch import LogWatch

#: How often the loop wakes up, in seconds, to check the time and the flag that a signal handler sets.
_WAKE: Final = 0.25

#: The rules of diagnosis, and attempts to find selected values, may take this share of the time.
_SHARE: Final = 0.1


@dataclass(slots=True)
class FollowStatus:
    """The state of a follow, for a line on the terminal.

    Attributes:
        waits_for: why nothing can be read; None if something can.
        runs: the number of runs.
        values: the number of values so far.
        last_growth: the time of the last update with new values, on the monotonic clock.
    """

    waits_for: Tb2csvError | None
    runs: int
    values: int
    last_growth: float


class Follower:
    """One follow: a watch on a log, and its tables and frames."""

    def __init__(
        self,
        watch: LogWatch,
        settings: ConversionSettings,
        out: str | os.PathLike[str] | None,
        *,
        overwrite: bool = False,
        every: float = 0.0,
        until_idle: float | None = None,
        diagnosis: DiagnosisOptions | None = None,
        has_frames: bool = True,
        on_wake: Callable[[FollowStatus], None] = lambda _: None,
    ) -> None:
        """Prepare to follow; ``updates`` starts.

        Args:
            watch: the watch, which is not used elsewhere.
            settings: what to convert, and how.
            out: the output folder; None to write nothing.
            overwrite: whether to replace an earlier conversion in ``out``.
            every: the minimum time between two updates in seconds.
            until_idle: the time without new values in seconds after which to end; None not to end.
            diagnosis: how to apply the rules of diagnosis; None not to.
            has_frames: whether updates have frames, which keep the columns of all values in memory.
            on_wake: called several times a second.
        """
        self.status = FollowStatus(None, 0, 0, time.monotonic())
        #: The report on the tables after the last update; None before the first, and without an output folder.
        self.report: Report | None = None
        self._watch = watch
        self._selection = settings.selection
        self._every = every
        self._until_idle = until_idle
        self._on_wake = on_wake
        self._tables = None if out is None else LiveTables(settings, out, every, overwrite=overwrite)
        self._log = LiveLog(settings.selection, settings.workers) if has_frames or out is None else None
        self._findings = LiveFindings(settings.selection, settings.workers, diagnosis) if diagnosis else None
        self._stopped = threading.Event()
        #: Whether the runs in ``_changed``, or the list of runs, may have changed since the last update.
        self._is_due = False
        self._changed: set[str] = set()
        self._to_diagnose: set[str] = set()
        self._next_update = self._next_diagnosis = 0.0

    def stop(self) -> None:
        """End the updates after the present one; a signal handler may call it."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopped.is_set()

    def updates(self) -> Generator[FollowUpdate, None, None]:
        """Yield what is added, and keep the tables up to date."""
        with self._watch, self._tables or nullcontext():
            found = yield from self._first()
            while found is not None:
                is_last = self._is_over()
                if is_last:  # what was not reported is found by a listing
                    self._watch.list_at_once()
                changes = self._watch.wait(_WAKE)
                self.status.waits_for = self._watch.problem
                if changes is not None:
                    self._is_due, found = True, changes.logdir
                    self._changed |= changes.runs
                yield from self._due_updates(found, at_once=is_last)
                self._on_wake(self.status)
                if is_last and self._is_over():
                    return

    def _is_over(self) -> bool:
        idle = time.monotonic() - self.status.last_growth
        return self.is_stopped or (self._until_idle is not None and idle >= self._until_idle)

    def _first(self) -> Generator[FollowUpdate, None, Logdir | None]:
        """Wait until there is something to read, yield the first update, and return the log directory."""
        found: Logdir | None = None
        next_attempt = 0.0
        while not self._is_over():
            changes = self._watch.wait(_WAKE)
            begin = time.monotonic()
            if changes is not None:
                found = changes.logdir
            problem = self._watch.problem
            if problem is not None:
                if isinstance(problem.__cause__, OSError) and not isinstance(problem, LogdirNotFoundError):
                    raise problem  # such as missing credentials, which do not come by waiting
                self.status.waits_for = problem
            elif found is not None and begin >= next_attempt:
                try:
                    update = self._updated(found, None)
                except (LogdirError, NameNotFoundError) as error:  # what is missing may be written yet
                    self.status.waits_for = error
                    next_attempt = time.monotonic() + (time.monotonic() - begin) / _SHARE
                    found = None
                else:
                    self.status.waits_for = None
                    yield update
                    return found
            self._on_wake(self.status)
        return None

    def _due_updates(self, found: Logdir, *, at_once: bool) -> Generator[FollowUpdate, None, None]:
        now = time.monotonic()
        if self._is_due and (at_once or now >= self._next_update):
            changed, self._changed, self._is_due = self._changed, set(), False
            try:
                update = self._updated(found, changed)
            except LogdirError as error:  # the selected runs are gone: the tables stay, and the runs may come back
                self.status.waits_for = error
            else:
                if update.summary.is_something or len(update.findings):
                    yield update
                return
        if self._tables is not None:
            self._tables.complete()
        if self._to_diagnose and (at_once or now >= self._next_diagnosis):
            findings = self._diagnosed(found)
            if len(findings):
                yield self._update(found, UpdateSummary(0, [], [], {}, []), (), findings)

    def _updated(self, found: Logdir, changed: AbstractSet[str] | None) -> FollowUpdate:
        """Bring the tables and the frames up to date; ``changed`` is None for the first time."""
        self._selection.choose_runs(found)
        values: tuple[NewValues, ...] = ()
        summary, count = None, 0
        if self._tables is not None:
            if changed is None:
                self.report = self._tables.open(found)
            else:
                self.report = self._tables.update(found, changed)
            count = self.report.values_read
            # The first conversion into a new folder is not an update.
            summary = self.report.update or UpdateSummary(count, [], [each.run for each in self.report.runs], {}, [])
            self.status.runs = len(self.report.runs)
        if self._log is not None:
            summary, values = self._log.refresh(found, changed)
            count = self._log.frames.report.values_read
            self.status.runs = len(self._log.frames)
        assert summary is not None
        end = time.monotonic()
        if changed is None or count != self.status.values or summary.added or summary.renewed:
            self.status.last_growth = end
        self.status.values = count
        self._next_update = max(end + self._every, self._tables.next_update if self._tables else 0.0)
        if self._findings is not None:
            self._to_diagnose |= {*summary.added, *summary.grown, *summary.renewed}
        if self._findings is not None and changed is None:
            self._to_diagnose |= {run.name for run in found.runs}
        return self._update(
            found, summary, values, self._diagnosed(found) if end >= self._next_diagnosis else no_findings()
        )

    def _diagnosed(self, found: Logdir) -> pl.DataFrame:
        """Return the findings that are new in the runs that have changed since the last diagnosis."""
        if self._findings is None or not self._to_diagnose:
            return no_findings()
        begin = time.monotonic()
        runs, self._to_diagnose = self._to_diagnose, set()
        findings = self._findings.new(found, runs)
        end = time.monotonic()
        self._next_diagnosis = end + max(self._every, (end - begin) / _SHARE)
        return findings

    def _update(
        self, found: Logdir, summary: UpdateSummary, values: Iterable[NewValues], findings: pl.DataFrame
    ) -> FollowUpdate:
        frames = self._log.frames if self._log else LogdirFrames(found.paths)
        return FollowUpdate(summary, frames, findings, self.report, self._selection, tuple(values))
