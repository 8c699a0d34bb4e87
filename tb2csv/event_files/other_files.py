"""Files that are not event files, known by their first bytes.

A name says little: exports, notes and archives of event files have ``tfevents`` in theirs. A file in which a sound
record was found is an event file, whatever it begins with. Of the others, those that begin as a record may are damaged
event files, and the rest are other files.
"""

from __future__ import annotations

from typing import Final

#: How many bytes of a file are enough to know it.
HEAD_BYTES: Final = 512

#: What a file is, and what to do about it, by how it begins.
_KNOWN: Final = {
    b"\x1f\x8b": "it is compressed with gzip; unpack it first",
    b"BZh": "it is compressed with bzip2; unpack it first",
    b"\xfd7zXZ\x00": "it is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "it is compressed with Zstandard; unpack it first",
    b"PK\x03\x04": "it is a ZIP archive; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "it is a 7z archive; unpack it first",
    b"version https://git-lfs.github.com/spec/": "it is a Git LFS pointer to the file; get the file with git lfs pull",
    b"/annex/objects/": "it is a git-annex pointer to the file; get the file with git annex get",
    b"<!DOCTYPE html": "it is a web page, as of a failed download; download the file again",
    b"<html": "it is a web page, as of a failed download; download the file again",
}

#: What the first event of an event file holds, near its beginning.
_VERSION: Final = b"brain.Event"


def why_not_events(head: bytes, *, is_named: bool) -> str:
    """Return why a file in which no sound record was found is not an event file; empty if it is a damaged one.

    ``head`` is its first ``HEAD_BYTES``; ``is_named`` means that it is called as event files are.
    """
    for start, what in _KNOWN.items():
        if head.startswith(start):
            return what
    # A record is less than 4 GiB: the upper half of its length is zero, which no text and few other files have there.
    if not is_named or (any(head[4:8]) and _VERSION not in head):
        return "it holds no record"
    return ""
