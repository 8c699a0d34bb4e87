"""Process runs in parallel threads: the scanner and polars release the interpreter's lock."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections import deque
from contextvars import ContextVar, copy_context
from numbers import Integral
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tb2csv.errors import OptionError, Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_Result = TypeVar("_Result")
#: A run, or several runs that are processed together.
_Run = TypeVar("_Run")

_NAME: Final = "tb2csv"

#: How long a signal may wait until it is handled, in seconds.
SECONDS_BETWEEN_SIGNALS: Final = 0.05


#: The share of its time in which a thread must be busy, so that others wait for it.
_BUSY_SHARE: Final = 0.2

#: Set in the workers of ``map_runs``, and in the threads that they start: whether the worker is to end.
CANCELLED: Final[ContextVar[threading.Event | None]] = ContextVar("cancelled", default=None)


class WorkCancelledError(Exception):
    """Raised in a worker to end it, because another worker failed or the user interrupted."""


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_runs(
    work: Callable[[_Run, Callable[[int], None]], _Result],
    runs: Sequence[_Run],
    *,
    workers: int | None = None,
    report_bytes: Callable[[int], None] = lambda _: None,
    warm_up: Callable[[], object] | None = None,
) -> list[_Result]:
    """Return ``work(run, report_bytes)`` for every run, in the order of the runs.

    ``warm_up`` is called in a thread of its own while the workers run: this thread only waits, so an interrupt comes at
    once, and in no library. ``report_bytes`` is called with the number of bytes read since the last call.

    A worker calls the function that it is given, which also ends the worker if another one failed; a worker may call it
    with 0 to end sooner. If several runs fail, the error of the first of them is raised.
    """
    check_workers(workers)
    check_progress(report_bytes)
    state = _Work(work, runs, report_bytes)
    threads: list[threading.Thread] = []
    try:
        for number in range(max(1, min(workers or default_workers(), len(runs)))):
            work_off = functools.partial(copy_context().run, state.work_off)
            if not start_thread(work_off, number, threads):
                break
        if not threads:
            copy_context().run(state.work_off)
        count = len(runs)
        if warm_up is not None:
            if start_thread(functools.partial(state.warm_up, warm_up), len(threads), threads):
                count += 1
            else:
                warm_up()
        for _ in range(count):
            if _next(state.ended) in state.errors:
                break
    finally:  # after an interrupt as well; if all is done, nothing is cancelled
        state.cancelled.set()
        for thread in threads:
            thread.join()
    failed = [state.errors[number] for number in sorted(state.errors)]
    # A worker that was to end may have been the first, but is not the cause.
    for error in sorted(failed, key=lambda each: isinstance(each, WorkCancelledError)):
        raise error
    return [state.results[number] for number in range(len(runs))]


class _Work(Generic[_Run, _Result]):
    """The work of ``map_runs``: threads take one run after the other, and note what became of it."""

    def __init__(
        self,
        work: Callable[[_Run, Callable[[int], None]], _Result],
        runs: Sequence[_Run],
        report_bytes: Callable[[int], None],
    ) -> None:
        self.cancelled = threading.Event()
        #: By the number of the run; -1 is the call of ``warm_up``.
        self.results: dict[int, _Result] = {}
        self.errors: dict[int, BaseException] = {}
        #: The numbers of the runs that have ended. The queue holds no lock when a signal comes.
        self.ended: SimpleQueue[int] = SimpleQueue()
        self._work = work
        self._waiting = deque(enumerate(runs))
        self._report_bytes = report_bytes

    def work_off(self) -> None:
        """Work on runs until none is waiting, or the work is cancelled."""
        CANCELLED.set(self.cancelled)  # in a context of its own
        while not self.cancelled.is_set():
            try:
                number, run = self._waiting.popleft()
            except IndexError:
                return
            with contextlib.ExitStack() as ending:
                ending.push(functools.partial(self._end, number))
                self.results[number] = self._work(run, self._report_or_end)
            del run  # a result may be all that is kept of it

    def warm_up(self, call: Callable[[], object]) -> None:
        """Call a function that prepares the work, as if it were the first run."""
        with contextlib.ExitStack() as ending:
            ending.push(functools.partial(self._end, -1))
            call()

    def _end(self, number: int, _: object, error: BaseException | None, __: object) -> bool:
        """Note the end of a run, and its error, which the caller of ``map_runs`` gets."""
        if error is not None:
            self.errors[number] = error
        self.ended.put(number)
        return True

    def _report_or_end(self, count: int) -> None:
        if self.cancelled.is_set():
            raise WorkCancelledError
        if count:
            self._report_bytes(count)


def start_thread(work: Callable[[], None], number: int, threads: list[threading.Thread]) -> bool:
    """Call ``work`` in a new thread, which is appended to ``threads``; return whether the system had one."""
    thread = threading.Thread(target=work, name=f"{_NAME}_{number}", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the system has no more threads, or Python 3.12 and later is ending
        return False
    threads.append(thread)
    return True


class Turns:
    """Work that needs the interpreter nearly all the time, which threads do in turns.

    Several threads that call the system for each of thousands of small files take longer than one, because each call
    releases the interpreter's lock. If storage is slow, such as a network drive, the threads work at once.
    """

    def __init__(self, busy: Callable[[], float] = time.thread_time) -> None:
        """Start with turns; ``busy`` returns how long the calling thread has used a processor, in seconds."""
        self._busy = busy
        self._lock = threading.Lock()
        self._count = 0
        self._is_storage_slow = False

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread works, unless threads mostly wait for storage."""
        with contextlib.ExitStack() as stack:
            if not self._is_storage_slow:
                stack.enter_context(self._lock)
            began, busy = time.perf_counter(), self._busy()
            yield
            is_waiting = self._busy() - busy < _BUSY_SHARE * (time.perf_counter() - began)
            # During the first turn, the main thread imports modules.
            self._is_storage_slow |= is_waiting and self._count > 0
            self._count += 1


def _next(queue: SimpleQueue[_Result]) -> _Result:
    """Return the next item of a queue.

    The system may deliver a signal to any thread, and Python handles it in the main thread, which may then be asleep.
    So the main thread wakes up at intervals.
    """
    while True:
        with contextlib.suppress(Empty):
            return queue.get(timeout=SECONDS_BETWEEN_SIGNALS)


def ahead(items: Iterator[_Result], has_more: Callable[[], bool]) -> Iterator[_Result]:
    """Yield the items while a thread makes the next one, if ``has_more`` returns true when the item before is made."""
    for item in items:
        if has_more():
            break
        yield item
    else:
        return
    from tb2csv.daemon_executor import DaemonExecutor

    with DaemonExecutor(1) as executor:
        following: _Result | None = item
        while following is not None:
            if has_more():
                future = executor.submit(next, items, None)
                yield following
                following = future.result()
            else:
                yield following
                following = next(items, None)


def check_progress(progress: object) -> None:
    """Raise OptionError if ``progress`` is not a function."""
    if not callable(progress):
        message = f"progress is {progress!r}; give a function that takes a number of bytes."
        raise OptionError(message)


def check_workers(workers: object) -> None:
    """Raise Tb2csvError if ``workers`` is not a number of workers, or None."""
    if workers is not None and not (isinstance(workers, Integral) and int(workers) >= 1):
        message = f"workers is {workers!r}; give a whole number from 1, or None for one worker per processor."
        raise Tb2csvError(message)
