"""Selection of runs, tags and kinds by shell patterns, and the names of all kinds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from tb2csv.errors import LogdirError, NameNotFoundError, OptionError, check_choice, check_type

if TYPE_CHECKING:
    from tb2csv.logdir import Logdir, Run
    from tb2csv.time_series import Tagged


#: The kinds of tables.
KINDS: Final = (
    "scalars",
    "histograms",
    "histogram_stats",
    "tensors",
    "text",
    "images",
    "audio",
    "hparams",
    "pr_curves",
    "graphs",
    "custom_scalars",
    "meshes",
    "blobs",
    "plugin_contents",
)
#: Kinds of tables that accompany a table of another kind and are selected with it.
SECONDARY_KINDS: Final = ("histogram_stats", "plugin_contents")

_LITERAL: Final = re.compile(r"(?:[^*?\[]|\[[*?\[]\])*")


class _Matcher:
    """Matches names against many patterns at once."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Put literal names into a set, and compile the other patterns into one regular expression."""
        names = {pattern: _literal_name(pattern) for pattern in patterns}
        self._names = frozenset(name for name in names.values() if name is not None)
        regexes = [translate(pattern) for pattern, name in names.items() if name is None]
        self._regex = re.compile("|".join(regexes)) if regexes else None

    def matches(self, name: str) -> bool:
        """Return whether any of the patterns matches."""
        return name in self._names or (self._regex is not None and self._regex.match(name) is not None)


#: One name or pattern, several of them, or None for no restriction.
Patterns: TypeAlias = str | Iterable[str] | None


@dataclass(frozen=True, slots=True, init=False)
class Selection:
    """Shell patterns for runs and tags, and names of kinds.

    Each is one string, several strings, or None. Without patterns everything is selected. In a pattern ``*`` also
    matches ``/``. Matching is case-sensitive.
    """

    runs: tuple[str, ...]
    tags: tuple[str, ...]
    kinds: tuple[str, ...]
    exclude_runs: tuple[str, ...]
    exclude_tags: tuple[str, ...]
    _matchers: dict[str, _Matcher] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        runs: Patterns = None,
        tags: Patterns = None,
        kinds: Patterns = None,
        exclude_runs: Patterns = None,
        exclude_tags: Patterns = None,
    ) -> None:
        """Select the runs, tags and kinds that match, without those that are excluded."""
        given = {
            "runs": _strings(runs),
            "tags": _strings(tags),
            "kinds": _strings(kinds),
            "exclude_runs": _strings(exclude_runs),
            "exclude_tags": _strings(exclude_tags),
        }
        for name, patterns in given.items():
            object.__setattr__(self, name, patterns)
        object.__setattr__(self, "_matchers", {name: _Matcher(patterns) for name, patterns in given.items()})

    def choose_runs(self, logdir: Logdir) -> list[Run]:
        """Return the selected runs.

        Raises:
            LogdirError: no run is selected; the message has the nearest names.
        """
        runs = [run for run in logdir.runs if self.includes_run(run.name)]
        if not runs:
            near = nearest(self.runs, (run.name for run in logdir.runs))
            raise LogdirError(_no_match(f"run of {logdir.path}", self.runs, near))
        return runs

    def includes_run(self, name: str) -> bool:
        """Return whether a run is selected."""
        return self._matches("runs", name)

    def includes(self, tag: str, kind: str) -> bool:
        """Return whether a tag of this kind is selected, provided that its run is."""
        return self.includes_tag(tag) and (not self.kinds or kind in self.kinds)

    def includes_tag(self, tag: str) -> bool:
        """Return whether a tag is selected, provided that its run and kind are."""
        return self._matches("tags", tag)

    def _matches(self, attribute: str, name: str) -> bool:
        is_included = not getattr(self, attribute) or self._matchers[attribute].matches(name)
        return is_included and not self._matchers[f"exclude_{attribute}"].matches(name)


def raise_no_match(selection: Selection, series: Iterable[Tagged]) -> NoReturn:
    """Raise NameNotFoundError because none of these series is selected; the message has the nearest names."""
    known = list(series)
    of_kind = [each for each in known if not selection.kinds or each.kind in selection.kinds]
    if not of_kind:
        message = f"There are no values of the kind {' or '.join(selection.kinds)}; the log has {_kinds(known)}."
        raise NameNotFoundError(message)
    named = [each for each in known if selection.includes_tag(each.tag)]
    if named:
        which = f"that matches {_alternatives(selection.tags)}" if selection.tags else "that is not excluded"
        message = f"No tag {which} has values of the kind {' or '.join(selection.kinds)}; there are {_kinds(named)}."
        raise NameNotFoundError(message)
    near = nearest(selection.tags, (each.tag for each in of_kind))
    raise NameNotFoundError(_no_match("tag", selection.tags, near))


def select(
    selection: Selection | None = None,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    kind: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
) -> Selection:
    """Combine a Selection with the filter arguments that all public functions share.

    Raises:
        OptionError: an argument is empty, is not text, or duplicates a filter of the selection, or a kind is unknown.
    """
    base = _checked(selection)
    given = {
        "runs": ("run", run),
        "tags": ("tag", tag),
        "kinds": ("kind", kind),
        "exclude_runs": ("exclude_run", exclude_run),
        "exclude_tags": ("exclude_tag", exclude_tag),
    }
    changes = {name: _strings(each) for name, (_, each) in given.items() if each is not None}
    for name, patterns in changes.items():
        if not patterns and not name.startswith("exclude_"):
            message = f"{given[name][0]} is empty, which selects nothing; give patterns, or None for all."
            raise OptionError(message)
        if getattr(base, name):
            message = f"Both {given[name][0]} and the selection choose {name.replace('_', ' ')}; give one of them."
            raise OptionError(message)
    selected = Selection(**{name: getattr(base, name) for name in given} | changes)
    for each in selected.kinds:
        check_choice("kind", each, KINDS)
    return selected


def _checked(selection: object) -> Selection:
    if selection is None:
        return Selection()
    if not isinstance(selection, Selection):
        message = f"selection is {selection!r}; give a Selection, such as tb2csv.Selection(tags='loss')."
        raise OptionError(message)
    return selection


def _strings(patterns: Patterns) -> tuple[str, ...]:
    if patterns is None:
        return ()
    several: tuple[Any, ...] = (
        (patterns,) if isinstance(patterns, str) or not isinstance(patterns, Iterable) else tuple(patterns)
    )
    for each in several:
        if not isinstance(each, str):
            message = f"{each!r} is not a shell pattern; give text, several texts, or None for all."
            raise OptionError(message)
    return several


def _no_match(what: str, patterns: tuple[str, ...], near: str) -> str:
    """Return the message that no name matches the patterns or, without patterns, that every name is excluded."""
    if patterns:
        return f"No {what} matches {_alternatives(patterns)}; {near}."
    return f"Every {what} is excluded; {near}."


def _alternatives(patterns: tuple[str, ...]) -> str:
    return " or ".join(map(repr, patterns))


def _kinds(series: list[Tagged]) -> str:
    return ", ".join(sorted({each.kind for each in series}))


def literal_pattern(name: str) -> str:
    """Return a pattern that matches only this name.

    Raises:
        OptionError: the name is not text.
    """
    check_type("The name", name, str, "text")
    return re.sub(r"[*?\[]", r"[\g<0>]", name)


def _literal_name(pattern: str) -> str | None:
    """Return the only name that a pattern matches, or None if it may match several."""
    return re.sub(r"\[([*?\[])\]", r"\1", pattern) if _LITERAL.fullmatch(pattern) else None


def nearest(patterns: Iterable[str], names: Iterable[str]) -> str:
    """Return the end of a message: which names resemble the patterns most, or that there are no names."""
    found = nearest_names(patterns, names)
    if not found:
        return "there are none"
    return f"the nearest {'are' if len(found) > 1 else 'is'} {', '.join(map(repr, found))}"


def nearest_names(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the names that resemble the patterns most."""
    known = sorted(set(names))
    by_part = {name.rsplit("/", 1)[-1]: name for name in known} | {name: name for name in known}
    words = [str(pattern).strip("*?") for pattern in patterns]
    found = [by_part[part] for word in words for part in difflib.get_close_matches(word, by_part, 3, 0.5)]
    return list(dict.fromkeys(found)) or known[:3]
