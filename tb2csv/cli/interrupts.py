"""Ctrl-C during a command: when it raises KeyboardInterrupt, and what the message says of the output."""

from __future__ import annotations

import _frozen_importlib
import _thread
import contextlib
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import typer

from tb2csv.errors import LateInterrupt, Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: The seconds between two attempts of an interrupt while a module is imported, and after which it no longer waits.
_RETRY: Final = 0.02
_PATIENCE: Final = 5.0


class _InterruptHandler:
    """A handler of SIGINT that raises KeyboardInterrupt; ``has_raised`` shows whether it has.

    It waits for the end of an import. An exception in the middle of one can be lost in a callback of importlib, or
    leave the lock of all imports locked, so that each thread waits for ever.
    """

    def __init__(self) -> None:
        self.has_raised = False
        self._waits_since: float | None = None
        self._is_retrying = False

    def __call__(self, _: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            now = time.monotonic()
            self._waits_since = self._waits_since or now
            if now - self._waits_since < _PATIENCE:
                if not self._is_retrying:
                    self._is_retrying = True
                    _thread.start_new_thread(self._retry, ())  # takes none of the locks that this thread may hold
                return
        self.has_raised = True
        raise KeyboardInterrupt

    def _retry(self) -> None:
        time.sleep(_RETRY)
        self._is_retrying = False
        if self.has_raised:  # by another Ctrl-C
            return
        if sys.platform == "win32":
            _thread.interrupt_main()
        else:  # which also wakes a thread that sleeps
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _is_importing(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_globals is vars(_frozen_importlib):
            return True
        frame = frame.f_back
    return False


def _is_interrupt(error: BaseException) -> bool:
    """Return whether an exception comes from an interrupt: polars 2.1.0 may raise another one in its place."""
    handler = signal.getsignal(signal.SIGINT)
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(handler, _InterruptHandler)
        and handler.has_raised
        and not isinstance(error, (Tb2csvError, typer.Exit, SystemExit))
    )


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt; before and after a command, it ends the process (see ``__main__``)."""
    ends_process = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if ends_process:
        signal.signal(signal.SIGINT, _InterruptHandler())
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if _is_interrupt(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        if ends_process:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def after_change(out: str) -> Iterator[None]:
    """Let an interrupt say that the output ``out`` is complete."""
    try:
        yield
    except LateInterrupt:
        raise
    except BaseException as error:
        if _is_interrupt(error):
            raise LateInterrupt(f"{out} is complete") from error
        raise
