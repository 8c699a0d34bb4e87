"""Notifications of changed paths: those of the system, which watchfiles gives."""

from __future__ import annotations

import os
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Milliseconds to gather notifications.
_DEBOUNCE: Final = 200


class Notices(Protocol):
    """Notifications of changed paths below a folder."""

    def wait(self, seconds: float) -> set[str] | None:
        """Return the reported paths as soon as there are any.

        The set is empty if nothing is reported within these seconds. None means that no more will
        come.
        """

    def close(self) -> None:
        """End the notifications."""


class SystemNotices(Notices):
    """The notifications of the system for folders and all folders below them, which a thread waits for."""

    def __init__(self, roots: Sequence[str]) -> None:
        """Begin to watch ``roots``, paths without links.

        Raises:
            ImportError: watchfiles is not installed.
        """
        from watchfiles import Change, watch

        self._is_ended = threading.Event()
        self._reported: SimpleQueue[set[str] | None] = SimpleQueue()
        changes = watch(
            *roots,
            watch_filter=lambda change, path: change is Change.deleted or _may_matter(path),
            debounce=_DEBOUNCE,
            stop_event=self._is_ended,
            raise_interrupt=False,
            force_polling=False,
            ignore_permission_denied=True,
        )
        thread = threading.Thread(target=self._report, args=(changes,), name="tb2csv_notices", daemon=True)
        thread.start()

    def _report(self, changes: Iterable[set[tuple[object, str]]]) -> None:
        try:
            for each in changes:
                self._reported.put({path for _, path in each})
        except (OSError, RuntimeError):  # too few watches, or the folder is gone
            self._reported.put(None)

    def wait(self, seconds: float) -> set[str] | None:
        """Return the paths that were reported within these seconds."""
        try:
            return self._reported.get(timeout=max(seconds, 0))
        except Empty:
            return set()

    def close(self) -> None:
        """End the thread."""
        self._is_ended.set()


def _may_matter(path: str) -> bool:
    """Return whether a path can be an event file or a folder; a training writes many others, such as checkpoints.

    The default filter of watchfiles drops folders such as ``.venv`` and files that end with ``~``.
    """
    return "tfevents" in os.path.basename(path) or os.path.isdir(path)
