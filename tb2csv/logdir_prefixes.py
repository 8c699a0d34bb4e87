"""Prefixes that distinguish the runs of several log directories: the shortest distinct ends of their paths."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from tb2csv.errors import LogdirError
from tb2csv.sources.local_files import readable
from tb2csv.sources.urls import is_url, protocols, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The likely cause if a command line has log directories that cannot be read together.
QUOTE_HINT: Final = "if the shell has replaced a pattern by the names of files, quote the pattern, as in '*loss*'"


class LogdirPlace(NamedTuple):
    """The place of one of several log directories.

    ``names`` are the names of the folders that lead to it, from which the prefix is made. A place that is an event file
    has those of its folder, because it belongs to the run there. ``identity`` are the names without links.
    """

    location: str
    names: tuple[str, ...]
    identity: tuple[str, ...]
    is_file: bool = False

    @classmethod
    def of(cls, location: str) -> LogdirPlace:
        """Return the place of a path or URL."""
        if is_url(location):
            names = _names_in_url(location)
            return cls(location, names, names)
        try:
            is_file = Path(location).is_file()
        except OSError:  # the listing reports it
            is_file = False
        names = _names_in_path(os.path.normpath(Path.cwd() / location))
        identity = ("", *_names_in_path(os.path.realpath(location)))
        return cls(location, names[:-1] if is_file else names, identity, is_file)


def check_distinct(places: Sequence[LogdirPlace]) -> None:
    """Check that no event file is in two of several log directories.

    Raises:
        LogdirError: two of them are the same, or one is in another.
    """
    ordered = sorted(places, key=lambda place: place.identity)
    for outer, inner in itertools.pairwise(ordered):  # what is in a folder comes right after it
        if outer.identity == inner.identity:
            message = f"The log directory {shown(inner.location)} is given twice; give it once, or {QUOTE_HINT}."
            raise LogdirError(message)
        if inner.identity[: len(outer.identity)] == outer.identity:
            message = (
                f"The log directory {shown(inner.location)} is in {shown(outer.location)}, so its runs would be read "
                f"twice; leave one of them out, or {QUOTE_HINT}."
            )
            raise LogdirError(message)


def prefixes(places: Sequence[LogdirPlace]) -> list[str]:
    """Return the prefix of each place: the shortest end of its names that is not that of another place.

    No prefix is a folder of another one, so that different runs have different names.

    Raises:
        LogdirError: two places have the same names, as the same path in two kinds of archives may have.
    """
    # Event files in the same folder share a prefix.
    owners = {(place.names, place.is_file): place for place in places}
    lengths = dict.fromkeys(owners, 1)
    while True:
        ends = {key: key[0][-length:] for key, length in lengths.items()}
        longer = _to_lengthen(ends)
        growing = [key for key in longer if lengths[key] < len(key[0])]
        if not growing:
            break
        for key in growing:
            lengths[key] += 1
    if longer:
        first, second = (shown(owners[key].location) for key in longer[:2])
        message = f"{first} and {second} have the same name, and so would their runs; read one at a time."
        raise LogdirError(message)
    return ["/".join(ends[place.names, place.is_file]) for place in places]


_Key = tuple[tuple[str, ...], bool]


def _to_lengthen(ends: dict[_Key, tuple[str, ...]]) -> list[_Key]:
    """Return the places whose ends are equal, or of which one is a folder of the other."""
    by_end: dict[tuple[str, ...], list[_Key]] = {}
    for key, end in ends.items():
        by_end.setdefault(end, []).append(key)
    found: dict[_Key, None] = {}
    for end, keys in by_end.items():
        if len(keys) > 1:
            found |= dict.fromkeys(keys)
        for length in range(1, len(end)):
            # A place that is a file has one run, whose name is its prefix, and none below.
            above = [key for key in by_end.get(end[:length], ()) if not key[1]]
            if above:
                found |= dict.fromkeys([key for key in above if length < len(key[0])] or [*above, *keys])
    return list(found)


def _names_in_path(path: str) -> tuple[str, ...]:
    parts = Path(path)
    drive = [parts.drive.rstrip(":")] if parts.drive else []
    return tuple(readable(name) for name in (*drive, *parts.parts[1:]))


def _names_in_url(url: str) -> tuple[str, ...]:
    """Return the names in a URL, those of a store before those in an archive; passwords and signatures are left out."""
    names: list[str] = []
    for part in reversed(url.split("::")):
        protocol, is_address, rest = part.partition("://")
        if not is_address:
            if part.isalnum():  # a protocol such as that of a cache
                continue
            protocol, rest = "", part
        if protocol in {"http", "https"}:
            rest = unquote(rest.partition("?")[0].partition("#")[0])
        host, slash, path = rest.partition("/")
        rest = f"{host.rpartition('@')[2]}{slash}{path}"
        names += _known([f"{protocol}:" if not names and protocol else "", *rest.split("/")])
    return tuple(names) or (protocols(url)[0],)


def _known(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in {"", "."}]
