"""The requests to stores that are under way, and a line for the user about one that takes long."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from tb2csv.sources.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
