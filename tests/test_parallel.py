"""Threads that read and write runs."""

from __future__ import annotations

import threading
import weakref

from tb2csv.parallel import DaemonExecutor


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
