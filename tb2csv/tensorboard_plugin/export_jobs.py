"""Exports: converted in the background, two at a time, kept until they are downloaded, and then removed.

A conversion counts among the two only while it works, so a slow download does not delay the next export.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import Tb2csvError
from tb2csv.parallel import WorkCancelledError
from tb2csv.tensorboard_plugin.option_titles import page_spelling
from tb2csv.tensorboard_plugin.web_api import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tb2csv.report import Report
    from tb2csv.tensorboard_plugin.export_folders import ExportFolders

_LOGGER = logging.getLogger("tensorboard")

#: Conversions at the same time.
_PLACES: Final = 2
#: Exports at the same time, including finished ones.
_MOST_JOBS: Final = 32
#: Seconds for which an export is kept after its last use; and after it was sent.
_KEPT: Final = 600.0
_KEPT_WHEN_SENT: Final = 120.0
#: Seconds between two checks for closed connections and expired exports.
_LOOK: Final = 0.5
_SWEEP: Final = 1.0
#: Seconds for which a conversion continues after its last client is gone.
_GRACE: Final = 5.0
#: Seconds for which the shutdown waits for a conversion to stop.
_PATIENCE: Final = 10.0
#: The maximum length of a list in a status, such as that of damage.
_LISTED: Final = 20

QUEUED: Final = "queued"
RUNNING: Final = "running"
READY: Final = "ready"
SENDING: Final = "sending"
SENT: Final = "sent"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
#: Codes of errors: the export was not downloaded in time, or its client is gone.
EXPIRED: Final = "expired"
GONE: Final = "gone"
_ABANDONED: Final = "The page or program that requested the export is gone; start it again."
_ENDED: Final = frozenset({FAILED, CANCELLED})


class ExportError(Tb2csvError):
    """An export ended without a file; ``code`` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        """Give the code and the message."""
        super().__init__(message)
        self.code = code


class Progress:
    """The progress of a conversion in bytes of event files, and the way to end it."""

    def __init__(self) -> None:
        """Start at zero."""
        self.total = 0
        self.done = 0
        self.is_to_end = False

    def passed(self, count: int) -> None:
        """Count bytes.

        Raises:
            WorkCancelledError: the conversion is to end.
        """
        if self.is_to_end:
            raise WorkCancelledError
        self.done += count


#: Writes tables into a folder that does not exist yet; returns the report, and the path to send: the folder, or one
#: file in it.
Conversion = Callable[["Path", Progress], tuple["Report", "Path"]]


@dataclass(slots=True)
class ExportJob:
    """One export. Only ExportJobs changes its fields, under a lock."""

    token: str
    name: str
    convert: Conversion
    #: Whether the folder of the result is sent as an archive, or one file in it.
    is_archive: bool = True
    state: str = QUEUED
    progress: Progress = field(default_factory=Progress)
    folder: Path | None = None
    result: Path | None = None
    size: int | None = None
    report: dict[str, Any] | None = None
    error: ExportError | None = None
    touched: float = field(default_factory=time.monotonic)
    #: The number of clients that wait for it or download it.
    readers: int = 0
    #: When the last of them left before the result was ready; None while there is a client, or before the first.
    abandoned: float | None = None
    #: Set when there is a result or an error.
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether it ended without a file."""
        return self.state in _ENDED


class ExportJobs:
    """All exports of one TensorBoard process, by token."""

    def __init__(self, folders: ExportFolders, hide_paths: Callable[[str], str]) -> None:
        """Write into ``folders``; ``hide_paths`` removes absolute paths from a message."""
        self._folders = folders
        self._hide_paths = hide_paths
        self._lock = threading.Lock()
        self._jobs: dict[str, ExportJob] = {}
        self._queue: deque[ExportJob] = deque()
        self._running = 0
        self._sweeper: threading.Thread | None = None
        self._closed = threading.Event()
        #: Folders that the sweeper removes, and the event that wakes it.
        self._doomed: list[Path] = []
        self._has_work = threading.Event()

    def submit(self, name: str, convert: Conversion, *, is_archive: bool) -> ExportJob:
        """Start an export, or queue it, and return it; ``name`` is the name of the file.

        Raises:
            RequestError: there are too many exports.
        """
        job = ExportJob(secrets.token_urlsafe(24), name, convert, is_archive)
        with self._lock:
            if len(self._jobs) >= _MOST_JOBS and not self._forget_oldest():
                raise RequestError(429, "busy", "Too many exports are waiting; cancel one, or try again later.")
            if self._closed.is_set():
                raise RequestError(503, "closing", "TensorBoard is shutting down; start it again to export.")
            self._jobs[job.token] = job
            self._queue.append(job)
            self._start_some()
            if self._sweeper is None and not job.is_over:
                sweeper = threading.Thread(target=self._sweep, name="tb2csv-sweeper", daemon=True)
                self._sweeper = sweeper if _is_started(sweeper) else None
        return job

    def find(self, token: str) -> ExportJob:
        """Return an export.

        Raises:
            RequestError: it does not exist, or no longer.
        """
        with self._lock:
            job = self._jobs.get(token)
            if job is None:
                raise RequestError(404, "no_export", "This export no longer exists; start it again.")
            job.touched = time.monotonic()
            return job

    def cancel(self, job: ExportJob) -> None:
        """End an export in any state, and remove its files."""
        with self._lock:
            self._end(job, CANCELLED, ExportError("cancelled", "The export was cancelled."))

    def status(self, job: ExportJob) -> dict[str, Any]:
        """Return the status of an export for the page."""
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
        """Count a client that waits for an export or downloads it; an exception means that the download failed."""
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

    def wait(self, job: ExportJob, client_connected: Callable[[], bool]) -> Path:
        """Wait for the result and return its path.

        The export is cancelled if its last client disconnects and no other one comes soon, as download managers do that
        take a download over from the browser.

        Raises:
            ExportError: the export ended without a file, or the client is gone.
        """
        while not job.ended.wait(_LOOK):
            if not client_connected():
                raise ExportError(GONE, _ABANDONED)
        with self._lock:
            self.check(job)
            if job.result is None:
                message = "The export no longer exists; start it again."
                raise ExportError(EXPIRED, message)
            job.state = SENDING
            return job.result

    @staticmethod
    def check(job: ExportJob) -> None:
        """Note that a piece is being sent; raises the error of a cancelled export."""
        if job.error is not None:
            raise job.error
        job.touched = time.monotonic()

    def fail(self, job: ExportJob) -> None:
        """Note that the written files cannot be read."""
        message = "The tables could not be read back from the temporary folder, so the download ended too early."
        with self._lock:
            self._end(job, FAILED, ExportError("sending", message))

    def close(self) -> None:
        """Cancel all exports and refuse new ones; return when all have ended."""
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
        error: ExportError | None = ExportError("internal", "The export ended unexpectedly; start it again.")
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
        """Convert, and return the error, or None."""
        try:
            folder = job.folder = self._folders.make(job.token)
            report, result = job.convert(folder / "tables", job.progress)
            summary = _page_report(report)
            files = [result] if result.is_file() else (path for path in result.rglob("*") if path.is_file())
            size = sum(path.stat().st_size for path in files)
        except WorkCancelledError:
            return None
        except Tb2csvError as failure:
            message = self._hide_paths(failure.spelled(page_spelling))
            for folder in (job.folder / "tables", job.folder) if job.folder else ():
                message = re.sub(rf"{re.escape(f'{folder}{os.sep}export')}[.\w]*", "the file", message)
                message = message.replace(str(folder), "its temporary folder")
            return ExportError("failed", f"{message[:1].upper()}{message[1:]}")
        except MemoryError:
            return ExportError("failed", "There is not enough memory for this export; select less.")
        except ImportError as failure:
            return ExportError("broken", f"{failure.name or 'A package'} cannot be imported; reinstall tb2csv.")
        except Exception:
            if not job.is_over:
                _LOGGER.exception("tb2csv: an export failed")
            return ExportError("internal", "tb2csv failed; see TensorBoard's log.")
        with self._lock:
            if not job.is_over:
                job.report, job.result, job.size, job.state = summary, result, size, READY
                job.touched = time.monotonic()
        return None

    def _end(self, job: ExportJob, state: str, error: ExportError) -> None:
        """End an export without a file. The lock is held."""
        if job.is_over:
            return
        is_working = job.state == RUNNING and not job.ended.is_set()
        if job in self._queue:
            self._queue.remove(job)
        job.state, job.error, job.result = state, error, None
        job.progress.is_to_end = True
        if not is_working:  # a working one ends at the next bytes, and then removes its files
            self._remove(job)
            job.ended.set()

    def _remove(self, job: ExportJob) -> None:
        """Let the sweeper remove the files of an export. The lock is held."""
        folder, job.folder = job.folder, None
        if folder is not None:
            self._doomed.append(folder)
            self._has_work.set()

    def _sweep(self) -> None:
        """Remove folders and expired exports until there are no exports."""
        while True:
            self._has_work.wait(_SWEEP)
            self._has_work.clear()
            if self._closed.is_set():  # all folders are removed together
                return
            now = time.monotonic()
            with self._lock:
                for job in list(self._jobs.values()):
                    if job.abandoned is not None and now - job.abandoned > _GRACE:
                        self._end(job, CANCELLED, ExportError(GONE, _ABANDONED))
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
        """Drop the export that was sent or ended longest ago, or else one that waits to be fetched.

        Return whether there was one.
        """
        done = [job for job in self._jobs.values() if job.state == SENT or job.is_over]
        done = done or [job for job in self._jobs.values() if job.state == READY and not job.readers]
        if done:
            self._forget(min(done, key=lambda job: job.touched))
        return bool(done)

    def _forget(self, job: ExportJob) -> None:
        self._end(job, CANCELLED, ExportError(EXPIRED, "The export was not downloaded in time; start it again."))
        self._jobs.pop(job.token, None)


def _is_started(thread: threading.Thread) -> bool:
    """Start a thread; return False if that fails, as at the end of the interpreter in Python 3.12 and later."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _page_report(report: Report) -> dict[str, Any]:
    """Return a report for the page, with shortened lists."""
    whole = report.to_dict(page_spelling)
    counts = ("values_read", "values_written", "values_filtered", "values_undecodable", "values_empty", "tables")
    lists = ("damage", "undecodable", "notes")
    return {
        **{name: whole[name] for name in counts},
        **{name: whole[name][:_LISTED] for name in lists},
        "damage_count": whole["damage_count"],
        "undecodable_count": len(whole["undecodable"]),
        "notes_count": len(whole["notes"]),
    }
