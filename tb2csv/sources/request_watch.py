"""Requests to stores: which are under way and for how long, and their errors in our words."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from tb2csv.errors import Tb2csvError
from tb2csv.parallel import Cancelled, DaemonExecutor, result_of
from tb2csv.sources.remote_errors import ObjectChangedError, remote_error
from tb2csv.sources.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Answer = TypeVar("_Answer")

#: How many requests may be under way at once; more wait.
_MOST_THREADS: Final = 512

#: After how many seconds without an answer the user is informed.
PATIENCE: Final = 5.0


class RequestWatch:
    """The requests that are under way. A listener, if there is one, gets a line about one that takes long."""

    def __init__(self) -> None:
        """Watch nothing until there is a listener."""
        self._running: dict[object, tuple[float, str]] = {}
        self._listener: Callable[[str], None] | None = None
        self._display: Callable[[str], None] | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def listen(self, listener: Callable[[str], None], display: Callable[[str], None] | None = None) -> Iterator[None]:
        """Call ``listener`` with each line within the context, from another thread.

        The listener gets one line for each time that answers stop. If there is a ``display``, that gets the line in its
        place, again and again, and an empty one while there are answers.
        """
        before = self._listener, self._display
        self._listener, self._display = listener, display
        try:
            yield
        finally:
            self._listener, self._display = before

    def note(self, line: str) -> None:
        """Give the listener a line."""
        if self._listener:
            self._listener(line)

    @contextlib.contextmanager
    def running(self, url: str) -> Iterator[None]:
        """Count a request as under way within the context."""
        token = object()
        self._running[token] = time.monotonic(), url
        if self._listener and self._thread is None:
            self._start()
        try:
            yield
        finally:
            del self._running[token]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="tb2csv_requests", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        is_informed = False
        while True:
            time.sleep(PATIENCE / 5)
            now = time.monotonic()
            begun, url = min(list(self._running.values()), default=(now, ""))
            is_slow = now - begun >= PATIENCE
            line = f"waiting for an answer about {shown(url)} for {now - begun:.0f} s" if is_slow else ""
            if self._display:
                self._display(line)
            elif is_slow and not is_informed:
                self.note(line)
            is_informed = is_slow


#: The requests of this process.
WATCH: Final = RequestWatch()


def request(url: str, call: Callable[[], _Answer]) -> _Answer:
    """Return what ``call`` returns, which makes a request about ``url``; errors of libraries become ours.

    It is called in another thread, because an interrupt must not wait for a server that does not answer: ``result_of``
    gives the request up, and the thread ends with the answer or with the process.

    Raises:
        RemoteError: the request failed.
        MissingExtraError: a package is missing.
    """
    with WATCH.running(url):
        try:
            return result_of(_threads(os.getpid()).submit(call))
        except (ObjectChangedError, Tb2csvError, Cancelled):
            raise
        except Exception as error:
            raise remote_error(error, url) from error


@functools.cache
def _threads(process: int) -> DaemonExecutor:
    """Return the threads for requests of a process; a forked one has none of its parent's."""
    return DaemonExecutor(_MOST_THREADS)
