"""Threads that read and write runs: what they keep, and when they work one at a time or at once."""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from tb2csv.daemon_executor import DaemonExecutor, at_once, result_of
from tb2csv.parallel import Turns, WorkCancelledError, default_workers, map_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_an_idle_thread_keeps_nothing_of_its_last_task() -> None:
    class Connection:
        def use(self) -> str:
            return "answer"

    connection, is_free = Connection(), threading.Event()
    weakref.finalize(connection, is_free.set)
    with DaemonExecutor(1) as executor:
        assert executor.submit(connection.use).result() == "answer"
        del connection
        assert is_free.wait(60)


def test_threads_that_need_the_interpreter_work_one_at_a_time() -> None:
    turns, working, most = Turns(busy=time.perf_counter), [0], [0]

    def work(_: int, report_bytes: object) -> None:
        with turns.turn():
            working[0] += 1
            most[0] = max(most[0], working[0])
            time.sleep(0.005)
            working[0] -= 1

    map_runs(work, range(12), workers=4)
    assert most == [1]


def test_threads_that_wait_for_storage_work_at_once() -> None:
    turns, meeting = Turns(busy=lambda: 0.0), threading.Barrier(3, timeout=60)

    def work(_: int, report_bytes: object) -> None:
        with turns.turn():
            meeting.wait()

    for _ in range(2):  # the first turn is not measured
        with turns.turn():
            time.sleep(0.001)
    map_runs(work, range(3), workers=3)


def test_runs_are_read_in_this_thread_if_there_are_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def work(run: int, report_bytes: object) -> tuple[int, int]:
        return run, threading.get_ident()

    monkeypatch.setattr(threading.Thread, "start", refuse)
    warmed: list[int] = []
    results = map_runs(work, range(3), workers=2, warm_up=lambda: warmed.append(threading.get_ident()))
    assert results == [(run, threading.get_ident()) for run in range(3)]
    assert warmed == [threading.get_ident()]
    later: Future[str] = Future()
    later.set_result("answer")
    assert result_of(later) == "answer", "its work is not cancelled with that of the runs"


def test_the_error_of_the_first_run_that_fails_is_raised_and_the_others_end() -> None:
    meeting, ended = threading.Barrier(3, timeout=60), []

    def work(run: int, report_bytes: object) -> None:
        meeting.wait()
        if run < 2:
            raise ValueError(run)
        try:
            while True:
                report_bytes(0)  # type: ignore[operator]
                time.sleep(0.001)
        finally:
            ended.append(run)

    with pytest.raises(ValueError, match="0"):
        map_runs(work, range(3), workers=3)
    assert ended == [2]


def test_warming_up_has_a_thread_of_its_own_so_that_an_interrupt_is_not_raised_in_it() -> None:
    meeting, warmed = threading.Barrier(2, timeout=60), []

    def warm_up() -> None:
        meeting.wait()
        warmed.append(threading.get_ident())

    def work(_: int, report_bytes: object) -> int:
        meeting.wait()
        return threading.get_ident()

    (worker,) = map_runs(work, [0], warm_up=warm_up)
    assert len({*warmed, worker, threading.get_ident()}) == 3


def test_an_error_of_warming_up_is_raised_and_ends_the_work() -> None:
    def warm_up() -> None:
        raise ImportError("no polars")

    def work(_: int, report_bytes: Callable[[int], None]) -> None:
        while True:
            report_bytes(0)
            time.sleep(0.001)

    with pytest.raises(ImportError, match="no polars"):
        map_runs(work, range(3), workers=2, warm_up=warm_up)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_caller_that_cancels_gets_its_own_exception(workers: int) -> None:
    """As TensorBoard does at its end."""

    def cancel(_: int) -> None:
        raise WorkCancelledError

    def work(_: int, report_bytes: Callable[[int], None]) -> None:
        report_bytes(1)

    with pytest.raises(WorkCancelledError):
        map_runs(work, range(3), workers=workers, report_bytes=cancel)


def test_an_error_ends_a_turn() -> None:
    turns = Turns(busy=time.perf_counter)

    def work(number: int, report_bytes: object) -> int:
        with turns.turn():
            return 1 // number

    for _ in range(3):
        try:
            map_runs(work, [0], workers=1)
        except ZeroDivisionError:
            continue
    assert map_runs(work, [1, 1], workers=2) == [1, 1]


def test_work_on_items_is_done_at_once_and_items_are_made_when_it_can_begin() -> None:
    count = default_workers()
    meeting, made, done = threading.Barrier(count, timeout=60), [0], [0]
    most = 0

    def items() -> Iterator[int]:
        nonlocal most
        for number in range(3 * count):
            made[0] += 1
            most = max(most, made[0] - done[0])
            yield number

    def work(_: int) -> None:
        if meeting.wait() == 0:
            done[0] += count

    at_once(work, items())
    assert made == done == [3 * count]
    assert most <= 2 * count


def test_an_error_ends_work_on_items() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ZeroDivisionError

    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        at_once(work, iter(range(1000)))
    assert len(begun) <= 1 + 2 * default_workers()
    assert threading.active_count() == threads
