"""Which runs, tags and kinds somebody asked for, by shell patterns."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from tb2csv.errors import LogdirError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.logdir import Logdir, Run


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


def _matches(name: str, patterns: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    wanted = not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    return wanted and not any(fnmatchcase(name, pattern) for pattern in excluded)


def nearest(patterns: Iterable[str], names: Iterable[str]) -> str:
    """Return the names that come nearest to the patterns, as the end of a sentence."""
    known = sorted(set(names))
    found = [name for pattern in patterns for name in difflib.get_close_matches(pattern, known, 3, 0.4)]
    shown = list(dict.fromkeys(found)) or known[:3]
    return ", ".join(repr(name) for name in shown) if shown else "none"
