"""Exceptions of frameworks, turned into StateError."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tb2csv.errors import StateError, Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def as_state_errors(what_failed: str, advice: str) -> Iterator[None]:
    """Raise StateError for whatever a framework, or code of a model, raises inside the block.

    Args:
        what_failed: start of the message, such as "The state of the Net cannot be read".
        advice: its end, which says what to do.
    """
    try:
        yield
    except Tb2csvError:
        raise
    except Exception as error:
        message = f"{what_failed} ({reason_of(error)}); {advice}."
        raise StateError(message) from error


def reason_of(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
