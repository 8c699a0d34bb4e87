"""Changes of the files of a run since they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import UNREADABLE
from tb2csv.event_files.file_changes import why_read_again
from tb2csv.parallel import map_runs
from tb2csv.sources.source import is_replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tb2csv.logdir import EventFile, Run
    from tb2csv.runs.saved_run import SavedFile
    from tb2csv.sources.source import Version

#: How many versions of files are looked up at once.
_LOOKED_UP_AT_ONCE: Final = 64


class RunChanges(NamedTuple):
    """How the files of a run differ from what was read of them."""

    #: Why the run must be read from its start, as the end of a sentence; empty if its files have only grown.
    reason: str
    #: The paths of the files with the same bytes; not all of them if there is a reason.
    unchanged: frozenset[str] = frozenset()


def run_changes(run: Run, read: Iterable[SavedFile]) -> RunChanges:
    """Compare the files that a run has now with those that were read, each up to its offset.

    A file is opened only if its version has changed or is not known, and does not show that it was replaced. One that
    cannot be read now counts as grown, because reading it reports the error.
    """
    known = {file.stats.path: file for file in read}
    present = {file.path for file in run.files}
    for path in known:
        if path not in present:
            return RunChanges(f"{path} is gone")
    unchanged: set[str] = set()
    for file in run.files:
        earlier = known.get(file.path)
        if earlier is None:
            continue
        stats = earlier.stats
        is_unreadable = any(damage.kind == UNREADABLE for damage in stats.damage)
        version = present_version(file) if stats.version else ""
        if version and version == stats.version and not is_unreadable:
            unchanged.add(file.path)
            continue
        if is_replaced(stats.version, version):
            return RunChanges(f"{file.path} was replaced")
        try:
            with file.open() as source:
                why = why_read_again(source, stats, earlier.offset)
                if not why and source.size == stats.bytes and not is_unreadable:
                    unchanged.add(file.path)
        except OSError:
            continue
        if why:
            return RunChanges(f"{file.path} {why}")
    return RunChanges("", frozenset(unchanged))


def present_version(file: EventFile) -> str:
    """Return the version of a file; empty if it is not known or the file cannot be examined."""
    try:
        return file.version()
    except OSError:
        return ""


def with_versions(runs: Mapping[str, Sequence[Run]]) -> dict[str, list[Run]]:
    """Return runs whose files have versions, as far as they are in stores.

    Versions that the listing does not have, such as those of a web server, are looked up, several at once. A file that
    cannot be looked up is left as it is.
    """
    unknown = [
        file
        for parts in runs.values()
        for run in parts
        for file in run.files
        if file.source.is_remote and not file.listed.text
    ]
    if not unknown:
        return {name: list(parts) for name, parts in runs.items()}

    def look_up(file: EventFile, _: Callable[[int], None]) -> Version:
        try:
            return file.source.version(file.location)
        except OSError:
            return file.listed

    found = map_runs(look_up, unknown, workers=_LOOKED_UP_AT_ONCE)
    versions = {file.path: version for file, version in zip(unknown, found, strict=True)}

    def known(run: Run) -> Run:
        files = (file._replace(listed=versions.get(file.path, file.listed)) for file in run.files)
        return run._replace(files=tuple(files))

    return {name: [known(run) for run in parts] for name, parts in runs.items()}
