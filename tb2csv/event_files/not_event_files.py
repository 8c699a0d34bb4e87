"""Recognition of files that are not event files, by their first bytes.

A name is not enough: exports, notes and archives of event files also have ``tfevents`` in their names. A file with a
sound record is an event file, whatever its first bytes are. Of the others, a file that begins like a record is a
damaged event file; the rest are other files.
"""

from __future__ import annotations

from typing import Final

#: The number of bytes needed to recognise a file.
HEAD_BYTES: Final = 512

#: What a file is and what to do about it, by its first bytes.
_KNOWN: Final = {
    b"\x1f\x8b": "it is compressed with gzip; unpack it first",
    b"BZh": "it is compressed with bzip2; unpack it first",
    b"\xfd7zXZ\x00": "it is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "it is compressed with Zstandard; unpack it first",
    b"PK\x03\x04": "it is a ZIP archive; read it with zip://::PATH as the log directory",
    b"7z\xbc\xaf\x27\x1c": "it is a 7z archive; unpack it first",
    b"version https://git-lfs.github.com/spec/": "it is a Git LFS pointer to the file; get the file with git lfs pull",
    b"/annex/objects/": "it is a git-annex pointer to the file; get the file with git annex get",
    b"<!DOCTYPE html": "it is a web page, probably from a failed download; download the file again",
    b"<html": "it is a web page, probably from a failed download; download the file again",
}

#: The mark of a TAR archive, and its place.
_TAR: Final = b"ustar"
_TAR_PLACE: Final = 257

#: Bytes near the beginning of the first event of an event file.
_VERSION: Final = b"brain.Event"


def reason_not_event_file(head: bytes, *, is_named: bool) -> str:
    """Return why a file without a sound record is not an event file; empty if it is a damaged event file.

    ``head`` is the first ``HEAD_BYTES`` of the file; ``is_named`` is true if it has an event file's name.
    """
    for start, what in _KNOWN.items():
        if head.startswith(start):
            return what
    if head.startswith(_TAR, _TAR_PLACE):
        return "it is a TAR archive; read it with tar://::PATH as the log directory"
    # A record is smaller than 4 GiB, so the upper half of its length is zero; text has other bytes there.
    if not is_named or (any(head[4:8]) and _VERSION not in head):
        return "it holds no record"
    return ""
