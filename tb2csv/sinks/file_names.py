"""Map run names and tags to file paths that are injective and safe on Linux, macOS and Windows.

Names in a log are not trusted: a path made here is never absolute, never leaves its folder, and is a plain file on all
three systems. Readable letters stay readable.

Paths are also safe for programs that read tables. DuckDB, ClickHouse and polars read brackets and braces as patterns,
so they could read another file. DuckDB and ClickHouse read a folder ``step=5`` as a column of a partitioned data set,
which replaces the table's own column. So brackets and braces are escaped everywhere, and ``=`` in folders.

Why no two names share a path
-----------------------------
1. Escapes can be undone. ``%`` is always written ``%25``, so every ``%`` in a segment starts an escape of one UTF-8
   byte in upper-case hex, and undoing the escapes gives back the name, whichever characters were escaped. Hence any
   rule below may escape one character more. ``%empty`` is not an escape (``em`` is not hex): it is the empty name.
2. ``~`` is always written ``%7E``, so a bare one is ours. What follows it is a hash of the *whole* name, and its length
   gives the reason: 16 digits, a segment was cut; 24, a path was shortened; 12, two names clashed. Names with the same
   ending have the same hash, so they are the same name.
3. A path is its segments joined by ``/``, and segments do not contain one: a list of segments has exactly one path.
4. No segment ends in a reserved ending, so the endings that tb2csv adds can be taken off again, and what is left is the
   tag's own path: ``x`` + ``.stats`` + ``.csv`` cannot be the tag ``x.stats`` + ``.csv``, which is ``x%2Estats.csv``.
   Folders end in none either, so no folder of a tag is another tag's file, or its folder of stored bytes.
5. No segment of a run is a reserved folder, so the first reserved folder in a path ends the run.

Points 4 and 5 hold after case folding as well. ``UniqueNames`` separates names that differ only in case or Unicode
normalisation, because that depends on the other names.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from tb2csv.event_files.scanners import NameTable
from tb2csv.selection import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.event_files.values import SchemaTable

#: The endings that tb2csv gives to files and folders, lower case; a segment of a tag or run ends in none of them.
#: One dot each: ``.stats.csv`` is two endings. A new suffix of a sink or a decoder belongs here, though adding it
#: renames the tables of tags that happen to end in it.
RESERVED_ENDINGS: Final = (
    *(".csv", ".tsv", ".parquet", ".arrow", ".feather", ".json", ".jsonl", ".ndjson", ".npy", ".npz"),
    *(".stats", ".nodes", ".contents", ".undecodable", ".files"),
    *(".gz", ".bz2", ".xz", ".zst", ".zip"),
    *(".tmp", ".lock"),
)

#: The folders of the kinds of tables in a run's folder; a segment of a run equals none of them.
_RESERVED_FOLDERS: Final = frozenset(KINDS)

_EMPTY: Final = "%empty"

# File systems take 255 bytes (or UTF-16 units) a segment. 200 leaves room for a clash's hash (13), the longest table
# endings (.undecodable.parquet.zst: 24) and the marks of a file that is still being written.
_MAX_SEGMENT: Final = 200
# macOS takes the fewest bytes a path: 1024, for the output folder, a run, a kind and a tag together.
_MAX_PATH: Final = 400
_MAX_DEPTH: Final = 40
# A name of more characters is cut in any case, so the rest of it only counts for its hash.
_START: Final = 2 * _MAX_SEGMENT

_CUT_DIGITS: Final = 16
_SHORTENED_DIGITS: Final = 24
_CLASH_DIGITS: Final = 12

# Fixed code points rather than unicodedata's categories: those grow with Python, and a name must not change with it.
_UNSAFE_CHARACTERS: Final = (
    r"%~"  # ours
    r"<>:\"/\\|?*"  # refused by Windows
    r"\[\]{}"  # patterns to programs that read tables
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb"  # controls and separators
    # Invisible characters (bidi controls, joiners, variation selectors, fillers, tags), which some file systems ignore
    # when they compare names.
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\u226e\u226f"  # decomposed, as macOS may store them, they start with < and >
    r"\ud800-\udfff"  # unpaired surrogates have no UTF-8
    r"\uf000-\uf0ff"  # private use: network shares put forbidden characters here and may take them back
    r"\ufdd0-\ufdef"  # noncharacters, also the last two of each plane
    + "".join(rf"\U{plane:04x}fffe-\U{plane:04x}ffff" for plane in range(17))
)
# Windows strips dots and spaces at the end; at the start a dot hides a file, or makes it ``.`` or ``..``.
_UNSAFE_AT_EDGES: Final = ". \xa0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

# Windows opens the device with any extension, and with spaces before the extension.
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\xb9\xb2\xb3]) *(?:\.|\Z)", re.IGNORECASE
)

# Names that no rule changes, which are nearly all; other names only take longer.
_PLAIN: Final = re.compile(r"(?!(?i:aux|com|con|lpt|nul|prn))[0-9A-Za-z_][0-9A-Za-z_+,=()-]{0,199}")

# A truncated character at the end of a cut: fewer escapes than its first byte requires.
_BROKEN_ESCAPES: Final = re.compile(r"(?:%[CD].|%E.(?:%..)?|%F.(?:%..){0,2})?(?:%[0-9A-F]?)?\Z")


def encode_segment(name: str, *, is_folder: bool = False) -> str:
    """Return the file or folder name for ``name``: one safe path segment, different for each name.

    The same name always gives the same segment, and different names give different ones. It is never empty, has at
    most 200 bytes of UTF-8, starts and ends with neither dot nor space, ends in no reserved ending, and has
    only characters that every system takes. Any ``str`` will do, also one with unpaired surrogates: nothing is refused.

    With ``is_folder`` it has no ``=`` either, so that readers do not make a column of the folder.
    """
    if _PLAIN.fullmatch(name) and not (is_folder and "=" in name):
        return name
    if not name:
        return _EMPTY
    encoded = _unsafe(is_folder=is_folder).sub(lambda unsafe: _percent(unsafe.group()), _start_of(name))
    inner = encoded.lstrip(_UNSAFE_AT_EDGES)
    encoded = _percent(encoded[: len(encoded) - len(inner)]) + inner
    inner = encoded.rstrip(_UNSAFE_AT_EDGES)
    encoded = inner + _percent(encoded[len(inner) :])
    if _DEVICE.match(encoded):
        encoded = _percent(encoded[0]) + encoded[1:]
    # Folded, not lower-cased: a ligature in ``.files`` or a long s in ``.csv`` is the same to some file systems.
    if "." in encoded and _folded(encoded).endswith(RESERVED_ENDINGS):
        stem, _, ending = encoded.rpartition(".")
        encoded = f"{stem}%2E{ending}"
    if _size(encoded) > _MAX_SEGMENT:
        return _cut(encoded, _hash_ending(name, _CUT_DIGITS))
    return encoded


@functools.cache
def _unsafe(*, is_folder: bool) -> re.Pattern[str]:
    """Return the pattern of unsafe characters, which few logs have in their names."""
    return re.compile(f"[{'=' * is_folder}{_UNSAFE_CHARACTERS}]")


def _start_of(name: str) -> str:
    """Return the start of a name that is long enough for its segment, because a longer one is cut.

    What all of the name decides stays so: whether dots and spaces are at the end, and whether it names a device.
    """
    if len(name) <= _START:
        return name
    if len(name.rstrip(_UNSAFE_AT_EDGES)) <= _START:
        return name[:_START]
    return name[:_START] + (".x" if _DEVICE.match(name) else "x")


def run_path(run: str, *, holds_tables: bool = True) -> str:
    """Return the folder of a run, relative to the output folder: its segments, each encoded.

    The root run ``.`` is the empty text, and no other run is. No segment equals one of ``KINDS``, whatever
    its case, so that the folders of kinds in a run's folder are never runs below it. Nothing is refused.

    A folder that ``holds_tables`` has no ``=`` in its path. Others, such as those of event files, keep it.
    """
    if run == ".":
        return ""
    segments = [encode_segment(name, is_folder=holds_tables) for name in run.split("/")]
    return _joined([_percent(s[0]) + s[1:] if _folded(s) in _RESERVED_FOLDERS else s for s in segments], run)


def tag_path(tag: str) -> str:
    """Return the path of a tag's table, relative to the folder of its kind and without the extension.

    A ``/`` starts a folder, so ``a//b``, ``/a``, ``a/`` and the empty tag have empty segments, which are encoded as any
    other. The result is never empty, and dots in it are not extensions. Nothing is refused. Only the last segment,
    which names the file, can have a ``=``.
    """
    *folders, name = tag.split("/", _MAX_DEPTH)
    if "/" in name:  # it is cut after so many
        name = name.rpartition("/")[2]
    return _joined([*(encode_segment(folder, is_folder=True) for folder in folders), encode_segment(name)], tag)


#: The maximum number of paths in a dict, which takes less time.
_FEW: Final = 1024


class UniqueNames:
    """The paths taken in one output folder, or in one run, as a file system that ignores case would see them.

    Windows and macOS ignore case in names, and macOS also Unicode normalisation. Two paths that are equal in this way
    are never both returned, and the results are the same on every system. Only whole paths are compared: the folders
    ``Loss`` and ``loss`` may become one, as long as their files differ.

    The order of the claims decides which of two clashing names is unchanged. The paths of other tables, such as the
    index and the trials, are claimed first.

    A registry is not safe to share between threads.
    """

    __slots__ = ("_more", "_owners", "_owners_of_more")

    def __init__(self) -> None:
        """Start with nothing taken."""
        #: What has each of the first paths, by the key of the path.
        self._owners: dict[str, str] = {}
        #: The keys of the others, which have numbers here, in less memory than in a dict.
        self._more: SchemaTable | None = None
        #: What has each of these, by the number of its key, if it is not the key itself.
        self._owners_of_more: dict[int, str] = {}

    def claim(self, path: str, original: str | Callable[[], str]) -> str:
        """Return the path for ``original``: ``path``, or ``path`` with ``~`` and a hash if another name has it.

        ``original`` is all that the path was made from; in a registry that spans runs, that is the run and the tag. If
        no other original has this path, it may be a function, which is called only if there is a clash, because a log
        may have a million tags. The hash goes to the end of the last segment and depends on the original alone. The
        same claim made again has the same answer.
        """
        return self._claim(path, path if callable(original) else original, original)

    def _claim(self, path: str, owner: str, original: str | Callable[[], str]) -> str:
        if self._is_owner(path, owner):
            return path
        original = original() if callable(original) else original
        # If that is taken too, another hash is added: no other name ends in two hashes.
        return self._claim(path + _hash_ending(original, _CLASH_DIGITS), owner, original)

    def _is_owner(self, path: str, owner: str) -> bool:
        """Return whether ``owner`` has a path, which it gets if nothing has it."""
        key, owners = _folded(path), self._owners
        if self._more is None:
            if len(owners) < _FEW:
                return owners.setdefault(path if key == path else key, owner) == owner
            self._more = NameTable()
        if key in owners:
            return owners[key] == owner
        count = len(self._more)
        number = self._more.intern(key.encode())
        if number < count:
            return self._owners_of_more.get(number, key) == owner
        if owner != key:
            self._owners_of_more[number] = owner
        return True


def _percent(text: str) -> str:
    """Return the escapes of the UTF-8 bytes of ``text``."""
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _folded(text: str) -> str:
    """Return a key that is equal for names that a file system may consider equal.

    This is Unicode's canonical caseless match (definition D145). Decomposed first, as folding makes letters of some
    marks and so must meet them in canonical order, and again afterwards, should folding bring in something composed.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def _hash_ending(original: str, digits: int) -> str:
    """Return ``~`` and the first hex digits of the SHA-256 of a name."""
    import hashlib  # loads OpenSSL, which few logs need

    return "~" + hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def _size(encoded: str) -> int:
    """Return the length in bytes of encoded text, which has no surrogates left."""
    return len(encoded) if encoded.isascii() else len(encoded.encode())


def _cut(encoded: str, ending: str) -> str:
    """Return the segment with the ending, shortened to fit, but never within a character."""
    room = _MAX_SEGMENT - len(ending)
    if _size(encoded) > room:
        encoded = _BROKEN_ESCAPES.sub("", encoded.encode()[:room].decode(errors="ignore"))
    return encoded + ending


def _joined(segments: list[str], original: str) -> str:
    """Return the path of encoded segments; if it is too long or too deep, its start, its end and a hash."""
    path = "/".join(segments)
    if len(segments) <= _MAX_DEPTH and _size(path) <= _MAX_PATH:
        return path
    last = _cut(segments[-1], _hash_ending(original, _SHORTENED_DIGITS))
    kept: list[str] = []
    room = _MAX_PATH - _size(last)
    for segment in segments[:-1][: _MAX_DEPTH - 1]:
        room -= _size(segment) + len("/")
        if room < 0:
            break
        kept.append(segment)
    return "/".join([*kept, last])
