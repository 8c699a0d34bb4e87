"""Short, distinct forms of the names of runs and tags that are too long for a column.

A shortened name has ``…`` in place of the omitted part, which depends on the other names: names that would look alike
show the part in which they differ.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from tb2csv.display import OMITTED, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def short_names(names: Iterable[str], width: int) -> dict[str, str]:
    """Return a form of at most ``width`` letters for each name; the forms are distinct if the width permits.

    A name that fits is unchanged.
    """
    distinct = list(dict.fromkeys(names))
    shorts = {name: name for name in distinct if len(name) <= width}
    taken = set(shorts)
    for name, text in _distinguished([name for name in distinct if len(name) > width], width).items():
        shorts[name] = text if text not in taken else _numbered(text, taken, width)
        taken.add(shorts[name])
    return shorts


def _distinguished(names: list[str], width: int, before: int = 0, after: int = 0) -> dict[str, str]:
    """Return short forms of names that share their first ``before`` and last ``after`` letters."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_around(name, before, after, width), []).append(name)
    texts = {}
    for text, members in alike.items():
        if len(members) == 1:
            texts[members[0]] = text
            continue
        start, end = _shared(members)
        if (start, end) == (before, after):
            texts |= dict.fromkeys(members, text)
        else:
            texts |= _distinguished(members, width, start, end)
    return texts


def _around(name: str, before: int, after: int, width: int) -> str:
    """Return a short form that shows what is between a name's first ``before`` and last ``after`` letters."""
    core = shortened(name[before : len(name) - after], max(width - 2, 1))
    head = min((width - 2 - len(core)) // 2, before)
    tail = min(width - 2 - len(core) - head, after)
    head = min(width - 2 - len(core) - tail, before)
    start = name[:before] if head == before else f"{name[:head]}{OMITTED}"
    stop = name[len(name) - after :] if tail == after else f"{OMITTED}{name[len(name) - tail :]}"
    text = f"{start}{core}{stop}"
    # The core is empty if the name is the shortest of those that share its start and its end.
    has_core = (before or after) and OMITTED * 2 not in text
    return text if has_core and len(text) <= width else shortened(name, width)


def _shared(names: Sequence[str]) -> tuple[int, int]:
    """Return how many letters all names share at their start, and how many more at their end."""
    start = _common_start(names)
    return start, _common_start([name[start:][::-1] for name in names])


def _common_start(names: Sequence[str]) -> int:
    first, last = min(names), max(names)
    alike = takewhile(lambda letters: letters[0] == letters[1], zip(first, last, strict=False))
    return sum(1 for _ in alike)


def _numbered(text: str, taken: set[str], width: int) -> str:
    """Return a text with a number at its end that makes it distinct from those in ``taken``."""
    number = 2
    while (numbered := f"{text[: max(width - len(str(number)) - 1, 0)]}~{number}") in taken:
        number += 1
    return numbered
