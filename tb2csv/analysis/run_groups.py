"""Groups of runs, such as the seeds of one experiment, by a pattern for their names.

A pattern is matched folder by folder from the start of a run's name: ``*``, ``?`` and ``[ab]`` do not match ``/``. The
text in braces is the name of the group. A pattern without braces has them around all of its folders except the last one
with a wildcard. The rest of a run's name after the pattern is also part of the group's name, so that ``train`` and
``validation`` of a seed are not mixed.

=====================  ====================  ===============
pattern                run                   group
=====================  ====================  ===============
``seed_*``             seed_0                ``.``
``seed_*``             seed_0/train          train
``lr=*/seed_*``        lr=0.1/seed_0         lr=0.1
``lr=*/seed_*``        lr=0.1/seed_0/train   lr=0.1/train
``seed_*/train``       seed_0/train          train
``{*}_seed*``          big_seed0             big
``seed_*/{lr=*}``      seed_0/lr=0.1         lr=0.1
=====================  ====================  ===============
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Final

from tb2csv.errors import LogdirError, OptionError, check_type
from tb2csv.logdir import ROOT_RUN
from tb2csv.selection import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A set of characters, which may start with a bracket, or any single character.
_SET: Final = r"(?:\][^\]/]*|[^\]/]+)"
_PART: Final = re.compile(rf"\[(?:!{_SET}|(?!!){_SET})\]|.", re.DOTALL)
#: The text that ``fnmatch.translate`` puts around a set; its end differs between versions of Python.
_TRANSLATED: Final = re.compile(r"\(\?s:(.*)\)\\[Zz]", re.DOTALL)


class GroupPattern:
    """A pattern that assigns runs to groups."""

    def __init__(self, pattern: str) -> None:
        """Parse the pattern.

        Raises:
            OptionError: it is empty, or its braces are not in pairs.
        """
        check_type("by", pattern, str, "a pattern of runs as text")
        self.pattern = pattern
        folders = pattern.strip("/")
        if not folders:
            message = "The pattern for groups of runs is empty; give one such as 'seed_*'."
            raise OptionError(message)
        if not {"{", "}"} & set(_PART.findall(folders)):
            folders = _with_braces(folders)
        parts = _PART.findall(folders)
        depth = 0
        for part in parts:
            depth += (part == "{") - (part == "}")
            if depth not in {0, 1}:
                break
        if depth:
            message = f"The braces of {pattern!r} are unpaired or nested; write a literal brace as [{{]."
            raise OptionError(message)
        self._regex = re.compile("".join(map(_regex, parts)) + "(/.*)?", re.DOTALL)

    def group_of(self, run: str) -> str | None:
        """Return the name of the run's group, or None if the run does not match."""
        match = None if run == ROOT_RUN else self._regex.fullmatch(run)
        if match is None:
            return None
        *names, rest = match.groups(default="")
        return "/".join([*names, *([rest[1:]] if rest else [])]) or ROOT_RUN

    def group(self, runs: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
        """Return the groups by name, each with its runs in order, and the runs without a group.

        Raises:
            LogdirError: no run has a group.
        """
        names = list(runs)
        groups: dict[str, list[str]] = {}
        unmatched = []
        for run in names:
            group = self.group_of(run)
            if group is None:
                unmatched.append(run)
            else:
                groups.setdefault(group, []).append(run)
        if not groups:
            near = nearest([re.sub(r"[{}]", "", self.pattern)], names)
            message = f"No run matches {self.pattern!r} from the start of its name; {near}."
            raise LogdirError(message)
        return dict(sorted(groups.items())), unmatched


def _with_braces(pattern: str) -> str:
    """Return a pattern with braces around all folders except the last one with a wildcard."""
    folders = pattern.split("/")
    wild = [
        number
        for number, folder in enumerate(folders)
        if any(len(part) > 1 or part in "*?" for part in _PART.findall(folder))
    ]
    number = wild[-1] if wild else len(folders) - 1
    before, after = "/".join(folders[:number]), "/".join(folders[number + 1 :])
    return "/".join([*([f"{{{before}}}"] if before else []), folders[number], *([f"{{{after}}}"] if after else [])])


def _regex(part: str) -> str:
    """Return the regular expression for one character or set of characters of a pattern."""
    if len(part) > 1:
        return "(?!/)" + _TRANSLATED.sub(r"\1", translate(part))
    return {"*": "[^/]*", "?": "[^/]", "{": "(", "}": ")"}.get(part) or re.escape(part)
