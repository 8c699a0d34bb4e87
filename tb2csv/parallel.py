"""Runs side by side: the unit of parallel work is the run, and threads do, for scanner and polars leave the lock."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tb2csv.errors import Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_Result = TypeVar("_Result")
#: What stands for a run, or for several that are worked on together.
_Run = TypeVar("_Run")

_Task = tuple[Future[Any], "Callable[[], Any]"]

_NAME: Final = "tb2csv"

#: How long a signal may wait to be handled.
_SECONDS_BETWEEN_SIGNALS: Final = 0.05


class Cancelled(Exception):  # noqa: N818 - not an error
    """Raised in a worker to end it, because another one failed or the user has had enough."""


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class DaemonExecutor(Executor):
    """An executor whose threads the interpreter does not join when it ends.

    It joins those of ThreadPoolExecutor, before any code of ours could cancel their work: TensorBoard would end only
    when an export is complete. If no thread can be started, as at the end of the interpreter, the caller does the work.
    """

    def __init__(self, max_workers: int) -> None:
        """Start at most ``max_workers`` threads, as they are needed."""
        self._max_workers = max_workers
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Have ``fn(*args, **kwargs)`` called in a thread, and return its future."""
        future: Future[_Result] = Future()
        task = future, functools.partial(fn, *args, **kwargs)
        if len(self._threads) < self._max_workers:
            self._start_thread()
        if self._threads:
            self._tasks.put(task)
        else:
            _run_task(*task)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads when they have done what was submitted, or what they are at."""
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
        except RuntimeError:  # the system has no more threads, or Python 3.12 and later starts none at its end
            self._max_workers = len(self._threads)
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            _run_task(*task)


def _run_task(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
        future.set_exception(error)
    else:
        future.set_result(result)


def map_runs(
    work: Callable[[_Run, Callable[[int], None]], _Result],
    runs: Sequence[_Run],
    *,
    workers: int | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
    warm_up: Callable[[], object] = lambda: None,
) -> list[_Result]:
    """Return ``work(run, on_bytes)`` for every run, in the order of the runs.

    ``warm_up`` is called in this thread once the others are at work.
    ``on_bytes`` is called with the number of bytes read since the last call; what a worker calls instead also ends it where another failed.
    A worker may call that with 0 to be ended sooner.

    If several runs fail before all have ended, the error of the first of them is raised.
    """
    if workers is not None and workers < 1:
        message = f"workers is {workers}; give at least 1, or None for one for each processor."
        raise Tb2csvError(message)
    cancelled = threading.Event()

    def passed(count: int) -> None:
        if cancelled.is_set():
            raise Cancelled
        if count:
            on_bytes(count)

    # The error of each run that has ended, or None. Unlike futures.wait, it leaves no lock held when a signal comes.
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def attempt(run: _Run) -> _Result:
        try:
            result = work(run, passed)
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
        finally:  # by an interrupt as well; where all is done, there is nothing to cancel
            cancelled.set()
            executor.shutdown(wait=True, cancel_futures=True)
    errors = (future.exception() for future in futures if not future.cancelled())
    error = next((each for each in errors if each is not None and not isinstance(each, Cancelled)), None)
    if error is not None:
        raise error
    return [future.result() for future in futures]


def _next(queue: SimpleQueue[_Result]) -> _Result:
    """Return what comes next in a queue.

    The system may deliver a signal to any thread, and Python handles it in the main thread, which no signal wakes then.
    So the main thread wakes by itself.
    """
    while True:
        with contextlib.suppress(Empty):
            return queue.get(timeout=_SECONDS_BETWEEN_SIGNALS)


def ahead(items: Iterator[_Result], has_more: Callable[[], bool]) -> Iterator[_Result]:
    """Yield the items, while the one after is being made in a thread of its own.

    No thread is started where ``has_more`` says, when the first item is made, that there are no others.
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
