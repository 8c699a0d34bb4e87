"""Counts of the values that a recorder could not write, reported in one warning."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: The number of names that one warning lists.
_LISTED: Final = 10


class RecorderWarning(UserWarning):
    """A recorder stopped recording, or omitted values; the training continues."""


class Omissions:
    """The values that one recorder omitted since its last report."""

    def __init__(self, folder: Path) -> None:
        """Count the values missing in ``folder``, the run's folder."""
        self._folder = folder
        self._by_name: dict[str, tuple[str, int]] = {}
        self._stop_reason = ""
        self._has_news_of_stop = False
        self._after_stop = 0

    def add(self, name: str, reason: str, count: int = 1) -> None:
        """Count values of one name; ``reason`` says what they are, such as ``text``."""
        first_reason, counted = self._by_name.get(name, (reason, 0))
        self._by_name[name] = first_reason, counted + count

    def stop(self, reason: str) -> None:
        """Note why nothing more is recorded."""
        self._stop_reason, self._has_news_of_stop = reason, True

    def add_after_stop(self, count: int) -> None:
        """Count values that came after the recording stopped."""
        self._after_stop += count

    def report(self) -> None:
        """Warn once about all values omitted since the last report."""
        sentences = []
        if self._after_stop or self._has_news_of_stop:
            sentences.append(
                f"Recording in {self._folder} stopped ({self._stop_reason}): "
                f"{_values(self._after_stop)} not recorded. The training goes on."
            )
        if self._by_name:
            total = sum(count for _, count in self._by_name.values())
            listed = [
                f"{name} ({count:,} x {reason})" for name, (reason, count) in list(self._by_name.items())[:_LISTED]
            ]
            more = len(self._by_name) - len(listed)
            tail = f", and {more:,} more names" if more else ""
            sentences.append(f"{_values(total)} not recorded in {self._folder}: {', '.join(listed)}{tail}.")
        self._by_name, self._after_stop, self._has_news_of_stop = {}, 0, False
        if sentences:
            warnings.warn(" ".join(sentences), RecorderWarning, stacklevel=3)


def described(error: Exception) -> str:
    """Return the type of an exception and the first line of its message, as a reason."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def _values(count: int) -> str:
    return "1 value was" if count == 1 else f"{count:,} values were"
