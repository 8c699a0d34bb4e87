"""The active recorder: the one of the innermost ``with recorder.as_default()``; functions without a recorder use it."""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING

from tb2csv.errors import RecorderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.recorders.event_writer import EventWriter

_active: contextvars.ContextVar[EventWriter | None] = contextvars.ContextVar("tb2csv_recorder", default=None)


@contextlib.contextmanager
def activated(log: EventWriter) -> Iterator[None]:
    """Make this log the active one within the block."""
    token = _active.set(log)
    try:
        yield
    finally:
        _active.reset(token)


def active_log(caller: str) -> EventWriter:
    """Return the log of the active recorder. Raises RecorderError if there is none."""
    log = _active.get()
    if log is None:
        message = f"{caller} has no recorder to write to; call it within `with recorder.as_default():`."
        raise RecorderError(message)
    return log
