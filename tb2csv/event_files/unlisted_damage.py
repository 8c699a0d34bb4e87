"""Damage of a file beyond what is listed: a file may have nothing else, and each entry takes ten times its bytes."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The number of damaged stretches of a file that are listed; of the others, only places and totals are kept.
MAX_LISTED: Final = 1000

#: Shared by all files without unlisted damage, and never changed.
_NO_EXTENTS: Final = array("q")


class UnlistedDamage:
    """Damaged stretches that are counted and not listed."""

    __slots__ = ("_extents", "count", "lost_bytes")

    def __init__(self, count: int = 0, lost_bytes: int = 0) -> None:
        """Start with totals of stretches whose places are not known, if any."""
        self.count = count
        self.lost_bytes = lost_bytes
        self._extents = _NO_EXTENTS

    def add(self, offset: int, length: int, *, lost: bool) -> None:
        """Add a stretch of ``length`` bytes."""
        if not self._extents:
            self._extents = array("q")
        self.count += 1
        self.lost_bytes += length if lost else 0
        self._extents.extend((offset, length, lost))

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """Yield the offset and the length of each stretch in bytes, and whether its values are lost."""
        extents = self._extents
        for place in range(0, len(extents), 3):
            yield extents[place], extents[place + 1], bool(extents[place + 2])

    def __eq__(self, other: object) -> bool:
        """Return whether another object counts the same damage."""
        return isinstance(other, UnlistedDamage) and (self.count, self.lost_bytes) == (other.count, other.lost_bytes)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Return the totals."""
        return f"UnlistedDamage({self.count}, {self.lost_bytes})"
