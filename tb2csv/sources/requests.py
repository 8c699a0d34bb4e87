"""Requests to stores outside the thread that waits for them, and their errors in our words."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Final, TypeVar

from tb2csv.daemon_executor import DaemonExecutor, result_of
from tb2csv.errors import Tb2csvError
from tb2csv.parallel import WorkCancelledError
from tb2csv.sources.remote_errors import ObjectChangedError, remote_error
from tb2csv.sources.request_watch import WATCH
from tb2csv.sources.source import ExpansionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_Answer = TypeVar("_Answer")

#: How many requests may be under way at once; more wait.
_MOST_THREADS: Final = 512


def request(url: str, call: Callable[[], _Answer]) -> _Answer:
    """Return what ``call`` returns, which makes a request about ``url``; errors of libraries become ours.

    It is called in another thread, because an interrupt must not wait for a server that does not answer: ``result_of``
    abandons the request, and the thread ends with the answer or with the process.

    Raises:
        RemoteError: the request failed.
        ExpansionError: an archive unpacks to more than the limit.
        MissingExtraError: a package is missing.
    """
    return answer_to(url, lambda: _threads(os.getpid()).submit(call))


def answer_to(url: str, start: Callable[[], Future[_Answer]]) -> _Answer:
    """Start a request about ``url`` and return its result; errors are those of ``request``."""
    with WATCH.running(url):
        try:
            return result_of(start())
        except (ExpansionError, ObjectChangedError, Tb2csvError, WorkCancelledError):
            raise
        except Exception as error:
            raise remote_error(error, url) from error


@functools.cache
def _threads(process: int) -> DaemonExecutor:
    """Return the threads for requests of a process; a forked one has none of its parent's."""
    return DaemonExecutor(_MOST_THREADS)
