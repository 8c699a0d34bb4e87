"""Limits on the data that a file unpacks to or declares, checked before memory or disk space is taken.

The limits follow from the number of bytes that are stored, because a small file can declare any amount of data.
docs/decisions/0016-model-files-of-strangers.md has measurements of honest model files, and
docs/decisions/0021-limits-of-event-files.md those of event files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tb2csv.errors import StateError, check_whole_number
from tb2csv.messages import advice

if TYPE_CHECKING:
    from pathlib import Path

#: The default for ``max_expansion`` of model files.
DEFAULT_MAX_EXPANSION: Final = 100
#: The default for ``max_expansion`` of event files. No gzip data reach it: deflate gives at most 1,032 bytes for one.
DEFAULT_EVENT_EXPANSION: Final = 1100
#: Bytes of tensors that any file may unpack to or declare, whatever its size.
_SMALL_DATA: Final = 256 << 20
#: Bytes that any description, such as a JSON text, may unpack to. Its objects in memory take about 20 times as much.
_SMALL_TEXT: Final = 16 << 20
#: Values in the nested containers of a pickle that any file may have, whatever its size.
_SMALL_TREE: Final = 1 << 20
#: Bytes that any compressed event file may unpack to, whatever its size.
_SMALL_EVENTS: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """How large the data of a file may be, compared with the bytes that are stored."""

    #: The maximum factor between the two, for data that are not small.
    max_expansion: int = DEFAULT_MAX_EXPANSION

    def __post_init__(self) -> None:
        """Raise OptionError if the factor is not a positive whole number."""
        check_whole_number("max_expansion", self.max_expansion, 1)

    def data(self, stored: int) -> int:
        """Return the maximum number of bytes of tensors in ``stored`` bytes of a file."""
        return max(_SMALL_DATA, self.max_expansion * stored)

    def text(self, stored: int) -> int:
        """Return the maximum number of bytes of a description in ``stored`` bytes of a file."""
        return max(_SMALL_TEXT, self.max_expansion * stored)

    def values(self, stored: int) -> int:
        """Return the maximum number of values in the nested containers of ``stored`` bytes of a file."""
        return max(_SMALL_TREE, self.max_expansion * stored)

    def events(self, stored: int) -> int:
        """Return the maximum number of bytes of records in ``stored`` bytes of a compressed event file."""
        return max(_SMALL_EVENTS, self.max_expansion * stored)

    def repeated(self, stored: int) -> int:
        """Return the maximum number of bytes of elements that a tensor of ``stored`` bytes leaves out."""
        return self.max_expansion * stored

    def after_unpacking(self) -> SizeLimits:
        """Return the limits of tensors in data that were unpacked: unpacking takes up the default factor."""
        return replace(self, max_expansion=max(1, self.max_expansion // DEFAULT_EVENT_EXPANSION))

    def check_data(self, path: Path, size: int, stored: int, what: str = "data") -> None:
        """Raise StateError if ``stored`` bytes of a file declare too many bytes of tensors."""
        _check(path, size, self.data(stored), stored, f"bytes of {what}")

    def check_text(self, path: Path, size: int, stored: int, what: str) -> None:
        """Raise StateError if ``stored`` bytes of a file declare too many bytes of a description."""
        _check(path, size, self.text(stored), stored, f"bytes of {what}")

    def check_values(self, path: Path, count: int, stored: int) -> None:
        """Raise StateError if ``stored`` bytes of a file have too many values in nested containers."""
        _check(path, count, self.values(stored), stored, "values in containers that are repeated")


def _check(path: Path, size: int, limit: int, stored: int, what: str) -> None:
    if size > limit:
        needed = -(-size // max(stored, 1))
        fact = f"{path} is not read, because {stored:,} bytes of it declare {size:,} {what}, and the limit is {limit:,}"
        raise StateError(fact, advice(f"raise {{}} to {needed} if you trust the file", "max_expansion"))


#: The limits of model files if none are given.
DEFAULT_LIMITS: Final = SizeLimits()
#: The limits of event files if none are given.
EVENT_FILE_LIMITS: Final = SizeLimits(DEFAULT_EVENT_EXPANSION)
