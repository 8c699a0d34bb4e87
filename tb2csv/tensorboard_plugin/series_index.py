"""The index of a log directory, scanned in the background and updated with new data only."""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tb2csv.errors import Tb2csvError
from tb2csv.parallel import WorkCancelledError, map_runs
from tb2csv.tensorboard_plugin.index_snapshot import IndexSnapshot
from tb2csv.tensorboard_plugin.option_titles import page_spelling
from tb2csv.tensorboard_plugin.run_counts import CountedRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.logdir import Logdir, Run
    from tb2csv.tensorboard_plugin.event_sources import EventSources, FoundRuns
    from tb2csv.tensorboard_plugin.sampling_limits import SamplingLimits

_LOGGER = logging.getLogger("tensorboard")

#: Seconds for which a state is reused, during a scan and after it.
_REUSE_SECONDS_WHILE_SCANNING: Final = 0.4
_REUSE_SECONDS: Final = 2.0

SCANNING: Final = "scanning"
READY: Final = "ready"
FAILED: Final = "failed"


@dataclass(frozen=True)
class IndexState:
    """The state of the index at one moment; a new ``version`` means that anything except ``made_at`` has changed."""

    version: str
    state: str
    snapshot: IndexSnapshot
    passed: int = 0
    total: int = 0
    damage: int = 0
    notes: tuple[str, ...] = ()
    #: A code and a message if nothing can be indexed.
    error: tuple[str, str] | None = None
    made_at: float = 0.0


class SeriesIndex:
    """The index of one TensorBoard process. Nothing is read before ``refresh`` is called; each call is short."""

    def __init__(self, sources: EventSources, shown: SamplingLimits) -> None:
        """Index the event files of ``sources``."""
        self._sources = sources
        self._shown = shown
        self._lock = threading.Lock()
        self._scan: threading.Thread | None = None
        self._closed = threading.Event()
        self._runs: dict[str, CountedRun] = {}
        self._found: FoundRuns | None = None
        self._passed = self._total = 0
        #: A page may outlive TensorBoard, and the versions of two processes must differ.
        self._instance = secrets.token_hex(4)
        self._versions = itertools.count(1)
        #: The state after the last finished scan, and the last state during the running one.
        self._finished: IndexState | None = None
        self._so_far: IndexState | None = None

    def refresh(self, known: str | None = None, timeout: float = 0.0) -> IndexState:
        """Start reading new data, and return the state after ``timeout`` seconds, or when all data are read.

        ``known`` is the version that the caller has: if it is the latest, the caller waits for another. Without it, a
        recent state is enough.
        """
        with self._lock:
            finished = self._finished
            has_unseen_state = finished is not None and known != finished.version
            is_due = not (
                has_unseen_state and finished is not None and time.monotonic() - finished.made_at < _REUSE_SECONDS
            )
            if self._scan is None and is_due and not self._closed.is_set():
                self._scan = threading.Thread(target=self._run_scan, name="tb2csv-index", daemon=True)
                self._so_far, self._passed, self._total = None, 0, 0
                try:
                    self._scan.start()
                except RuntimeError:  # the interpreter is ending
                    self._scan = None
            scan = self._scan
        if scan is not None:
            scan.join(timeout)
        return self.state

    @property
    def state(self) -> IndexState:
        """The present state; incomplete during a scan."""
        with self._lock:
            if self._scan is None and self._finished is not None:
                return self._finished
            so_far = self._so_far
            if so_far is None or time.monotonic() - so_far.made_at >= _REUSE_SECONDS_WHILE_SCANNING:
                so_far = self._so_far = self._new_state(SCANNING)
            return so_far

    @property
    def logdir(self) -> Logdir | None:
        """The runs and files of the last scan; None before the first scan."""
        return self._found.logdir if self._found else None

    def close(self) -> None:
        """End a running scan, and do not start another one."""
        self._closed.set()

    def _new_state(self, state: str, error: tuple[str, str] | None = None) -> IndexState:
        damage = 0
        notes: tuple[str, ...] = ()
        if state == READY and self._found is not None:
            damage = len(self._found.logdir.damage) + sum(run.damage_count for run in self._runs.values())
            notes = tuple(self._found.notes)
        return IndexState(
            f"{self._instance}-{next(self._versions)}",
            state,
            IndexSnapshot.of({name: run.series for name, run in self._runs.items()}, self._shown),
            self._passed,
            self._total,
            damage,
            notes,
            error,
            time.monotonic(),
        )

    def _run_scan(self) -> None:
        state, error, is_changed = READY, None, True
        try:
            is_changed = self._read()
        except WorkCancelledError:
            state, error = FAILED, ("closing", "TensorBoard is shutting down.")
        except Tb2csvError as failure:
            self._runs = {}
            state, error = FAILED, ("no_data", self._sources.hide_paths(failure.spelled(page_spelling)))
        except Exception:
            _LOGGER.exception("tb2csv: the log directory could not be scanned")
            state, error = FAILED, ("internal", "The log directory could not be scanned; TensorBoard's log says why.")
        with self._lock:
            if is_changed or self._finished is None or self._finished.state != state:
                self._finished = self._new_state(state, error)
            else:
                self._finished = replace(self._finished, made_at=time.monotonic())
            self._scan = None

    def _read(self) -> bool:
        """Read new data, and return whether anything has changed."""
        found = self._sources.find()
        is_changed = self._found is None or found.notes != self._found.notes
        is_changed |= [run.name for run in found.logdir.runs] != list(self._runs)
        self._found = found
        self._runs = {run.name: self._runs.get(run.name) or CountedRun() for run in found.logdir.runs}
        unread = {run.name: self._runs[run.name].unread(run) for run in found.logdir.runs}
        outdated = [run for run in found.logdir.runs if unread[run.name] is not None]
        self._total = sum(count or 0 for count in unread.values())

        def read(run: Run, report_bytes: Callable[[int], None]) -> None:
            self._runs[run.name].refresh(run, report_bytes)

        map_runs(read, outdated, workers=found.logdir.workers(None), report_bytes=self._report_bytes)
        return is_changed or bool(outdated)

    def _report_bytes(self, count: int) -> None:
        if self._closed.is_set():
            raise WorkCancelledError
        self._passed += count
