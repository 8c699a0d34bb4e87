"""Process runs in parallel threads: the scanner and polars release the interpreter's lock."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import ContextVar, copy_context
from numbers import Integral
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tb2csv.errors import OptionError, Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")
#: A run, or several runs that are processed together.
_Run = TypeVar("_Run")

_Task = tuple[Future[Any], "Callable[[], Any]"]

_NAME: Final = "tb2csv"

#: How long a signal may wait until it is handled, in seconds.
_SECONDS_BETWEEN_SIGNALS: Final = 0.05


#: The share of its time in which a thread must be busy, so that others wait for it.
_BUSY_SHARE: Final = 0.2

#: Set in the workers of ``map_runs``, and in the threads that they start: whether the worker is to end.
_CANCELLED: Final[ContextVar[threading.Event | None]] = ContextVar("cancelled", default=None)


class WorkCancelledError(Exception):
    """Raised in a worker to end it, because another worker failed or the user interrupted."""


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class DaemonExecutor(Executor):
    """An executor whose threads the interpreter does not join when it ends.

    It joins the threads of ThreadPoolExecutor before our code can cancel their work, so TensorBoard would end only when
    an export is complete. If no thread can be started, as at the end of the interpreter, the caller does the work.
    """

    def __init__(self, max_workers: int) -> None:
        """Start at most ``max_workers`` threads, as they are needed."""
        self._max_workers = max_workers
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Call ``fn(*args, **kwargs)`` in a thread, and return its future."""
        future: Future[_Result] = Future()
        task = future, functools.partial(copy_context().run, fn, *args, **kwargs)
        if len(self._threads) < self._max_workers:
            self._start_thread()
        if self._threads:
            self._tasks.put(task)
        else:
            _run_task(*task)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads after all submitted work, or after their present work if futures are cancelled."""
        while cancel_futures:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task is not None:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{_NAME}_{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads, or Python 3.12 and later is ending
            self._max_workers = len(self._threads)
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            _run_task(*task)
            del task  # an idle thread must not keep the file system of its last request
        self._tasks.put(None)  # for the others: an interrupt in the start of a thread keeps it out of the list


def _run_task(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - the caller of result() gets it
        future.set_exception(error)
    else:
        future.set_result(result)


def map_runs(
    work: Callable[[_Run, Callable[[int], None]], _Result],
    runs: Sequence[_Run],
    *,
    workers: int | None = None,
    report_bytes: Callable[[int], None] = lambda _: None,
    warm_up: Callable[[], object] = lambda: None,
) -> list[_Result]:
    """Return ``work(run, report_bytes)`` for every run, in the order of the runs.

    ``warm_up`` is called in this thread while the workers run. ``report_bytes`` is called with the number of bytes read
    since the last call. A worker calls the function that it is given, which also ends the worker if another one failed;
    a worker may call it with 0 to end sooner. If several runs fail, the error of the first of them is raised.
    """
    check_workers(workers)
    check_progress(report_bytes)
    cancelled = threading.Event()

    def report_or_end(count: int) -> None:
        if cancelled.is_set():
            raise WorkCancelledError
        if count:
            report_bytes(count)

    # The error of each run that has ended, or None. Unlike futures.wait, the queue holds no lock when a signal comes.
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def attempt(run: _Run) -> _Result:
        _CANCELLED.set(cancelled)  # in the context of this task
        try:
            result = work(run, report_or_end)
        except BaseException as error:
            ended.put(error)
            raise
        ended.put(None)
        return result

    count = max(1, min(workers or default_workers(), len(runs)))
    with DaemonExecutor(count) as executor:
        try:
            futures = [executor.submit(attempt, run) for run in runs]
            warm_up()
            for _ in futures:
                if _next(ended) is not None:
                    break
        finally:  # after an interrupt as well; if all is done, nothing is cancelled
            cancelled.set()
            executor.shutdown(wait=True, cancel_futures=True)
    errors = (future.exception() for future in futures if not future.cancelled())
    error = next((each for each in errors if each is not None and not isinstance(each, WorkCancelledError)), None)
    if error is not None:
        raise error
    return [future.result() for future in futures]


def at_once(work: Callable[[_Item], object], items: Iterator[_Item]) -> None:
    """Call ``work(item)`` for the items, as many at once as there are processors.

    The items are made in this thread, each when work on it can begin. After an error, no other work begins.
    """
    count = default_workers()
    begun: deque[Future[object]] = deque()
    with DaemonExecutor(count) as executor:
        for item in items:
            begun.append(executor.submit(work, item))
            if len(begun) == count:
                result_of(begun.popleft())
        for future in begun:
            result_of(future)


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


def result_of(future: Future[_Result]) -> _Result:
    """Return the result of a future that may never end, such as a request to a server that does not answer.

    A worker of ``map_runs`` gives the future up when it is to end, and raises WorkCancelledError.
    """
    cancelled = _CANCELLED.get()
    while not (cancelled and cancelled.is_set()):
        try:
            return future.result(_SECONDS_BETWEEN_SIGNALS)
        except FutureTimeoutError:
            if future.done():
                return future.result()
    raise WorkCancelledError


def _next(queue: SimpleQueue[_Result]) -> _Result:
    """Return the next item of a queue.

    The system may deliver a signal to any thread, and Python handles it in the main thread, which may then be asleep.
    So the main thread wakes up at intervals.
    """
    while True:
        with contextlib.suppress(Empty):
            return queue.get(timeout=_SECONDS_BETWEEN_SIGNALS)


def ahead(items: Iterator[_Result], has_more: Callable[[], bool]) -> Iterator[_Result]:
    """Yield the items while a thread makes the next one.

    No thread is started if ``has_more`` returns false when the first item is made.
    """
    for item in items:
        if has_more():
            break
        yield item
    else:
        return
    with DaemonExecutor(1) as executor:
        following: _Result | None = item
        while following is not None:
            future = executor.submit(next, items, None)
            yield following
            following = future.result()


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
