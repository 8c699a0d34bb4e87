"""Which runs, tags and kinds somebody asked for, by shell patterns."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NoReturn

from tb2csv.errors import LogdirError, Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.logdir import Logdir, Run
    from tb2csv.time_series import TimeSeries


#: The families of tables.
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
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Shell patterns for runs and tags, and kinds by name; an empty tuple asks for all.

    In a pattern ``*`` matches ``/`` as well, and case counts.
    """

    runs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    exclude_runs: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a single string, which would be taken letter by letter."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str):
                message = f"Selection takes {each.name} as a tuple; give ({value!r},) instead of {value!r}."
                raise Tb2csvError(message)

    def choose_runs(self, logdir: Logdir) -> list[Run]:
        """Return the runs that are asked for; raises LogdirError where there are none."""
        runs = [run for run in logdir.runs if _matches(run.name, self.runs, self.exclude_runs)]
        if not runs:
            near = nearest(self.runs, (run.name for run in logdir.runs))
            message = f"No run of {logdir.path} is asked for by --run and --exclude-run; the nearest are {near}."
            raise LogdirError(message)
        return runs

    def includes(self, tag: str, kind: str) -> bool:
        """Say whether a tag and its kind are asked for, in a run that is."""
        return _matches(tag, self.tags, self.exclude_tags) and (not self.kinds or kind in self.kinds)

    def refuse_nothing(self, series: Iterable[TimeSeries]) -> NoReturn:
        """Raise the error that none of these is asked for; it names what comes nearest."""
        known = list(series)
        if self.tags or self.exclude_tags:
            asked, near = "--tag and --exclude-tag", nearest(self.tags, (each.tag for each in known))
            near = f"the nearest tags are {near}"
        else:
            asked, near = "--kind", f"there are {', '.join(sorted({each.kind for each in known}))}"
        message = f"No value is asked for by {asked}; {near}."
        raise Tb2csvError(message)


def _matches(name: str, patterns: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    wanted = not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    return wanted and not any(fnmatchcase(name, pattern) for pattern in excluded)


def nearest(patterns: Iterable[str], names: Iterable[str]) -> str:
    """Return the names that come nearest to the patterns, as the end of a sentence."""
    known = sorted(set(names))
    by_part = {name.rsplit("/", 1)[-1]: name for name in known} | {name: name for name in known}
    words = [pattern.strip("*?") for pattern in patterns]
    found = [by_part[part] for word in words for part in difflib.get_close_matches(word, by_part, 3, 0.5)]
    shown = list(dict.fromkeys(found)) or known[:3]
    return ", ".join(repr(name) for name in shown) if shown else "none"
