"""An executor whose threads end with the process, and its futures.

It is apart from ``parallel``, because ``concurrent.futures`` imports logging, and to list a small log takes neither.
"""

from __future__ import annotations

import functools
from collections import deque
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from tb2csv.parallel import CANCELLED, SECONDS_BETWEEN_SIGNALS, WorkCancelledError, default_workers, start_thread

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")

_Task = tuple[Future[Any], "Callable[[], Any]"]


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
        if not start_thread(self._work, len(self._threads), self._threads):
            self._max_workers = len(self._threads)

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


def result_of(future: Future[_Result]) -> _Result:
    """Return the result of a future that may never end, such as a request to a server that does not answer.

    A worker of ``map_runs`` gives the future up when it is to end, and raises WorkCancelledError.
    """
    cancelled = CANCELLED.get()
    while not (cancelled and cancelled.is_set()):
        try:
            return future.result(SECONDS_BETWEEN_SIGNALS)
        except FutureTimeoutError:
            if future.done():
                return future.result()
    raise WorkCancelledError
