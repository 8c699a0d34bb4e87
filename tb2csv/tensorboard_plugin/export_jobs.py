"""Exports at work: converted in the background, two at a time, kept until they are fetched, and removed after that.

A conversion has a place among the two as long as it works, and no longer: whoever fetches slowly, or not at all, keeps
nobody waiting.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import Tb2csvError
from tb2csv.parallel import Cancelled
from tb2csv.tensorboard_plugin.option_titles import page_spelling
from tb2csv.tensorboard_plugin.web_api import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tb2csv.report import Report
    from tb2csv.tensorboard_plugin.export_folders import ExportFolders

_LOGGER = logging.getLogger("tensorboard")

#: Conversions at once.
_PLACES: Final = 2
#: Exports that are known at once, finished ones included.
_MOST_JOBS: Final = 32
#: Seconds for which an export is kept after anybody did anything with it; and after it was sent.
_KEPT: Final = 600.0
_KEPT_WHEN_SENT: Final = 120.0
#: Seconds between two looks at who is still there, and at what is old.
_LOOK: Final = 0.5
_SWEEP: Final = 1.0
#: Seconds for which a conversion that nobody waits for any more goes on.
_GRACE: Final = 5.0
#: Seconds that TensorBoard's end waits for a conversion to notice it.
_PATIENCE: Final = 10.0
#: Stretches of damage and the like that a status lists.
_LISTED: Final = 20

QUEUED: Final = "queued"
RUNNING: Final = "running"
READY: Final = "ready"
SENDING: Final = "sending"
SENT: Final = "sent"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
#: Codes of errors: nobody fetched it in time, or whoever wanted it is gone.
EXPIRED: Final = "expired"
GONE: Final = "gone"
_NOBODY: Final = "Nobody was there any more to fetch the export; start it again."
_ENDED: Final = frozenset({FAILED, CANCELLED})


class ExportError(Tb2csvError):
    """An export that ended without a file; ``code`` is a word for programs."""

    def __init__(self, code: str, message: str) -> None:
        """Tell why."""
        super().__init__(message)
        self.code = code


class Progress:
    """How far a conversion is, in bytes of event files; what tells of bytes also ends it, once it is to end."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.total = 0
        self.done = 0
        self.is_to_end = False

    def passed(self, count: int) -> None:
        """Move on; raises Cancelled where the conversion is to end."""
        if self.is_to_end:
            raise Cancelled
        self.done += count


#: Writes tables into a folder that is not there yet; returns the account, and what is to be sent: the folder itself, or
#: one file in it.
Conversion = Callable[["Path", Progress], tuple["Report", "Path"]]


@dataclass(slots=True)
class ExportJob:
    """One export. Its fields are changed by ExportJobs alone, under a lock."""

    token: str
    name: str
    convert: Conversion
    state: str = QUEUED
    progress: Progress = field(default_factory=Progress)
    folder: Path | None = None
    result: Path | None = None
    size: int | None = None
    report: dict[str, Any] | None = None
    error: ExportError | None = None
    touched: float = field(default_factory=time.monotonic)
    #: How many are waiting for it, or have it sent to them.
    readers: int = 0
    #: When the last of them gave up, before there was anything to send; None where somebody is there, or never was.
    abandoned: float | None = None
    #: Set when there is a result, or an error.
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether it ended without a file."""
        return self.state in _ENDED


class ExportJobs:
    """All exports of one TensorBoard, by token."""

    def __init__(self, folders: ExportFolders, hide_paths: Callable[[str], str]) -> None:
        """Write into ``folders``; ``hide_paths`` takes absolute paths out of a message."""
        self._folders = folders
        self._hide_paths = hide_paths
        self._lock = threading.Lock()
        self._jobs: dict[str, ExportJob] = {}
        self._queue: deque[ExportJob] = deque()
        self._running = 0
        self._sweeper: threading.Thread | None = None
        self._closed = threading.Event()
        #: Folders that the sweeper is to remove, and what wakes it.
        self._doomed: list[Path] = []
        self._has_work = threading.Event()

    def submit(self, name: str, convert: Conversion) -> ExportJob:
        """Begin an export, or queue it, and return it; ``name`` is what the file will be called.

        Raises RequestError if there are too many already.
        """
        job = ExportJob(secrets.token_urlsafe(24), name, convert)
        with self._lock:
            if len(self._jobs) >= _MOST_JOBS and not self._forget_oldest():
                raise RequestError(429, "busy", "Too many exports wait already; cancel one, or try again later.")
            if self._closed.is_set():
                raise RequestError(503, "closing", "TensorBoard is shutting down; start it again for an export.")
            self._jobs[job.token] = job
            self._queue.append(job)
            self._start_some()
            if self._sweeper is None and not job.is_over:
                sweeper = threading.Thread(target=self._sweep, name="tb2csv-sweeper", daemon=True)
                self._sweeper = sweeper if _is_started(sweeper) else None
        return job

    def find(self, token: str) -> ExportJob:
        """Return an export; raises RequestError if there is none, or no longer."""
        with self._lock:
            job = self._jobs.get(token)
            if job is None:
                raise RequestError(404, "no_export", "There is no such export any more; start it again.")
            job.touched = time.monotonic()
            return job

    def cancel(self, job: ExportJob) -> None:
        """End an export, whatever it is doing, and remove what it wrote."""
        with self._lock:
            self._end(job, CANCELLED, ExportError("cancelled", "The export was cancelled."))

    def status(self, job: ExportJob) -> dict[str, Any]:
        """Return what the page is told of an export."""
        with self._lock:
            position = self._queue.index(job) + 1 if job in self._queue else 0
            return {
                "state": job.state,
                "position": position,
                "progress": {"bytes": job.progress.done, "total": job.progress.total},
                "bytes": job.size,
                "report": job.report,
                "error": {"code": job.error.code, "message": str(job.error)} if job.error else None,
            }

    @contextlib.contextmanager
    def reading(self, job: ExportJob) -> Iterator[None]:
        """Have somebody wait for an export, and have it sent to them; an exception says that they do not get it."""
        with self._lock:
            job.readers += 1
            job.abandoned = None
        is_whole = False
        try:
            yield
            is_whole = True
        finally:
            with self._lock:
                job.readers -= 1
                job.touched = time.monotonic()
                if not job.readers and not job.ended.is_set():
                    job.abandoned = job.touched
                if job.state == SENDING and (is_whole or not job.readers):
                    job.state = SENT if is_whole else READY

    def wait(self, job: ExportJob, is_anybody_there: Callable[[], bool]) -> Path:
        """Return what is to be sent once it is there; raises ExportError for an export that ended without.

        It is raised as well where nobody is there any more. Unless somebody else waits, or comes soon, as programs do
        that take a download over from the browser, the export is cancelled then.
        """
        while not job.ended.wait(_LOOK):
            if not is_anybody_there():
                raise ExportError(GONE, _NOBODY)
        with self._lock:
            self.check(job)
            if job.result is None:
                message = "The export is not there any more; start it again."
                raise ExportError(EXPIRED, message)
            job.state = SENDING
            return job.result

    @staticmethod
    def check(job: ExportJob) -> None:
        """Note that a piece is being sent; raises the error of an export that has been cancelled meanwhile."""
        if job.error is not None:
            raise job.error
        job.touched = time.monotonic()

    def fail(self, job: ExportJob) -> None:
        """Note that what was written cannot be read back."""
        message = "The tables could not be read back from the temporary folder, so the download ended too early."
        with self._lock:
            self._end(job, FAILED, ExportError("sending", message))

    def close(self) -> None:
        """Cancel all exports, and begin none any more; return when they have ended."""
        self._closed.set()
        self._has_work.set()
        with self._lock:
            jobs = list(self._jobs.values())
            for job in jobs:
                self._end(job, CANCELLED, ExportError("closing", "TensorBoard is shutting down."))
        for job in jobs:
            job.ended.wait(_PATIENCE)
        self._folders.close()

    def _start_some(self) -> None:
        while self._queue and self._running < _PLACES:
            job = self._queue.popleft()
            if _is_started(threading.Thread(target=self._work, args=(job,), name="tb2csv-export", daemon=True)):
                job.state = RUNNING
                self._running += 1
            else:
                self._end(job, FAILED, ExportError("closing", "No thread can be started; TensorBoard may be ending."))

    def _work(self, job: ExportJob) -> None:
        error: ExportError | None = ExportError("internal", "The export ended in an unforeseen way; start it again.")
        try:
            error = self._converted(job)
        finally:
            with self._lock:
                if error is not None:
                    self._end(job, FAILED, error)
                if job.is_over:
                    self._remove(job)
                job.ended.set()
                self._running -= 1
                self._start_some()

    def _converted(self, job: ExportJob) -> ExportError | None:
        """Convert, and return what went wrong, if anything did."""
        try:
            folder = job.folder = self._folders.make(job.token)
            report, result = job.convert(folder / "tables", job.progress)
            told = _told(report)
            files = [result] if result.is_file() else (path for path in result.rglob("*") if path.is_file())
            size = sum(path.stat().st_size for path in files)
        except Cancelled:
            return None
        except Tb2csvError as failure:
            message = self._hide_paths(failure.spelled(page_spelling))
            for folder in (job.folder / "tables", job.folder) if job.folder else ():
                message = message.replace(str(folder), "its temporary folder")
            return ExportError("failed", message)
        except ImportError as failure:
            return ExportError("broken", f"{failure.name or 'A package'} cannot be imported; install tb2csv anew.")
        except Exception:
            if not job.is_over:
                _LOGGER.exception("tb2csv: an export failed")
            return ExportError("internal", "Something went wrong in tb2csv; TensorBoard's log says what.")
        with self._lock:
            if not job.is_over:
                job.report, job.result, job.size, job.state = told, result, size, READY
                job.touched = time.monotonic()
        return None

    def _end(self, job: ExportJob, state: str, error: ExportError) -> None:
        """End a job without a file. The lock is held."""
        if job.is_over:
            return
        is_working = job.state == RUNNING and not job.ended.is_set()
        if job in self._queue:
            self._queue.remove(job)
        job.state, job.error, job.result = state, error, None
        job.progress.is_to_end = True
        if not is_working:  # else it ends at the next bytes, and removes what it wrote then
            self._remove(job)
            job.ended.set()

    def _remove(self, job: ExportJob) -> None:
        """Have the sweeper remove what a job wrote. The lock is held."""
        folder, job.folder = job.folder, None
        if folder is not None:
            self._doomed.append(folder)
            self._has_work.set()

    def _sweep(self) -> None:
        """Remove folders, and forget exports that were not fetched in a long time, as long as there are any."""
        while True:
            self._has_work.wait(_SWEEP)
            self._has_work.clear()
            if self._closed.is_set():  # all folders are removed together
                return
            now = time.monotonic()
            with self._lock:
                for job in list(self._jobs.values()):
                    if job.abandoned is not None and now - job.abandoned > _GRACE:
                        self._end(job, CANCELLED, ExportError(GONE, _NOBODY))
                    kept = _KEPT_WHEN_SENT if job.state == SENT else _KEPT
                    if job.state not in {QUEUED, RUNNING} and now - job.touched > kept:
                        self._forget(job)
                doomed, self._doomed = self._doomed, []
                if not (self._jobs or self._running or doomed):
                    self._sweeper = None
                    return
            for folder in doomed:
                self._folders.remove(folder)

    def _forget_oldest(self) -> bool:
        """Make room by what was sent or ended longest ago; return whether there was any."""
        done = [job for job in self._jobs.values() if job.state == SENT or job.is_over]
        if done:
            self._forget(min(done, key=lambda job: job.touched))
        return bool(done)

    def _forget(self, job: ExportJob) -> None:
        self._end(job, CANCELLED, ExportError(EXPIRED, "Nobody fetched the export in time; start it again."))
        self._jobs.pop(job.token, None)


def _is_started(thread: threading.Thread) -> bool:
    """Start a thread; return False if there is none to be had, as Python 3.12 and later starts none at its end."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _told(report: Report) -> dict[str, Any]:
    """Return a report as the page shows it, its lists cut."""
    whole = report.to_json(page_spelling)
    counts = ("values_read", "values_written", "values_filtered", "values_undecodable", "values_empty", "tables")
    lists = ("damage", "undecodable", "notes")
    return {
        **{name: whole[name] for name in counts},
        **{name: whole[name][:_LISTED] for name in lists},
        "damage_count": len(whole["damage"]),
        "undecodable_count": len(whole["undecodable"]),
        "notes_count": len(whole["notes"]),
    }
