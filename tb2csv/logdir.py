"""Find the runs and event files below a path or an fsspec URL.

A run is a folder with event files, named by its path below the log directory; the log directory itself is ``.``.
Several log directories are read as one: the names of their runs begin with the ends of their paths, and so do the paths
of their files.
An event file has ``tfevents`` in its base name, unless it is given by name. ``.profile-empty`` files are marks of the
profiler without data.
Source: tensorboard/backend/event_processing/io_wrapper.py.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from tb2csv.display import count, displayed
from tb2csv.errors import RAISE_LIMIT, Damage, LogdirError, LogdirNotFoundError
from tb2csv.local_paths import home_expanded
from tb2csv.logdir_prefixes import QUOTE_HINT, LogdirPlace, check_distinct, prefixes
from tb2csv.parallel import default_workers
from tb2csv.size_limits import DEFAULT_EVENT_EXPANSION, EVENT_FILE_LIMITS, SizeLimits
from tb2csv.sources.compression import PACKED_ENDINGS
from tb2csv.sources.local_files import LOCAL, LocalFiles
from tb2csv.sources.source import ExpansionError, Version
from tb2csv.sources.unpacked_file import unpacked
from tb2csv.sources.urls import is_url, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tb2csv.sources.source import OpenFile, Source

ROOT_RUN: Final = "."

#: The names of files with hyperparameters, which Lightning and Keras Tuner write.
HPARAM_FILES: Final = frozenset({"hparams.yaml", "trial.json"})

_UNKNOWN: Final = Version(None)


#: The maximum number of runs of a store that are read at once, and of the bytes that they may hold.
_MOST_WORKERS: Final = 32
_MEMORY: Final = 1 << 30
_CHUNK: Final = 64 << 20
_UNKNOWN_SIZE: Final = 16 << 20


class EventFile(NamedTuple):
    """An event file; ``path`` is relative to the log directory, with ``/``."""

    path: str
    location: str
    source: Source = LOCAL
    #: The version that the listing of a store gave.
    listed: Version = _UNKNOWN
    #: How much it may unpack to if it is compressed, and how many elements its tensors may leave out.
    limits: SizeLimits = EVENT_FILE_LIMITS

    def open(self, stream_from: int | None = None) -> OpenFile:
        """Open the file; ``stream_from`` is the offset from which all bytes are about to be read, if so.

        A compressed file is unpacked. That of a store is recognised only if its name has the ending as well, because
        its first bytes may take a request.

        Raises:
            OSError: it cannot be opened.
        """
        if not self.source.is_remote:
            return unpacked(self.open_stored(stream_from), self.limits)
        if self.path.endswith(PACKED_ENDINGS):
            return unpacked(self.open_stored(None if stream_from is None else 0), self.limits)
        return self.open_stored(stream_from)

    def open_stored(self, stream_from: int | None = None) -> OpenFile:
        """Open the file as it is stored, compressed or not.

        Raises:
            OSError: it cannot be opened.
        """
        return self.source.open(self.path, self.location, stream_from)

    def version(self) -> str:
        """Return a text that changes with the file's content; empty if it is not known.

        It is that of the listing, if the listing of a store has it.

        Raises:
            OSError: the file cannot be examined.
        """
        return self.listed.text or self.source.version(self.location).text

    def size(self) -> int:
        """Return the present size of a local file in bytes, or that of a remote one in the listing; 0 if unknown."""
        if self.listed.size is not None:
            return self.listed.size
        try:
            with self.open_stored() as file:
                return file.size
        except OSError:
            return 0


class Run(NamedTuple):
    """A run and its event files, ordered by name."""

    name: str
    files: tuple[EventFile, ...]

    @property
    def limits(self) -> SizeLimits:
        """How much its files may unpack to, and how many elements its tensors may leave out."""
        return self.files[0].limits if self.files else EVENT_FILE_LIMITS


@displayed(is_brief=True)
@dataclass(frozen=True, slots=True, repr=False)
class Logdir:
    """A log directory: its runs, sorted by name, and the folders that could not be read.

    ``path`` is its folder, file or URL; of several log directories, it is all of them, for messages.
    """

    path: str
    runs: tuple[Run, ...]
    damage: list[Damage] = field(default_factory=list)
    #: Files with hyperparameters beside the logs, named as in HPARAM_FILES.
    hparam_files: tuple[EventFile, ...] = ()
    #: The places of several log directories, each with the prefix of its runs; empty for one.
    parts: tuple[tuple[str, str], ...] = ()
    #: How much compressed files may unpack to, and how many elements tensors may leave out.
    limits: SizeLimits = EVENT_FILE_LIMITS

    @property
    def paths(self) -> list[str]:
        """The folder, file or URL of the log directory, or those of several."""
        return [path for _, path in self.parts] or [self.path]

    @property
    def is_remote(self) -> bool:
        """Whether files of the log directory are in a store."""
        return any(file.source.is_remote for run in self.runs for file in run.files[:1])

    def workers(self, workers: int | None) -> int | None:
        """Return how many runs to read at once: ``workers``, unless it is None.

        A store takes time to answer, so more runs are read at once than there are processors, as many as memory allows.
        """
        if workers is not None or not self.is_remote:
            return workers
        # A run holds two chunks. A web server does not list sizes.
        held = sorted(2 * max(_held(file) for file in run.files) for run in self.runs)
        affordable = sum(total <= _MEMORY for total in itertools.accumulate(reversed(held)))
        return max(default_workers(), min(affordable, _MOST_WORKERS))

    def hides(self, run: str) -> bool:
        """Return whether a run with this name would be in a folder that could not be read."""
        return any(each.path == ROOT_RUN or f"{run}/".startswith(f"{each.path}/") for each in self.damage)

    def with_hidden(self, earlier: Iterable[Run]) -> Logdir:
        """Return the log directory with those runs of an earlier listing that it hides now."""
        if not self.damage:
            return self
        present = {run.name for run in self.runs}
        hidden = [run for run in earlier if run.name not in present and self.hides(run.name)]
        return replace(self, runs=tuple(sorted((*self.runs, *hidden), key=lambda run: run.name)))

    def total_bytes(self) -> int:
        """Return the size of all event files in bytes, for a progress bar; unreadable files count as 0.

        Nothing is requested from a store: a size that its listing does not have counts as 0.
        """
        files = (file for run in self.runs for file in run.files)
        return sum(file.listed.size or 0 if file.source.is_remote else file.size() for file in files)

    def _display(self) -> Iterator[object]:
        files = sum(len(run.files) for run in self.runs)
        yield f"<Logdir {shown(self.path)!r}: {count(len(self.runs), 'run')}, {count(files, 'event file')}>"
        yield [run.name for run in self.runs]
        yield [f"{each.path}: {each.message}" for each in self.damage]


def _held(file: EventFile) -> int:
    """Return about how many bytes of a file are held while it is read."""
    return min(_UNKNOWN_SIZE if file.listed.size is None else file.listed.size, _CHUNK)


class HasLogdir(Protocol):
    """An object with a log directory, such as the frames of ``tb2csv.open_logdir``."""

    @property
    def logdir(self) -> Logdir:
        """The log directory as it was found."""


#: The path or URL of a log directory, or several of them.
LogdirPath: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"

#: The argument of public functions for a log directory.
LogdirSource: TypeAlias = "LogdirPath | Logdir | HasLogdir"


def logdir_of(source: LogdirSource) -> Logdir:
    """Return the log directory that a function was given, and list it if only its path was given.

    Raises:
        LogdirError: as ``discover``, or it is something else.
    """
    if isinstance(source, Logdir):
        return source
    if isinstance(source, (str, os.PathLike, Sequence)):
        return discover(source)
    if not hasattr(source, "logdir"):
        raise _not_a_logdir(source)
    return source.logdir


def _not_a_logdir(source: object) -> LogdirError:
    return LogdirError(
        f"A {type(source).__name__} is not a log directory; give its path, or what discover or open_logdir returned."
    )


def locations_of(path: LogdirPath) -> list[str]:
    """Return the paths and URLs of a log directory or of several, with home folders in place of ``~``.

    Raises:
        LogdirError: one is empty or not a path, or there is none.
    """
    given = path if isinstance(path, Sequence) and not isinstance(path, (str, bytes)) else [path]
    for each in given:
        if not isinstance(each, (str, os.PathLike)):
            raise _not_a_logdir(each)
    locations = [home_expanded(each).removeprefix("file://").removeprefix("local://") for each in given]
    if not locations or not all(locations):
        message = "The name of the log directory is empty; a variable may be unset."
        raise LogdirError(message)
    return locations


def discover(path: LogdirPath, *, max_expansion: int = DEFAULT_EVENT_EXPANSION) -> Logdir:
    """List the runs of a log directory and their event files. No file is opened.

    Several log directories are one, in which the name of each run begins with the shortest end of its log directory's
    path that the others do not have: ``exp1/train`` and ``exp2/train``. An event file belongs to the run of its folder.

    Args:
        path: a folder, a single event file or an fsspec URL, or several of them; ``~`` is the home folder.
        max_expansion: the maximum bytes per byte of a compressed event file or archive, if it unpacks to over 64 MiB,
            and of a tensor that stores one element for several.

    Raises:
        LogdirNotFoundError: nothing is at a path.
        LogdirError: a path cannot be read, there are no event files below it, or it is below another one.
        OptionError: ``max_expansion`` is not positive.
    """
    limits = SizeLimits(max_expansion)
    locations = locations_of(path)
    if len(locations) == 1:
        return _listed(locations[0], limits)
    places = [LogdirPlace.of(location) for location in locations]
    check_distinct(places)
    for place in places:
        if place.is_file and "tfevents" not in place.location.replace(os.sep, "/").rpartition("/")[2]:
            message = f"{place.location} does not have 'tfevents' in its name, as event files have; {QUOTE_HINT}."
            raise LogdirError(message)
    try:
        listings = [_listed(location, limits) for location in locations]
    except LogdirNotFoundError as error:
        message = f"{str(error).removesuffix('.')}, or {QUOTE_HINT}."
        raise LogdirNotFoundError(message) from error
    return _together(listings, prefixes(places))


def _together(listings: Sequence[Logdir], names: Sequence[str]) -> Logdir:
    """Return several log directories as one, in which the names of runs and files begin with these names."""
    runs: dict[str, list[EventFile]] = {}
    damage: list[Damage] = []
    hparam_files: list[EventFile] = []
    for prefix, listing in zip(names, listings, strict=True):
        for run in listing.runs:
            files = runs.setdefault(prefix if run.name == ROOT_RUN else f"{prefix}/{run.name}", [])
            files += (file._replace(path=f"{prefix}/{file.path}") for file in run.files)
        damage += (
            replace(each, path=prefix if each.path == ROOT_RUN else f"{prefix}/{each.path}") for each in listing.damage
        )
        hparam_files += (file._replace(path=f"{prefix}/{file.path}") for file in listing.hparam_files)
    return Logdir(
        ", ".join(listing.path for listing in listings),
        _sorted_runs(runs),
        damage,
        tuple(sorted(hparam_files, key=lambda file: file.path)),
        tuple(zip(names, (listing.path for listing in listings), strict=True)),
        listings[0].limits,
    )


def _sorted_runs(runs: Mapping[str, Sequence[EventFile]]) -> tuple[Run, ...]:
    return tuple(Run(name, tuple(sorted(runs[name], key=lambda file: file.path))) for name in sorted(runs))


def _listed(location: str, limits: SizeLimits) -> Logdir:
    """List one log directory."""
    damage: list[Damage] = []
    others = _Others()
    runs: dict[str, list[EventFile]] = {}
    for file in _event_files(location, limits, others, damage):
        runs.setdefault(file.path.rpartition("/")[0] or ROOT_RUN, []).append(file)
    if not runs:
        raise LogdirError(_nothing_found(location, others, damage))
    hparam_files = tuple(sorted(others.hparam_files, key=lambda file: file.path))
    return Logdir(location, _sorted_runs(runs), damage, hparam_files, limits=limits)


def source_of(location: str, limits: SizeLimits) -> Source:
    """Return the source of the files at a path or an fsspec URL; archives unpack within ``limits``."""
    if not is_url(location):
        return LocalFiles(location)
    from tb2csv.sources.store import Store

    return Store(location, limits)


@dataclass(slots=True, eq=False, repr=False)
class _Others:
    """Other files that were found: their number and an example, for a message, and those with hyperparameters."""

    count: int = 0
    example: str = ""
    hparam_files: list[EventFile] = field(default_factory=list)


def _event_files(location: str, limits: SizeLimits, others: _Others, damage: list[Damage]) -> Iterator[EventFile]:
    source = source_of(location, limits)
    try:
        for file in source.files(damage):
            name = file.path.rpartition("/")[2]
            # A file that is given by its name may have any; its content decides when it is read.
            if ("tfevents" in name and not name.endswith(".profile-empty")) or file.is_given:
                yield EventFile(file.path, file.location, source, file.version, limits)
            else:
                if name in HPARAM_FILES:
                    others.hparam_files.append(EventFile(file.path, file.location, source, file.version))
                others.count += 1
                others.example = min(others.example or file.path, file.path)
    except LogdirNotFoundError as error:
        if not {",", ":"} & set(location):
            raise
        message = f"There is no folder {location}; give several log directories one by one, without names."
        raise LogdirNotFoundError(message) from error
    except LogdirError:
        raise
    except FileNotFoundError as error:
        message = f"There is nothing at {shown(location)} ({error.strerror}); check the address."
        raise LogdirNotFoundError(message) from error
    except ExpansionError as error:
        raise LogdirError(f"{shown(location)} cannot be listed: {error.strerror}", RAISE_LIMIT) from error
    except OSError as error:
        message = f"{shown(location)} cannot be listed: {error.strerror}."
        raise LogdirError(message) from error


def _nothing_found(location: str, others: _Others, damage: list[Damage]) -> str:
    name = shown(location)
    if damage and not others.count:
        return f"Nothing below {name} can be read ({damage[0].path}: {damage[0].detail}); check its permissions."
    if not others.count:
        return f"There are no event files below {name}: it contains no files."
    files = f"{others.count} other file{'s' * (others.count > 1)} (such as {others.example})"
    return f"There are no event files below {name}, only {files}; event files have 'tfevents' in their name."
