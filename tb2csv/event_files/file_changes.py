"""Changes of an event file since it was read: whether it has only grown, or must be read again from its start."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from tb2csv.errors import BAD_LENGTH_CRC, BAD_PAYLOAD_CRC, LOST_FRAMING
from tb2csv.event_files.framing import FAILED_CHECK_LIMIT, SearchBudget, is_sound_frame, recover

if TYPE_CHECKING:
    from tb2csv.event_files.event_file import FileStats
    from tb2csv.event_files.framing import ByteSource

#: The kinds of damage that a sound record may replace, and whose extent depends on the bytes after it.
_DEPENDS_ON_REST: Final = {BAD_LENGTH_CRC, BAD_PAYLOAD_CRC, LOST_FRAMING}


def why_read_again(source: ByteSource, stats: FileStats, offset: int) -> str:
    """Return why a file must be read again from its start, as the end of a sentence; empty if it has only grown.

    Args:
        source: the file as it is now.
        stats: its statistics when it was read.
        offset: the position up to which it was read.
    """
    if source.size < offset:
        return "has become shorter"
    if stats.left_out:
        why = f"as a copy of {stats.copy_of}" if stats.copy_of else "because it was not an event file"
        return f"has changed, and was left out {why}"
    first, last = stats.fingerprint
    if len(last) < min(offset, 1):
        return "has no known end, because it could not be read there"
    if source.read_at(0, len(first)) != first or source.read_at(offset - len(last), len(last)) != last:
        return "was replaced"
    if stats.unlisted.count or not _is_same_damage(source, stats):
        return "has changed, so its damage is different"
    return ""


def check_continued(source: ByteSource, stats: FileStats, offset: int) -> None:
    """Check that a file continues the bytes that were read of it up to ``offset``.

    Raises:
        OSError: it was replaced since.
    """
    last = stats.fingerprint.last
    if offset and (source.size < offset or source.read_at(offset - len(last), len(last)) != last):
        raise OSError(errno.ESTALE, "it was replaced while it was read")


def _is_same_damage(source: ByteSource, stats: FileStats) -> bool:
    """Return whether no damage was mended, and the search for the next record after each has the same result."""
    budget = SearchBudget(FAILED_CHECK_LIMIT + source.size)
    for damage in stats.damage:
        if damage.kind in _DEPENDS_ON_REST:
            if is_sound_frame(source, damage.offset):
                return False
            recovery = recover(source, damage.offset, budget)
            found = (recovery.kind, recovery.next_offset, recovery.keep)
            if found != (damage.kind, damage.offset + damage.length, not damage.lost):
                return False
    return True
